"""A tile of a run -> what a store keeps of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.store import layers
from napari_rdpdenoise.store.container import Layer, StoredTile
from napari_rdpdenoise.store.tile.terms import LEAST_SHARE, Residual, dither
from napari_rdpdenoise.store.units import to_units

if TYPE_CHECKING:
    from napari_rdpdenoise.codec import Codec
    from napari_rdpdenoise.noise import NoiseModel
    from napari_rdpdenoise.stream.loaded import LoadedTile

FAR = 1.6
"""Noise standard deviations of a residual from which it is none: the original is then kept losslessly."""

_FINE = 2.0  # counts of a step, below which the original itself may be smaller
_STRUCTURE_STEP = 0.5  # noise standard deviations
_TEXTURE_STEP = 0.25  # the same: its rounding is a fourteenth of the noise
_MOST = 1e6  # noise standard deviations of a spread that is told


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
    back = item.back
    if back is not None and back.share.min() == 1 and (item.kept is None) and item.read is None:
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
    if back is not None and back.texture is not None:
        kept |= _texture(decode[place], back.texture[place], noise)
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
    if item.back is not None and (packed := layers.pack_share(item.back.share[place])).strip(b"\0"):
        share = layers.unpack_share(packed, difference.shape)
        if (share >= LEAST_SHARE).any():
            kept[layers.SHARE] = Layer(packed)
            if residual == "none":
                weight = np.where(share >= LEAST_SHARE, share, 0)
                steps = layers.to_steps(weight * difference, _STRUCTURE_STEP)
                kept[layers.STRUCTURE] = Layer(layers.pack_steps(steps), _STRUCTURE_STEP)
    if residual == "lossless":
        kept[layers.LOSSLESS] = Layer(layers.pack_lossless(original))
    elif residual != "none":
        kept.update(_smaller(item, difference, original, float(residual)))
    return kept


def _texture(
    decode: NDArray[np.float32], texture: NDArray[np.float32], noise: NoiseModel
) -> dict[str, Layer]:
    """Texture that went back, in steps of the noise; nothing where it is less than a step everywhere."""
    steps = layers.to_steps(_difference(decode + texture, decode, noise), _TEXTURE_STEP)
    return {layers.TEXTURE: Layer(layers.pack_steps(steps), _TEXTURE_STEP)} if steps.any() else {}


def _smaller(
    item: LoadedTile, difference: NDArray[np.float64], original: NDArray[Any], step: float
) -> dict[str, Layer]:
    """The residual in steps, or the original itself where steps finer than counts make that smaller."""
    offsets = dither(original.shape, item.work.seed, (item.work.tile.y0, item.work.tile.x0))
    packed = Layer(layers.pack_steps(layers.to_steps(difference + step * offsets, step)), step)
    noise = item.plan.normalization.noise
    counts = step * float(np.sqrt(noise.variance(float(np.median(np.asarray(item.raw, np.float64))))))
    if original.dtype.kind in "iu" and counts < _FINE:
        plain = Layer(layers.pack_lossless(original))
        if len(plain.data) <= len(packed.data):
            return {layers.LOSSLESS: plain}
    return {layers.RESIDUAL: packed}
