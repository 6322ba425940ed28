"""One tile into a container and back.

Symbols: ``y`` original counts; ``x`` fidelity decode, always in float32, so that all machines agree within
rounding; ``u`` counts in noise standard deviations (`units`); ``q`` step, ``w`` share of the residual that is
structure (`codec.structure`); ``d`` dither, -1/2 to 1/2, the same for writer and reader: what it leaves of a
quantisation is noise that depends on nothing, and no value comes out more often than others.

::

    residual layer    k = round((u(y) - u(x)) / q + d)     y' = u^-1(u(x) + q (k - d))
    structure layer   k = round(w (u(y) - u(x)) / q)       y' = u^-1(u(x) + q k / w)
    denoised          (1 - w) decode + w y', exact pixels as they were
    original          y', exact pixels as they were
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.store import layers
from napari_rdpdenoise.store.container import Layer, StoredTile, StoreError
from napari_rdpdenoise.store.units import to_counts, to_units
from napari_rdpdenoise.store.view import View
from napari_rdpdenoise.tiles import GRID, HALO

if TYPE_CHECKING:
    from napari_rdpdenoise.codec import Codec, Decoded, Latents
    from napari_rdpdenoise.noise import NoiseModel
    from napari_rdpdenoise.stream.tile import LoadedTile

Residual = Literal["1", "0.5", "lossless", "none"]
"""How much of the original is kept: in steps of so many noise standard deviations, all of it, or nothing."""

RESIDUALS: tuple[Residual, ...] = ("1", "0.5", "lossless", "none")

MARGIN = 512
"""Largest margin of a tile within its chunk, px."""

FAR = 1.6
"""Noise standard deviations of a residual from which it is none: the original is then kept losslessly."""

_AROUND = HALO  # px around a part that are decoded with it: beyond, the network sees nothing that shows
_WORTH = 0.8  # of a tile's pixels, below which a part of it is decoded
_FINE = 2.0  # counts of a step, below which the original itself may be smaller
_STRUCTURE_STEP = 0.5  # noise standard deviations
_MOST = 1e6  # noise standard deviations of a spread that is told
_LEAST_SHARE = 1 / 32  # less returns nothing


class _Latest:
    """Latents that were decompressed last: who looks at a tile crop by crop asks for them again."""

    def __init__(self) -> None:
        self._kept: tuple[bytes, Latents] | None = None

    def decompressed(self, data: bytes, codec: Codec) -> Latents:
        """What `Codec.decompress` gives of bytes, which name their model."""
        kept = self._kept
        if kept is None or kept[0] != data:
            self._kept = kept = data, codec.decompress(data)
        return kept[1]


_LATEST = _Latest()


def encode_tile(
    item: LoadedTile, decode: NDArray[np.float32], codec: Codec, residual: Residual
) -> StoredTile:
    """Put one encoded tile of a run into a container.

    Where the residual is no noise, its original is kept losslessly: the step of that layer is then the spread
    (rms) of the residual, noise standard deviations.

    Args:
        item: Tile with its latents.
        decode: Fidelity decode of them, without structure, in float32: raw counts, shape of the tile with its
            halo.
        codec: Model that encoded it.
        residual: How much of the original is kept.

    Raises:
        ValueError: If the item has no latents yet.
    """
    if item.latents is None:
        raise ValueError("item: expected an encoded tile, found one without latents; encode it first")
    place, outer = item.work.tile.core_in_outer, item.work.tile
    original, noise = item.original[place], item.plan.normalization.noise
    if item.share is not None and item.share.min() == 1 and (item.kept is None) and item.read is None:
        return plain_tile(original)  # what is denoised is the original
    classes = _classes(item)[place]
    coded = (classes == layers.IMAGE) & np.isfinite(original)
    difference = np.where(coded, _difference(item.raw[place], decode[place], noise), 0.0)
    counted = coded & item.usable[place]
    spread = float(np.sqrt(np.square(difference[counted]).mean())) if counted.any() else 0.0
    if residual in ("1", "0.5") and spread > FAR:
        kept = _kept_layers(item, difference, original, "lossless")
        kept[layers.LOSSLESS] = replace(kept[layers.LOSSLESS], step=min(spread, _MOST))
    else:
        kept = _kept_layers(item, difference, original, residual)
    shown = classes if residual != "none" else np.where(classes == layers.KEPT, classes, layers.IMAGE)
    if (layers.LOSSLESS not in kept and shown.any()) or (shown == layers.KEPT).any():
        kept[layers.EXACT] = Layer(layers.pack_exact(shown.astype(np.uint8), original))
    return StoredTile(
        np.dtype(original.dtype),
        original.shape,
        codec.compress(item.latents),
        (place[0].start, place[1].start),
        (outer.oy0, outer.ox0),
        item.work.seed,
        kept,
    )


def plain_tile(pixels: NDArray[Any]) -> StoredTile:
    """A tile that is kept as it is: no light, or nothing in it."""
    return StoredTile(
        pixels.dtype, pixels.shape, layers={layers.LOSSLESS: Layer(layers.pack_lossless(pixels))}
    )


def decode_tile(
    tile: StoredTile, view: View, codec: Codec | None, part: tuple[slice, slice] | None = None
) -> NDArray[Any]:
    """Pixels of a tile, counts, of its shape and number type.

    Args:
        tile: Tile as it is stored.
        view: What is read of it.
        codec: Model of its latents; None where `needs_model` says that none is needed.
        part: Rows and columns that are wanted; None for all. Beyond them pixels may be anything.

    Raises:
        DecoderMissing: If the model has no realism decoder, and realism is above 0.
        StoreError: If the original was not kept, or the tile is damaged.
    """
    if not needs_model(tile, view) or codec is None:
        return layers.unpack_lossless(_layer(tile, layers.LOSSLESS).data, tile.shape, tile.dtype)
    if view.layer == "original" and layers.RESIDUAL not in tile.layers:
        raise StoreError(
            "layer: expected a store with a residual layer for 'original', found one that keeps the denoised "
            "image only; create it with residual 1, 0.5 or lossless"
        )
    decoded, noise = _decoded(tile, view, codec, part)
    if view.layer == "original":
        like = _original_like(tile, decoded, noise)
        return _put_exact(tile, _rounded(like, tile.dtype), layers.REPLACED)
    return _put_exact(tile, _denoised(tile, decoded, noise, view), layers.KEPT)


def tile_of_decode(tile: StoredTile, decode: NDArray[np.float32], noise: NoiseModel) -> NDArray[Any]:
    """Pixels of the denoised image of a tile at realism 0, counts, as `decode_tile` gives them.

    Args:
        tile: Tile as it is stored.
        decode: Fidelity decode of its latents, raw counts, without its margin.
        noise: Noise of its channel.
    """
    from napari_rdpdenoise.codec import Decoded
    from napari_rdpdenoise.nn.decoder_names import FIDELITY

    view = View()
    if not needs_model(tile, view):
        return decode_tile(tile, view, None)
    return _put_exact(tile, _denoised(tile, Decoded({FIDELITY: decode}), noise, view), layers.KEPT)


def needs_model(tile: StoredTile, view: View) -> bool:
    """Whether the latents have to be decoded for what is read."""
    return bool(tile.latents) and (view.layer == "denoised" or layers.LOSSLESS not in tile.layers)


def _classes(item: LoadedTile) -> NDArray[np.uint8]:
    """What of a tile is exact, with its halo."""
    classes = np.zeros(item.raw.shape, np.uint8)
    if item.original is not item.raw:
        classes[item.original != item.raw] = layers.REPLACED
    if item.kept is not None:
        classes[item.kept.mask] = layers.KEPT
    return classes


def _difference(
    original: NDArray[Any], decode: NDArray[np.float32], noise: NoiseModel
) -> NDArray[np.float64]:
    return to_units(original, noise) - to_units(decode, noise)


def _kept_layers(
    item: LoadedTile, difference: NDArray[np.float64], original: NDArray[Any], residual: Residual
) -> dict[str, Layer]:
    place, kept = item.work.tile.core_in_outer, {}
    if item.share is not None and (packed := layers.pack_share(item.share[place])).strip(b"\0"):
        share = layers.unpack_share(packed, difference.shape)
        if (share >= _LEAST_SHARE).any():
            kept[layers.SHARE] = Layer(packed)
            if residual == "none":
                weight = np.where(share >= _LEAST_SHARE, share, 0)
                steps = layers.to_steps(weight * difference, _STRUCTURE_STEP)
                kept[layers.STRUCTURE] = Layer(layers.pack_steps(steps), _STRUCTURE_STEP)
    if residual == "lossless":
        kept[layers.LOSSLESS] = Layer(layers.pack_lossless(original))
    elif residual != "none":
        kept.update(_smaller(item, difference, original, float(residual)))
    return kept


def _smaller(
    item: LoadedTile, difference: NDArray[np.float64], original: NDArray[Any], step: float
) -> dict[str, Layer]:
    """The residual in steps, or the original itself where steps finer than counts make that smaller."""
    dither = _dither(original.shape, item.work.seed, (item.work.tile.y0, item.work.tile.x0))
    packed = Layer(layers.pack_steps(layers.to_steps(difference + step * dither, step)), step)
    noise = item.plan.normalization.noise
    counts = step * float(np.sqrt(noise.variance(float(np.median(np.asarray(item.raw, np.float64))))))
    if original.dtype.kind in "iu" and counts < _FINE:
        plain = Layer(layers.pack_lossless(original))
        if len(plain.data) <= len(packed.data):
            return {layers.LOSSLESS: plain}
    return {layers.RESIDUAL: packed}


def _decoded(
    tile: StoredTile, view: View, codec: Codec, part: tuple[slice, slice] | None
) -> tuple[Decoded, NoiseModel]:
    """Decodes of the tile without its margin, and the noise of its channel.

    Beyond the part that is wanted they are zero where that was not decoded.
    """
    from napari_rdpdenoise.codec import Decoded
    from napari_rdpdenoise.codec.bitstream import BitstreamError
    from napari_rdpdenoise.codec.latents import cropped
    from napari_rdpdenoise.nn.decoder_names import FIDELITY, on_path
    from napari_rdpdenoise.nn.decoders.place import Place

    y, x = (slice(start, start + size) for start, size in zip(tile.offset, tile.shape, strict=True))
    try:
        _check_coded(tile, y, x)
        latents = _LATEST.decompressed(tile.latents, codec)
    except BitstreamError as error:
        raise StoreError(f"chunk: expected latents of its model, found others: {error}") from error
    names = on_path(view.realism, "realism") if view.layer == "denoised" else (FIDELITY,)
    names = names if FIDELITY in names else (FIDELITY, *names)
    noise, (top, left) = latents.normalization.noise, tile.origin
    around = None if part is None else _around(part, (y.start, x.start), latents.shape)
    if around is None:
        (decoded,) = codec.decode([latents], names, [Place(tile.seed, top, left)])
        return Decoded({name: decoded[name][y, x] for name in names}), noise
    place = Place(tile.seed, top + around[0].start, left + around[1].start)
    (decoded,) = codec.decode([cropped(latents, *around)], names, [place])
    images = {name: np.zeros(latents.shape, np.float32) for name in names}
    for name in names:
        images[name][around] = decoded[name]
    return Decoded({name: image[y, x] for name, image in images.items()}), noise


def _around(
    part: tuple[slice, slice], offset: tuple[int, int], shape: tuple[int, int]
) -> tuple[slice, slice] | None:
    """Rows and columns of a coded image to decode for a part of its tile; None for all of it."""
    spans = []
    for wanted, start, size in zip(part, offset, shape, strict=True):
        first = max(0, (start + wanted.start - _AROUND) // GRID * GRID)
        last = min(size, -(-(start + wanted.stop + _AROUND) // GRID) * GRID)
        spans.append(slice(min(first, (size - 1) // GRID * GRID), last))
    pixels = math.prod(span.stop - span.start for span in spans)
    return (spans[0], spans[1]) if pixels < _WORTH * math.prod(shape) else None


def _check_coded(tile: StoredTile, y: slice, x: slice) -> None:
    """Refuse latents of a size that no margin explains, before memory is taken for them."""
    from napari_rdpdenoise.codec.bitstream import unpack as unpack_latents

    head = unpack_latents(tile.latents).header
    margins = (y.start, x.start, head.height - y.stop, head.width - x.stop)
    if min(margins) < 0 or max(margins) > MARGIN:
        raise StoreError(
            f"chunk: expected latents of {tile.shape[0]} x {tile.shape[1]} pixels, {MARGIN} around at most, "
            f"found {head.height} x {head.width}; copy the store again"
        )


def _original_like(tile: StoredTile, decoded: Decoded, noise: NoiseModel) -> NDArray[np.float64] | None:
    """The original as far as it was kept, counts; None where nothing of it was."""
    from napari_rdpdenoise.nn.decoder_names import FIDELITY

    if layers.LOSSLESS in tile.layers:
        kept = layers.unpack_lossless(tile.layers[layers.LOSSLESS].data, tile.shape, tile.dtype)
        return kept.astype(np.float64)
    kind = layers.RESIDUAL if layers.RESIDUAL in tile.layers else layers.STRUCTURE
    if kind not in tile.layers:
        return None
    layer = tile.layers[kind]
    steps = layers.unpack_steps(layer.data, tile.shape).astype(np.float64)
    if kind == layers.RESIDUAL:
        steps -= _dither(tile.shape, tile.seed, _first(tile))
    back = steps * float(layer.step)
    if kind == layers.STRUCTURE:
        share = layers.unpack_share(_layer(tile, layers.SHARE).data, tile.shape)
        back = back / np.maximum(share, _LEAST_SHARE)
    return to_counts(to_units(decoded[FIDELITY], noise) + back, noise)


def _denoised(tile: StoredTile, decoded: Decoded, noise: NoiseModel, view: View) -> NDArray[Any]:
    from napari_rdpdenoise.codec import Decoded
    from napari_rdpdenoise.codec.structure import with_structure
    from napari_rdpdenoise.io import to_output

    like = _original_like(tile, decoded, noise) if layers.SHARE in tile.layers else None
    if like is not None:
        share = layers.unpack_share(tile.layers[layers.SHARE].data, tile.shape)
        share[(share < _LEAST_SHARE) | ~np.isfinite(like)] = 0
        raw = np.nan_to_num(like)
        decoded = Decoded({name: with_structure(image, raw, share) for name, image in decoded.items()})
    return to_output(decoded.blend(view.realism), tile.dtype, (tile.seed, *_first(tile)))[0]


def _first(tile: StoredTile) -> tuple[int, int]:
    """First row and column of a tile in its plane."""
    return tile.origin[0] + tile.offset[0], tile.origin[1] + tile.offset[1]


def _dither(shape: tuple[int, ...], seed: int, first: tuple[int, int]) -> NDArray[np.float64]:
    """Dither of each pixel, -1/2 to 1/2: from a generator whose numbers are the same everywhere."""
    count = shape[0] * shape[1]
    raw = np.random.PCG64([seed, *first]).random_raw(-(-count // 8)).astype("<u8").view(np.uint8)
    return (raw[:count].reshape(shape) + 0.5) / 256 - 0.5


def _rounded(values: NDArray[np.float64] | None, dtype: np.dtype) -> NDArray[Any]:
    from napari_rdpdenoise.io import to_output

    if values is None:
        raise StoreError("chunk: expected a residual layer, found none; copy the store again")
    return to_output(values, dtype)[0]


def _put_exact(tile: StoredTile, pixels: NDArray[Any], least: int) -> NDArray[Any]:
    """Write exact pixels of a class, or of a higher one, into an image."""
    if (layer := tile.layers.get(layers.EXACT)) is None:
        return pixels
    classes, values = layers.unpack_exact(layer.data, tile.shape, tile.dtype)
    wanted = classes >= least
    pixels[wanted] = values[wanted[classes != layers.IMAGE]]
    return pixels


def _layer(tile: StoredTile, kind: str) -> Layer:
    if kind not in tile.layers:
        raise StoreError(f"chunk: expected layer {kind}, found {', '.join(tile.layers) or 'none'}")
    return tile.layers[kind]
