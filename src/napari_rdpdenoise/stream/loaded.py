"""A tile on its way through a run, and a sink that keeps it with its latents."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.cache import digest
from napari_rdpdenoise.codec import Latents
from napari_rdpdenoise.codec.network_input import ALONE, Neighbours
from napari_rdpdenoise.codec.structure import Returned
from napari_rdpdenoise.io import to_output
from napari_rdpdenoise.stream.ensemble import Mirrored
from napari_rdpdenoise.stream.plan import ChannelPlan, Work
from napari_rdpdenoise.stream.screen import Kept
from napari_rdpdenoise.values import Quantity


@dataclass
class LoadedTile:
    """A tile that was read, on its way through the run.

    Attributes:
        work: Which tile.
        plan: Plan of its channel.
        raw: Raw counts, finite: what is not image is filled from its surroundings.
        usable: Pixels whose noise says something, neither filled nor saturated.
        kept: Pixels that come out as they went in; None for none.
        defects: Hot and cold pixels and cosmic rays in the core.
        unseen: Pixels of the core in regions of one value, the like of which the sample has not.
        key: Cache key of the latents.
        latents: Latents from the cache or, with ``fresh`` set, from the encoder; None before that.
        neighbours: Same places of the planes before and after.
        back: What of the residual went back into the decodes; None for none, and before that.
        read: Raw counts as they were read, what is not image among them; None where that is ``raw``.
        plain: Decode of lowest error without that, raw counts; None where nothing was looked for.
        mirrored: Mirror images of it, with which it is averaged.
    """

    work: Work
    plan: ChannelPlan
    raw: NDArray[np.generic]
    usable: NDArray[np.bool_]
    kept: Kept | None
    defects: int
    key: str
    latents: Latents | None
    fresh: bool = False
    neighbours: Neighbours = ALONE
    back: Returned | None = None
    read: NDArray[np.generic] | None = None
    plain: NDArray[np.float32] | None = None
    unseen: int = 0
    mirrored: tuple[Mirrored, ...] = ()

    @property
    def encoded(self) -> bool:
        """Whether anything of it was encoded here: the tile itself or a mirror image."""
        return self.fresh or any(image.fresh for image in self.mirrored)

    @property
    def unchanged(self) -> bool:
        """Whether all of the core comes out as it went in, whatever the network would make of it."""
        place, kept = self.work.tile.core_in_outer, self.kept
        if kept is not None and kept.mask[place].all():
            return True
        if not (self.plan.structure and self.plan.noise.doubt == 1):
            return False
        as_read = self.usable[place] if kept is None else self.usable[place] | kept.mask[place]
        return bool(as_read.all())

    def forget(self) -> None:
        """Let go of what only encoder and decoders need: more than half of a tile's memory."""
        self.neighbours = ALONE
        if self.latents is not None:
            self.latents = replace(self.latents, restored=None)

    @property
    def original(self) -> NDArray[np.generic]:
        """Raw counts as they were read."""
        return self.raw if self.read is None else self.read

    @property
    def content(self) -> str:
        """Word for what the result follows from beside the settings: pixels, measured noise, the model.

        A run that goes on tells by it what it has to do again.
        """
        kept = "" if self.kept is None else digest(np.where(self.kept.mask, self.kept.values, 0))
        back = f"+t{self.plan.noise.doubt:g}" if self.plan.structure else ""
        return f"{self.key}{back}{kept}"

    def core(
        self, image: NDArray[np.float32], dtype: np.dtype, quantity: Quantity = "image"
    ) -> tuple[NDArray[np.generic], int]:
        """The part of what a tile gave that is written, as ``dtype``; how many values were clipped."""
        place = self.work.tile.core_in_outer
        tile = self.work.tile
        block, clipped = to_output(image[place], dtype, (self.work.seed, tile.y0, tile.x0))
        kept = None if self.kept is None else self.kept.at(place)
        if kept is not None and quantity == "image":
            kept.put(block)
            if clipped:  # what the network gave in the place of these is not in the result
                clipped = to_output(np.where(kept.mask, 0, image[place]), dtype)[1]
        return block, clipped


@runtime_checkable
class TileSink(Protocol):
    """A sink that keeps tiles as they are coded, and not their pixels alone."""

    def take(self, item: LoadedTile, image: NDArray[np.float32]) -> int:
        """Keep one tile; how many of its values were clipped.

        Args:
            item: Tile with its latents.
            image: Result of it, raw counts, with the halo.
        """

    def notes(self) -> list[str]:
        """What the user should know of the tiles that were taken, in words."""
