"""Opening stores: as ordinary Zarr arrays that are read with a chosen realism, or in the original layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import zarr
from zarr.core.array import AsyncArray

from napari_rdpdenoise.store.container import StoredTile, unpack, unpack_chunk
from napari_rdpdenoise.store.shards import read_chunks
from napari_rdpdenoise.store.view import StoredLayer, View, current_view
from napari_rdpdenoise.store.zarr_codec import RdpDenoiseCodec, register

__all__ = ["StoredChunk", "codec_in", "iter_chunks", "open_group", "open_store", "viewed"]


def open_store(
    path: str | Path, *, realism: float | None = None, layer: StoredLayer | None = None, level: int = 0
) -> Any:
    """Open a store as a Zarr array, which dask, napari and NumPy take as any other.

    Args:
        path: Path or URL of the store.
        realism: Realism of the denoised image, 0 (lowest error) to 1 (most natural texture); None for what
            `store_view` or the environment says, else 0.
        layer: "denoised", or "original" where the store has a residual layer; None as for realism.
        level: Resolution, 0 for the full one. Lower ones are of the denoised image at realism 0.

    Returns:
        Zarr array of counts, read-only, axes as stored (``metadata.dimension_names``), of the number type of
        what was denoised.

    Raises:
        FileNotFoundError: If there is nothing.
        ValueError: If it is no store, there is no such resolution, or an argument is out of its range.
    """
    view, group = current_view(realism, layer), open_group(path)
    multiscales = dict(group.attrs).get("ome", {}).get("multiscales") or [{}]
    paths = [entry["path"] for entry in multiscales[0].get("datasets", [{"path": "0"}])]
    if not 0 <= level < len(paths):
        raise ValueError(f"level: expected 0 to {len(paths) - 1}, found {level}")
    return viewed(group[paths[level]], view)


def open_group(path: str | Path) -> Any:
    """The Zarr group of a store, read-only.

    Raises:
        FileNotFoundError: If there is nothing.
        ValueError: If it is no store.
    """
    register()
    try:
        node = zarr.open(str(path), mode="r")
    except FileNotFoundError:
        raise FileNotFoundError(f"store: expected one at {path}, found nothing") from None
    array = node if isinstance(node, zarr.Array) else node.get("0")
    if isinstance(node, zarr.Array) or not isinstance(array, zarr.Array) or codec_in(array) is None:
        raise ValueError(
            f"store: expected an OME-Zarr that `store create` wrote, found another at {path}; open it with "
            "open_image"
        )
    _tell(array)
    return node


class StoreArray(zarr.Array):
    """A Zarr array that finds the model that its store holds in whatever process it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, (self.async_array,)


def _arrived(array: Any) -> StoreArray:
    found = StoreArray(array)
    _tell(found)
    return found


def _tell(array: Any) -> None:
    """Let the codec of an array know where that lies: the model may lie there as well."""
    codec, place = codec_in(array), array_folder(array)
    if codec is not None and place is not None:
        codec.found_in(place)


def array_folder(array: Any) -> Path | None:
    """Folder of an array on this machine; None for one elsewhere, or in a zip."""
    root = getattr(array.store, "root", None)
    return Path(root) / array.path if isinstance(root, str | Path) else None


def viewed(array: Any, view: View) -> Any:
    """A Zarr array whose chunks are read in this way, in whatever thread or process."""
    metadata = replace(array.metadata, codecs=tuple(_viewed(codec, view) for codec in array.metadata.codecs))
    return StoreArray(AsyncArray(metadata, array.store_path, array.async_array._config))


def codec_in(array: Any) -> RdpDenoiseCodec | None:
    """The codec of a Zarr array, within shards as well; None where it has another."""
    codecs = list(getattr(array.metadata, "codecs", ()))
    while codecs:
        codec = codecs.pop()
        if isinstance(codec, RdpDenoiseCodec):
            return codec
        codecs += getattr(codec, "codecs", ())
    return None


def _viewed(codec: Any, view: View) -> Any:
    if isinstance(codec, RdpDenoiseCodec):
        return codec.viewed(view)
    if inner := getattr(codec, "codecs", ()):
        return replace(codec, codecs=tuple(_viewed(each, view) for each in inner))
    return codec


@dataclass(frozen=True)
class StoredChunk:
    """A chunk of a store that is not decoded.

    Attributes:
        place: Number of the chunk along each axis.
        size: Bytes.
        tiles: Its tiles, one for each plane.
    """

    place: tuple[int, ...]
    size: int
    tiles: tuple[StoredTile, ...]


def iter_chunks(path: str | Path) -> Iterator[StoredChunk]:
    """All chunks of a store's full resolution that are there, without decoding them.

    Raises:
        FileNotFoundError: If there is nothing at the path, which is that of a folder.
        ValueError: If it is no store.
        StoreError: If a chunk is damaged.
    """
    array = open_group(path)["0"]
    planes = math.prod(array.chunks[:-2])
    for place, data in read_chunks(Path(path) / "0", array):
        tiles = tuple(unpack(part) for part in unpack_chunk(data, planes))
        yield StoredChunk(place, len(data), tiles)
