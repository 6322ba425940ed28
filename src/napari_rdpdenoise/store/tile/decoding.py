"""What a store keeps of a tile -> pixels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.store import layers
from napari_rdpdenoise.store.container import Layer, StoredTile, StoreError
from napari_rdpdenoise.store.tile.terms import LEAST_SHARE, MARGIN, dither, first_pixel
from napari_rdpdenoise.store.units import to_counts, to_units
from napari_rdpdenoise.store.view import View
from napari_rdpdenoise.tiles import GRID, HALO

if TYPE_CHECKING:
    from napari_rdpdenoise.codec import Codec, Decoded, Latents
    from napari_rdpdenoise.noise import NoiseModel

_AROUND = HALO  # px around a part that are decoded with it: beyond, the network sees nothing that shows
_WORTH = 0.8  # of a tile's pixels, below which a part of it is decoded


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
        steps -= dither(tile.shape, tile.seed, first_pixel(tile))
    back = steps * float(layer.step)
    if kind == layers.STRUCTURE:
        share = layers.unpack_share(_layer(tile, layers.SHARE).data, tile.shape)
        back = back / np.maximum(share, LEAST_SHARE)
    return to_counts(to_units(decoded[FIDELITY], noise) + back, noise)


def _denoised(tile: StoredTile, decoded: Decoded, noise: NoiseModel, view: View) -> NDArray[Any]:
    from napari_rdpdenoise.codec import Decoded
    from napari_rdpdenoise.codec.structure import with_structure
    from napari_rdpdenoise.io import to_output

    texture = _texture(tile, decoded, noise)
    like = _original_like(tile, decoded, noise) if layers.SHARE in tile.layers else None
    if like is not None:
        share = layers.unpack_share(tile.layers[layers.SHARE].data, tile.shape)
        share[(share < LEAST_SHARE) | ~np.isfinite(like)] = 0
        raw = np.nan_to_num(like)
        decoded = Decoded({name: with_structure(image, raw, share) for name, image in decoded.items()})
    if texture is not None:
        decoded = Decoded({name: image + texture for name, image in decoded.items()})
    return to_output(decoded.blend(view.realism), tile.dtype, (tile.seed, *first_pixel(tile)))[0]


def _texture(tile: StoredTile, decoded: Decoded, noise: NoiseModel) -> NDArray[np.float32] | None:
    """Raw counts that return to decodes without structure; None for none."""
    from napari_rdpdenoise.nn.decoder_names import FIDELITY

    if (layer := tile.layers.get(layers.TEXTURE)) is None:
        return None
    back = layers.unpack_steps(layer.data, tile.shape).astype(np.float64) * float(layer.step)
    fidelity = decoded[FIDELITY]
    return np.asarray(to_counts(to_units(fidelity, noise) + back, noise) - fidelity, np.float32)


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
