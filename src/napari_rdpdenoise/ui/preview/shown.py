"""What the dock shows at the moment, as plain arrays: for comparison, readouts and plots. No Qt here."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.codec.decoded import blend
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.stream.plan import ChannelPlan
from napari_rdpdenoise.tiles import Tile
from napari_rdpdenoise.ui.layers.stacks import Box
from napari_rdpdenoise.ui.preview.decoded_tiles import DecodedTile

__all__ = ["Shown", "assemble", "box_around", "shifted", "within"]


@dataclass(frozen=True)
class Shown:
    """One plane of the chosen layer with its preview, or what is in view of a large one.

    Attributes:
        layer: Key of the noisy layer and its content, see `Subject.key`.
        index: Index of the plane: one number per axis of the layer beside Y and X.
        noisy: Raw counts, (height, width); not to be written to.
        fidelity: Decode of lowest error, float32 raw counts, (height, width); NaN where not done.
        realism: Decode of most natural texture, likewise; None if the model has none.
        done: Pixels that were denoised, bool (height, width).
        alpha: Position of the realism slider, 0 to 1.
        plan: Noise, normalisation and rate of the plane's channel; None while they are not known.
        bpp: Bits per pixel of the tiles that are done; NaN for none.
        share: Share of the residual that was kept from the input, 0 to 1, float16 (height, width), 0 where
            not done; None where it is not known.
        error: Half widths of 90 % intervals around the decode of lowest error, float32 raw counts, NaN where
            not done; None where the model does not tell.
        invalid: Pixels that come out as they went in, because they are not image, bool (height, width); None
            for none.
        frame: Rows and columns of the plane that the arrays hold; None for all.
        level: Number of the resolution, 0 for the finest.
        reduction: How many times smaller than the finest it is.
    """

    layer: Hashable
    index: tuple[int, ...]
    noisy: NDArray[Any]
    fidelity: NDArray[np.float32]
    realism: NDArray[np.float32] | None
    done: NDArray[np.bool_]
    alpha: float
    plan: ChannelPlan | None
    bpp: float
    share: NDArray[np.float16] | None = None
    error: NDArray[np.float32] | None = None
    invalid: NDArray[np.bool_] | None = None
    frame: Box | None = None
    level: int = 0
    reduction: float = 1.0

    def holds(self, decoded: DecodedTile) -> bool:
        """Whether there is room for all that a tile has; a provisional one has less than the others."""
        return (self.realism is not None or decoded.images.natural is None) and (
            self.error is not None or decoded.error is None
        )

    def add(self, tile: Tile, decoded: DecodedTile) -> None:
        """Write one more decoded tile into the plane; for who holds it, the arrays are shared."""
        core = tile.core if self.frame is None else shifted(tile.core, self.frame)
        self.fidelity[core] = decoded.images.first
        if self.realism is not None and decoded.images.natural is not None:
            self.realism[core] = decoded.images.natural
        if self.share is not None:
            self.share[core] = 0 if decoded.share is None else decoded.share
        if self.error is not None and decoded.error is not None:
            self.error[core] = decoded.error
        self.done[core] = not decoded.provisional
        if self.invalid is not None:
            self.invalid[core] = False if decoded.kept is None else decoded.kept.mask
        if decoded.kept is not None:
            for image in (self.fidelity, self.realism):
                if image is not None:
                    decoded.kept.put(image[core])

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Pixels that were denoised, and are image."""
        return self.done if self.invalid is None else self.done & ~self.invalid

    @property
    def noise(self) -> NoiseModel | None:
        """Noise model of the plane; None while it is not known."""
        return None if self.plan is None else self.plan.at(self.index).normalization.noise

    @property
    def result(self) -> NDArray[np.float32]:
        """The blend that the slider asks for, float32 raw counts, NaN where not done."""
        if self.realism is None or self.alpha == 0:
            return self.fidelity
        return blend(self.fidelity, self.realism, self.alpha)

    @property
    def box(self) -> tuple[slice, slice] | None:
        """The largest rows and columns around what is done that are done throughout; None for nothing.

        The bounding box of what is done, if all in it is done; else the largest block of whole rows.
        """
        rows, columns = np.flatnonzero(self.done.any(1)), np.flatnonzero(self.done.any(0))
        if rows.size == 0:
            return None
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        if self.done[box].all():
            return box
        full = self.done[:, box[1]].all(1)
        if not full.any():
            return None
        edges = np.flatnonzero(np.diff(np.concatenate(([0], full.astype(np.int8), [0]))))
        starts, stops = edges[::2], edges[1::2]
        longest = int(np.argmax(stops - starts))
        return slice(int(starts[longest]), int(stops[longest])), box[1]


def box_around(tiles: Iterable[Tile]) -> Box:
    """The rows and columns that the cores of tiles take, at least one."""
    cores = [(tile.y0, tile.y1, tile.x0, tile.x1) for tile in tiles]
    top, bottom, left, right = zip(*cores, strict=True)
    return slice(min(top), max(bottom)), slice(min(left), max(right))


def within(tile: Tile, frame: Box) -> bool:
    """Whether the whole core of a tile lies in some rows and columns."""
    return all(
        part.start <= core.start and core.stop <= part.stop
        for part, core in zip(frame, tile.core, strict=True)
    )


def shifted(box: Box, frame: Box) -> Box:
    """Rows and columns of a plane as those of an array that holds only its ``frame``."""
    rows, columns = (
        slice(part.start - whole.start, part.stop - whole.start)
        for part, whole in zip(box, frame, strict=True)
    )
    return rows, columns


def assemble(
    layer: Hashable,
    index: tuple[int, ...],
    noisy: NDArray[Any],
    held: Sequence[tuple[Tile, DecodedTile]],
    frame: Box | None = None,
) -> Shown:
    """Put the decoded tiles of a noisy plane, at least one, together to a plane with realism 0.

    Of a large plane ``noisy`` and the tiles are those of its ``frame``.
    """
    fidelity = np.full(noisy.shape, np.nan, np.float32)
    natural = any(decoded.images.natural is not None for _, decoded in held)
    realism = fidelity.copy() if natural else None
    done = np.zeros(noisy.shape, np.bool_)
    share = np.zeros(noisy.shape, np.float16)
    told = any(decoded.error is not None for _, decoded in held)
    error = np.full(noisy.shape, np.nan, np.float32) if told else None
    invalid = np.zeros(noisy.shape, np.bool_)
    images, maps = (noisy, fidelity, realism, done), (share, error, invalid)
    shown = Shown(layer, index, *images, 0.0, None, float("nan"), *maps, frame)
    for tile, decoded in held:
        shown.add(tile, decoded)
    return shown
