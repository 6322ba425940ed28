"""Chunks <-> arrays: what the Zarr codec does, without Zarr.

Chunks at the ends of an array are as large as all others; what lies beyond the array is not coded, and comes
back as the fill value.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.store.container import StoredTile, StoreError, pack, pack_chunk, unpack, unpack_chunk
from napari_rdpdenoise.store.embedded import load_embedded
from napari_rdpdenoise.store.selection import Part
from napari_rdpdenoise.store.tile.decoding import decode_tile, needs_model
from napari_rdpdenoise.store.tile.encoding import encode_tile, plain_tile
from napari_rdpdenoise.store.tile.terms import Residual
from napari_rdpdenoise.store.view import View

if TYPE_CHECKING:
    from napari_rdpdenoise.codec import Codec
    from napari_rdpdenoise.settings import RunSettings

# One tile takes a few hundred MB while it is decoded, and uses all cores: threads of a reader take turns.
_TURN = threading.Lock()
_KNOWN: dict[str, Codec] = {}


def encode_chunk(
    pixels: NDArray[Any], settings: RunSettings, residual: Residual, fill_value: Any, codec: Codec
) -> bytes:
    """Denoise and code a chunk by itself: each plane is looked at alone, with no margin.

    Args:
        pixels: Raw counts, (..., rows, columns).
        settings: Settings of each plane: rate, camera and what else decides how it is denoised.
        residual: How much of the original is kept.
        fill_value: Value of pixels beyond the array.
        codec: Model.

    Raises:
        ValueError: If a plane has too many pixels.
    """
    planes = pixels.reshape(-1, *pixels.shape[-2:])
    with _TURN:
        return pack_chunk(_encoded(plane, settings, residual, fill_value, codec) for plane in planes)


def plain_chunk(pixels: NDArray[Any]) -> bytes:
    """A chunk whose pixels, (..., rows, columns), are kept as they are."""
    planes = pixels.reshape(-1, *pixels.shape[-2:])
    return pack_chunk(pack(plain_tile(plane)) for plane in planes)


def decode_chunk(
    data: bytes,
    shape: tuple[int, ...],
    dtype: np.dtype,
    fill_value: Any,
    view: View,
    part: Part | None = None,
) -> NDArray[Any]:
    """Pixels of a chunk.

    Args:
        data: Bytes of `encode_chunk`, or of a store.
        shape: Shape of the chunk, (..., rows, columns).
        dtype: Number type of the array.
        fill_value: Value of pixels that are not stored.
        view: What is read of it.
        part: Part that is wanted; None for all. Beyond it pixels may be anything.

    Returns:
        Counts of that shape and type.

    Raises:
        DecoderMissing: If the model has no realism decoder, and realism is above 0.
        FileNotFoundError: If the model is not here.
        StoreError: If the bytes are damaged or foreign, or the original was not kept.
    """
    out = np.full((math.prod(shape[:-2]), *shape[-2:]), fill_value, dtype)
    for number, (plane, packed) in enumerate(zip(out, unpack_chunk(data, len(out)), strict=True)):
        if part is not None and number not in part.planes:
            continue
        tile = unpack(packed)
        if tile.shape[0] > shape[-2] or tile.shape[1] > shape[-1] or tile.dtype != dtype:
            raise StoreError(
                f"chunk: expected {dtype} of at most {shape[-2]} x {shape[-1]} pixels, found {tile.dtype} of "
                f"{tile.shape[0]} x {tile.shape[1]}; it is not one of this array"
            )
        codec = codec_of(tile) if needs_model(tile, view) else None
        wanted = None if part is None else (part.rows, part.columns)
        with _TURN:
            plane[: tile.shape[0], : tile.shape[1]] = decode_tile(tile, view, codec, wanted)
    return out.reshape(shape)


def remember(codec: Codec) -> None:
    """Keep a model in hand for reading what it codes, wherever its weights lie."""
    _KNOWN[codec.digest.hex()] = codec.at("float32")


def codec_of(tile: StoredTile) -> Codec:
    """The model that coded a tile; loaded on first use.

    Raises:
        FileNotFoundError: If it is not here.
        StoreError: If the tile has no latents of any model.
    """
    from napari_rdpdenoise.codec.bitstream import BitstreamError
    from napari_rdpdenoise.codec.bitstream import unpack as unpack_latents

    try:
        digest = unpack_latents(tile.latents).model_digest.hex()
    except BitstreamError as error:
        raise StoreError(f"chunk: expected latents, found others: {error}") from error
    return load_codec(digest)


def load_codec(digest: str, name: str = "") -> Codec:
    """The model of a digest among those that are here, else in a store that was opened; loaded on first use.

    Args:
        digest: First 32 hexadecimal digits of the sha256 of its weights.
        name: Name by which it was known where it was used; empty for none.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If a store holds another in its place.
    """
    from napari_rdpdenoise.codec.device import shared_codec
    from napari_rdpdenoise.codec.library import list_models
    from napari_rdpdenoise.files import models_folder

    known = _KNOWN.get(digest)
    if known is None:
        folder = next((model.folder for model in list_models() if model.digest == digest), None)
        found = load_embedded(digest) if folder is None else shared_codec(folder, "auto")
        if found is None:
            raise FileNotFoundError(
                f"model: expected the one that coded this store, {name or 'of digest'} {digest}, found none "
                f"here; put its folder into {models_folder()}, or, where the store holds it, open the store "
                "with open_store or open_image of this package first"
            )
        known = _KNOWN[digest] = found.at("float32")
    return known


def _encoded(
    plane: NDArray[Any], settings: RunSettings, residual: Residual, fill_value: Any, codec: Codec
) -> bytes:
    inside = _without_fill(plane, fill_value)
    if inside.size == 0:
        inside = plane[:1, :1]
    if inside.min() == inside.max():
        return pack(plain_tile(inside))
    return pack(_denoised(inside, settings, residual, codec))


def _without_fill(plane: NDArray[Any], fill_value: Any) -> NDArray[Any]:
    """A plane without the last rows and columns that are all fill value."""
    held = plane != fill_value
    rows, columns = (np.flatnonzero(held.any(axis)) for axis in (1, 0))
    if not rows.size:
        return plane[:0, :0]
    return np.ascontiguousarray(plane[: rows[-1] + 1, : columns[-1] + 1])


def _denoised(plane: NDArray[Any], settings: RunSettings, residual: Residual, codec: Codec) -> StoredTile:
    from napari_rdpdenoise.io import SelectedSource
    from napari_rdpdenoise.io.arrays import ArraySource
    from napari_rdpdenoise.nn.decoder_names import FIDELITY
    from napari_rdpdenoise.stream.plan import Plan
    from napari_rdpdenoise.stream.prepare import make_plan
    from napari_rdpdenoise.stream.tile import TileTask

    source = ArraySource(plane, "YX")
    plan = next(step for step in make_plan(source, settings, codec) if isinstance(step, Plan))
    (work,) = plan.works
    task = TileTask(SelectedSource(source), plan, codec, None, (FIDELITY,))
    item = task.read(work)
    task.encode([item])
    (decoded,) = task.decode([item])
    decode = decoded[FIDELITY] if item.plain is None else item.plain
    return encode_tile(item, decode, codec, residual)
