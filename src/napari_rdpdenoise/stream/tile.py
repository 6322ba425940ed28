"""The one place where a tile is read, encoded and decoded: for runs, lazy blocks and the preview."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.cache import LatentCache, digest
from napari_rdpdenoise.codec import Codec, Decoded, Latents
from napari_rdpdenoise.codec.interval import error_in_counts
from napari_rdpdenoise.codec.network_input import ALONE, Neighbours, any_of
from napari_rdpdenoise.codec.structure import returned
from napari_rdpdenoise.io import ImageSource, SelectedSource, to_output
from napari_rdpdenoise.nn.decoder_names import FIDELITY
from napari_rdpdenoise.nn.decoders.sampling import PLAIN, Sampling
from napari_rdpdenoise.noise.invalid import InvalidRule, Screened
from napari_rdpdenoise.stream.ensemble import Mirrored, averaged, mirrored
from napari_rdpdenoise.stream.loaded import LoadedTile
from napari_rdpdenoise.stream.neighbours import Brightness
from napari_rdpdenoise.stream.plan import ChannelPlan, Plan, Work
from napari_rdpdenoise.stream.screen import FilledSource, ScreenedWindows, kept_pixels, read_screened
from napari_rdpdenoise.values import Quantity

CACHE_VERSION = "3"  # of what is cached under a key


class Done(NamedTuple):
    """A tile as it was read, with its latents, and its decodes."""

    item: LoadedTile
    decoded: Decoded


@dataclass(frozen=True)
class TileTask:
    """What all tiles of a series share.

    Attributes:
        source: Image that ``Work.index`` points into, and the whole of which neighbours are read from.
        plan: Plan with the channels of the works; ``plan.works`` are not looked at.
        codec: Model that computes.
        cache: Cache of latents, one for all who use the same codec and images; None for none.
        names: Names of the decoders that are wanted.
        brightness: Brightness of neighbours, one for all who look at the same series.
        sampling: Steps and constraints of the flow decoder.
        quantity: Quantity that is wanted of a tile: its images, how far they may be off, or what was kept.
        ensemble: Number of images, the tile itself and mirrored ones, that are averaged.
        screened: Blocks that were screened, for tiles whose neighbours they are.
    """

    source: SelectedSource
    plan: Plan
    codec: Codec
    cache: LatentCache | None
    names: tuple[str, ...]
    brightness: Brightness = field(default_factory=Brightness)
    sampling: Sampling = PLAIN
    quantity: Quantity = "image"
    ensemble: int = 1
    screened: ScreenedWindows = field(default_factory=ScreenedWindows)

    def do(self, work: Work, turn: AbstractContextManager[None]) -> Done:
        """Read, encode unless the latents are cached, decode, keep the latents.

        A tile that comes out as it went in has no latents: the network is not asked.

        Args:
            work: Tile by itself.
            turn: Context that is entered around what the device computes.
        """
        item = self.read(work)
        if self.spares(item):
            return Done(item, self._as_it_is(item))
        with turn:
            self.encode([item])
            (decoded,) = self.decode([item])
        self.keep(item)
        return Done(item, decoded)

    def spares(self, item: LoadedTile) -> bool:
        """Whether the network is not asked: the image is wanted, and it comes out as it went in."""
        return self.quantity == "image" and item.unchanged

    def read(self, work: Work) -> LoadedTile:
        """Read one tile with its halo, and its latents where they are cached."""
        shared = self.plan.channels[work.channel]
        channel = shared.at(self.source.original(work.index))
        beside = ALONE
        if channel.neighbours is None:
            raw, found = read_screened(self.source, work.index, work.tile.outer, channel.invalid)
        else:
            whole, index = self.source.whole, self.source.original(work.index)
            raw, found = self.screened.read(whole, index, work.tile.outer, shared.invalid)
            filled = FilledSource(whole, shared.invalid, self.screened)
            beside = self.brightness.neighbours(
                filled, index, work.tile.outer, channel.neighbours, shared.normalization.noise, shared.trend
            )
        key = latents_key(self.codec.identity, channel, found.filled, beside)
        latents = self._cached(key, channel, raw.shape)
        usable, kept = usable_pixels(found, channel.invalid), kept_pixels(raw, found, channel.hot_pixels)
        defects, unseen = (
            0 if at is None else int(at[work.tile.core_in_outer].sum())
            for at in (found.defects, found.unseen)
        )
        read = None if found.filled is raw else raw
        return LoadedTile(
            work,
            channel,
            found.filled,
            usable,
            kept,
            defects,
            key,
            latents,
            neighbours=beside,
            read=read,
            unseen=unseen,
            mirrored=tuple(
                self._mirrored(number, found.filled, beside, channel) for number in range(1, self.ensemble)
            ),
        )

    def _mirrored(self, number: int, raw: NDArray[Any], beside: Neighbours, channel: ChannelPlan) -> Mirrored:
        """A mirror image of a tile, and its latents where they are cached."""
        image = mirrored(raw, number)
        before, after = (None if other is None else mirrored(other, number) for other in beside)
        key = latents_key(self.codec.identity, channel, image, (before, after))
        return Mirrored(image, (before, after), key, self._cached(key, channel, raw.shape))

    def _cached(self, key: str, channel: ChannelPlan, shape: tuple[int, ...]) -> Latents | None:
        """Cached latents of a key; what is no latents of such a tile is dropped."""
        data = self.cache.get(key) if self.cache is not None else None
        if self.cache is None or data is None:
            return None
        try:
            return self.codec.known(data, shape, channel.normalization, channel.rate)
        except ValueError:
            self.cache.drop(key)
            return None

    def encode(self, items: Sequence[LoadedTile]) -> int:
        """Encode those that have no latents yet, of one channel and shape; how many batches these were."""
        if not items:
            return 0
        plan = items[0].plan
        rounds: list[Sequence[LoadedTile | Mirrored]] = [
            items,
            *zip(*(item.mirrored for item in items), strict=True),
        ]
        return sum(self._encode(images, plan) for images in rounds)

    def _encode(self, images: Sequence[LoadedTile | Mirrored], plan: ChannelPlan) -> bool:
        new = [image for image in images if image.latents is None]
        if not new:
            return False
        beside = [item.neighbours for item in new]
        given = beside if any(any_of(pair) for pair in beside) else None
        coded = self.codec.encode([image.raw for image in new], plan.normalization, plan.rate, given)
        for image, latents in zip(new, coded, strict=True):
            image.latents, image.fresh = latents, True
        return True

    def decode(self, items: Sequence[LoadedTile]) -> list[Decoded]:
        """Decode encoded tiles of one shape; structure that the codec took for noise goes back into them.

        In the place of images are, where they are wanted: half widths of intervals around the image of lowest
        error, raw counts, NaN where pixels come out as they went in; or shares that were kept, 0 to 1.
        """
        decoded = zip(items, self.reconstruct(items), strict=True)
        return [self.finished(item, images) for item, images in decoded]

    def reconstruct(self, items: Sequence[LoadedTile]) -> list[Decoded]:
        """What the network has to do of `decode`; `finished` does the rest, in any thread."""
        latents = [item.latents for item in items if item.latents is not None]
        decoded = self.codec.decode(latents, self.names, [item.work.place for item in items], self.sampling)
        decoded = self._averaged(items, decoded)
        if self.quantity != "error":
            return decoded
        filled = [_filled(item, images) for item, images in zip(items, decoded, strict=True)]
        return [Decoded({"error": width}) for width in self.half_widths(items, filled)]

    def finished(self, item: LoadedTile, decoded: Decoded) -> Decoded:
        """The decode of a tile, given what `reconstruct` made of it."""
        if self.quantity == "error":
            return decoded
        filled = _filled(item, decoded)
        return filled if self.quantity == "image" else Decoded({"kept": _kept_share(item)})

    def _as_it_is(self, item: LoadedTile) -> Decoded:
        """What decoding gives of a tile of which nothing is removed."""
        image = np.asarray(item.raw, np.float32)
        if item.plan.structure and item.plan.noise.doubt == 1:
            item.back = returned(item.raw, image, item.plan.noise, item.usable)
        return Decoded(dict.fromkeys(self.names, image))

    def _averaged(self, items: Sequence[LoadedTile], decoded: Sequence[Decoded]) -> list[Decoded]:
        """Decodes whose image of lowest error is averaged with those of the tile's mirror images."""
        rounds = [
            self.codec.decode([image.latents for image in images if image.latents is not None])
            for images in zip(*(item.mirrored for item in items), strict=True)
        ]
        others = zip(*rounds, strict=True) if rounds else [()] * len(items)
        return [averaged(own, other) for own, other in zip(decoded, others, strict=True)]

    def half_widths(
        self, items: Sequence[LoadedTile], decoded: Sequence[Decoded]
    ) -> list[NDArray[np.float32]]:
        """Half widths of intervals around decoded images of lowest error, raw counts, NaN as in `decode`.

        Raises:
            DecoderMissing: If the model has no flow decoder.
            ValueError: If its card has no table of intervals.
        """
        latents = [item.latents for item in items if item.latents is not None]
        table, expected = self.codec.intervals, self.codec.expected_error(latents)
        return [
            _half_width(item, images.first, table.half_width(error))
            for item, images, error in zip(items, decoded, expected, strict=True)
        ]

    def keep(self, item: LoadedTile) -> None:
        """Cache the latents that were made here."""
        images: tuple[LoadedTile | Mirrored, ...] = (item, *item.mirrored)
        for image in images:
            if self.cache is not None and image.fresh and image.latents is not None:
                self.cache.put(image.key, image.latents.to_bytes())


