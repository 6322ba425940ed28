"""What a store says of itself: how it was made, and where its bytes are. Decodes nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_rdpdenoise.io.output.disk import size_of
from napari_rdpdenoise.store import layers
from napari_rdpdenoise.store.embedded import embedded_bytes
from napari_rdpdenoise.store.reading import array_folder, codec_in, iter_chunks, open_group

__all__ = ["StoreInfo", "StoredChannel", "store_info"]


@dataclass(frozen=True)
class StoredChannel:
    """How a channel was coded.

    Attributes:
        channel: Number on the channel axis.
        rate: Position on the model's rate curve, 0 to 1.
        noise: Gain, offset and read noise, counts.
    """

    channel: int
    rate: float
    noise: tuple[float, float, float]


@dataclass(frozen=True)
class StoreInfo:
    """What a store holds.

    Attributes:
        model: Name of the model.
        digest: First 32 hexadecimal digits of the sha256 of its weights.
        residual: How much of the original is kept: "1", "0.5", "lossless" or "none".
        channels: How each channel was coded.
        shape: Shape, axes as stored.
        axes: Names of the axes as stored.
        dtype: Name of the number type.
        pixels: Number of pixels of the full resolution.
        raw: Bytes of the pixels without any compression.
        size: Bytes on the disk, all files.
        coded: Bytes of the full resolution's tiles by what they are: "latents", "residual", "structure",
            "lossless", "exact", "headers".
        tiles: Number of tiles.
        lossless: Number of tiles whose original is kept losslessly.
        embedded: Bytes of the model that the store holds; 0 for none. They are part of ``size``.
    """

    model: str
    digest: str
    residual: str
    channels: tuple[StoredChannel, ...]
    shape: tuple[int, ...]
    axes: str
    dtype: str
    pixels: int
    raw: int
    size: int
    coded: dict[str, int]
    tiles: int
    lossless: int
    embedded: int = 0

    @property
    def bpp(self) -> float:
        """Bits per pixel, all files."""
        return 8 * self.size / self.pixels


_NAMES = {
    layers.RESIDUAL: "residual",
    layers.STRUCTURE: "structure",
    layers.SHARE: "structure",
    layers.TEXTURE: "structure",
    layers.LOSSLESS: "lossless",
    layers.EXACT: "exact",
}


def store_info(path: str | Path) -> StoreInfo:
    """What a store holds.

    Args:
        path: Folder of the store.

    Raises:
        FileNotFoundError: If there is nothing.
        ValueError: If it is no store.
        StoreError: If a chunk is damaged.
    """
    group = open_group(path)
    array, told = group["0"], attributes(group)
    coded = dict.fromkeys(("latents", "residual", "structure", "lossless", "exact", "headers"), 0)
    tiles = lossless = 0
    for chunk in iter_chunks(path):
        coded["headers"] += chunk.size
        for tile in chunk.tiles:
            parts = [("latents", len(tile.latents))]
            parts += [(_NAMES.get(kind, "exact"), len(layer.data)) for kind, layer in tile.layers.items()]
            for name, size in parts:
                coded[name] += size
                coded["headers"] -= size
            tiles += 1
            lossless += layers.LOSSLESS in tile.layers
    codec, place = codec_in(array), array_folder(array)
    return StoreInfo(
        model=codec.model if codec else "",
        digest=codec.digest if codec else "",
        residual=codec.residual if codec else "",
        channels=tuple(
            StoredChannel(entry["channel"], entry["rate"], tuple(entry["noise"]))
            for entry in told.get("channels", ())
        ),
        shape=tuple(array.shape),
        axes="".join(array.metadata.dimension_names or ()).upper(),
        dtype=array.dtype.name,
        pixels=math.prod(array.shape),
        raw=math.prod(array.shape) * array.dtype.itemsize,
        size=size_of(Path(path)),
        coded={name: size for name, size in coded.items() if size},
        tiles=tiles,
        lossless=lossless,
        embedded=0 if codec is None or place is None else embedded_bytes(place, codec.digest),
    )


def attributes(group: Any) -> dict[str, Any]:
    """What the writer of a store noted in its metadata; empty where another wrote it."""
    ours = dict(group.attrs).get("napari_rdpdenoise")
    found = ours.get("store") if isinstance(ours, dict) else None
    return found if isinstance(found, dict) else {}
