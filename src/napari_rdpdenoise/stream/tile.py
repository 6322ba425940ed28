"""One tile by itself, for those who do not walk through a whole series: lazy blocks and the preview."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.codec import Codec, Decoded
from napari_rdpdenoise.io import ImageSource
from napari_rdpdenoise.stream.prepare import Plan, Work
from napari_rdpdenoise.stream.reader import Item, read_item


class Done(NamedTuple):
    """A tile as it was read, with its latents, and its decodes."""

    item: Item
    decoded: Decoded


@dataclass(frozen=True)
class TileTask:
    """What all tiles of a series share.

    Attributes:
        source: where ``Work.index`` points to.
        plan: with the channels of the works; ``plan.works`` are not looked at.
        codec: computes.
        cache: of latents, under the same keys as a run's; None for none.
        names: Names of the decoders that are wanted.
    """

    source: ImageSource
    plan: Plan
    codec: Codec
    cache: LatentCache | None
    names: tuple[str, ...]

    def do(self, work: Work, turn: AbstractContextManager[None]) -> Done:
        """Read, encode unless the latents are cached, decode.

        Args:
            work: the tile.
            turn: entered around what the device computes.
        """
        codec = self.codec
        item = read_item(self.source, work, self.plan, codec.digest, self.cache)
        with turn:
            if item.latents is None:
                item.latents = codec.encode([item.raw], item.plan.normalization, item.plan.rate)[0]
                item.fresh = True
            (decoded,) = codec.decode([item.latents], self.names, [work.place])
        if self.cache is not None and item.fresh:
            self.cache.put(item.key, item.latents.to_bytes())
        return Done(item, decoded)