def _filled(item: LoadedTile, decoded: Decoded) -> Decoded:
    """Decodes with the structure that the residual holds, where the channel's plan asks for it."""
    if not item.plan.structure:
        return decoded
    item.plain = decoded[FIDELITY]
    item.back = back = returned(item.raw, item.plain, item.plan.noise, item.usable)
    return Decoded({name: back.into(image, item.raw) for name, image in decoded.items()})


def _kept_share(item: LoadedTile) -> NDArray[np.float32]:
    return np.zeros(item.raw.shape, np.float32) if item.back is None else item.back.noise_share


def _half_width(
    item: LoadedTile, image: NDArray[np.float32], around_decode: NDArray[np.float32]
) -> NDArray[np.float32]:
    width = error_in_counts(
        image,
        around_decode,
        item.plan.normalization.noise,
        None if item.back is None else item.back.noise_share,
    )
    if item.kept is not None:
        width[item.kept.mask] = np.nan
    return width


def usable_pixels(found: Screened, rule: InvalidRule) -> NDArray[np.bool_]:
    """Pixels that are image, and not clipped where the camera saturates or the integers end."""
    raw, invalid = found.filled, found.invalid
    usable = np.ones(raw.shape, bool) if invalid is None else ~invalid
    low, high = raw.min(), raw.max()
    if rule.saturation is not None and not high < rule.saturation:
        usable &= raw < rule.saturation
    if raw.dtype.kind != "f":
        limits = np.iinfo(np.dtype(raw.dtype).name)
        if high == limits.max:
            usable &= raw != limits.max
        if low == limits.min != 0:
            usable &= raw != limits.min
    return usable


def copied(source: ImageSource, work: Work, dtype: np.dtype) -> NDArray[np.generic]:
    """The core of a tile as it is in the source, in the number type of the output."""
    block = source.read(work.index, *work.tile.core)
    if block.dtype == dtype:
        return block
    return to_output(block.astype(np.float64), dtype)[0]


def latents_key(
    codec_identity: bytes, channel: ChannelPlan, raw: NDArray[Any], neighbours: Neighbours = ALONE
) -> str:
    """Cache key of a tile's latents: all that the encoder's answer depends on, neighbours' pixels included.

    Args:
        codec_identity: Bytes of `Codec.identity`: weights and precision.
        channel: Normalisation and rate.
        raw: Tile with its halo, counts.
        neighbours: Same places of the planes before and after, counts.
    """
    n = channel.normalization
    numbers = (n.noise.gain, n.noise.offset, n.noise.read_noise, n.center, n.scale, channel.rate)
    beside = [b"" if other is None else other for other in neighbours] if any_of(neighbours) else []
    return digest(CACHE_VERSION, codec_identity, np.array(numbers), raw, *beside)
