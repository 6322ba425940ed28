"""Writing a store: an OME-Zarr 0.5 whose full resolution is coded tiles; lower ones are stored plainly.

While it grows, every chunk is a file of its own, so that an interrupted run goes on and parts share none; at
the end they come into shards. Half the resolution grows beside it, tile by tile, so that nothing has to be
decoded at the end. What is coded is what a run of the same settings gives::

    <folder>/tiles/...      coded chunks of the full resolution
    <folder>/halves/...     pixels of half of it, where there are lower resolutions
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.codec import Codec
from napari_rdpdenoise.codec.bitstream import unpack as unpack_latents
from napari_rdpdenoise.codec.library import ListedModel
from napari_rdpdenoise.files import atomic
from napari_rdpdenoise.io.output.pyramid import mean_2x2
from napari_rdpdenoise.io.output.sharding import MAX_CHUNK
from napari_rdpdenoise.io.output.sink import Output
from napari_rdpdenoise.io.output.spec import OutputSpec
from napari_rdpdenoise.io.output.zarr_writer import ZarrSink
from napari_rdpdenoise.io.source import Index
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.store.chunk import remember
from napari_rdpdenoise.store.container import StoredTile, pack, pack_chunk, unpack, unpack_chunk
from napari_rdpdenoise.store.embedded import embed, is_worth, source_of, weights_bytes
from napari_rdpdenoise.store.layers import LOSSLESS
from napari_rdpdenoise.store.settings import check_settings
from napari_rdpdenoise.store.shards import chunks_together, put_chunks
from napari_rdpdenoise.store.tile.decoding import tile_of_decode
from napari_rdpdenoise.store.tile.encoding import encode_tile, plain_tile
from napari_rdpdenoise.store.tile.terms import RESIDUALS, Residual
from napari_rdpdenoise.store.zarr_codec import RdpDenoiseCodec, register
from napari_rdpdenoise.stream.loaded import LoadedTile
from napari_rdpdenoise.tiles import regular_chunk, regular_tile

STORE = "store"
"""Key, below ``napari_rdpdenoise``, of what a store tells of itself."""

CHOSEN = ("axes", "series", "stack", "channels", "time")
"""Settings that say which image of the input it holds, and what of it."""

_SHOWN = 4  # places along each axis whose planes are decoded to find the range of values


def store_output(
    path: Path,
    spec: OutputSpec,
    settings: RunSettings,
    codec: Codec,
    residual: Residual,
    embed_model: bool | None = None,
) -> Output:
    """A store as an output that is to be made.

    Args:
        path: Path of the result, which ends with ``.zarr``.
        spec: What it has to hold.
        settings: Settings of the run.
        codec: Model of the run.
        residual: How much of the original is kept.
        embed_model: Whether the store holds the model; None where the image is ten times as large.

    Raises:
        ValueError: If the ending is another, the settings do not fit, or the model that it is to hold is not
            found.
    """
    check_settings(settings)
    if residual not in RESIDUALS:
        raise ValueError(f"residual: expected one of {', '.join(RESIDUALS)}, found {residual!r}")
    if path.suffix.lower() != ".zarr":
        raise ValueError(f"output: expected a store that ends with .ome.zarr, found {path.name!r}")
    held = model_to_embed(spec, settings, codec, embed_model)

    def blocks(folder: Path | None) -> StoreSink:
        return StoreSink(_Making(path, spec, folder), settings, codec, residual, held)

    return Output(path, _identity(spec, codec, residual), blocks)


def model_to_embed(
    spec: OutputSpec, settings: RunSettings, codec: Codec, asked: bool | None
) -> ListedModel | None:
    """The model that a store is to hold; None for none."""
    if asked is False:
        return None
    found = source_of(codec, settings.model)
    if found is None and asked:
        raise ValueError(
            f"embed_model: expected the files of the model {codec.card.name}, found none of its digest; give "
            "the model by the path of its folder, or leave embed_model out"
        )
    raw = math.prod(spec.shape) * spec.dtype.itemsize
    return found if found is not None and (asked or is_worth(found, raw)) else None


class _Making(NamedTuple):
    """Path of a result, what it has to hold, and the folder of its blocks, None for the usual one."""

    target: Path
    spec: OutputSpec
    folder: Path | None


class StoreSink(ZarrSink):
    """A sink that keeps tiles as they are coded.

    Args:
        making: What is made, and where.
        settings: Settings of the run.
        codec: Model of the run.
        residual: How much of the original is kept.
        held: Model that it holds; None for none.
    """

    def __init__(
        self,
        making: _Making,
        settings: RunSettings,
        codec: Codec,
        residual: Residual,
        held: ListedModel | None = None,
    ) -> None:
        self._codec, self._residual, self._held = codec, residual, held
        self._chosen = settings.model_dump(mode="json", include=set(CHOSEN))
        self._coded = _coded_by(codec, residual)
        remember(codec)
        register()
        super().__init__(*making)
        self._half = self._open_half()

    def take(self, item: LoadedTile, image: NDArray[np.float32]) -> int:
        """Code one tile of a run and write it; ``image`` is its result, raw counts, with the halo."""
        codec = self._codec.at("float32")
        decode = image if item.plain is None else item.plain
        if self._codec.precision != "float32" and item.latents is not None:
            decode = codec.decode([item.latents])[0].first  # as readers will
        tile = encode_tile(item, decode, codec, self._residual)
        core, noise = item.work.tile.core, item.plan.normalization.noise
        self._put(item.work.index, *core, tile)
        if self._half is not None:
            shown = tile_of_decode(tile, decode[item.work.tile.core_in_outer], noise)
            self._put_half(item.work.index, *core, shown)
        return 0

    def notes(self) -> list[str]:
        """Say of how many tiles the original is kept losslessly, because what was removed is no noise."""
        found = super().notes()
        spreads = [spread for spread in map(_spread_of, self._chunk_files()) if spread]
        if not spreads:
            return found
        return [
            *found,
            f"{len(spreads)} tiles: what was removed spreads up to {max(spreads):.1f} times as far as the "
            "noise that was measured; the original of these is kept losslessly, which takes more room "
            "(--camera tells the noise)",
        ]

    def write(self, index: Index, y: slice, x: slice, block: np.ndarray) -> None:
        """Write one block of one plane as it is, losslessly: shape ``(rows, columns)``."""
        self.spec.check_block(index, y, x, block)
        self._put(index, y, x, plain_tile(block))
        if self._half is not None:
            self._put_half(index, y, x, block)

    @property
    def model_words(self) -> str:
        """Whether the store holds its model, in words."""
        model = f"{self._coded.model} ({self._coded.digest[:8]})"
        if self._held is None:
            return f"The store is read where the model {model} is installed (--embed-model keeps it inside)."
        return f"The store holds its model {model}: {weights_bytes(self._held) / 1e6:.1f} MB."

    def _put(self, index: Index, y: slice, x: slice, tile: StoredTile) -> None:
        rows, columns = self.array.chunks[-2:]
        place = (*self.layout.index(index), y.start // rows, x.start // columns)
        path = self._blocks.joinpath("c", *map(str, place))
        with self._space_told(), self._lock:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic(path) as fresh:
                fresh.write_bytes(pack_chunk([pack(tile)]))
            self._unsynced.add(path)

    def _put_half(self, index: Index, y: slice, x: slice, block: np.ndarray) -> None:
        """Write half the resolution of one block; blocks begin at even rows and columns."""
        half = mean_2x2(block)
        rows, columns = self._half.chunks[-2:]
        stored, place = self.layout.index(index), (y.start // 2, x.start // 2)
        region = tuple(slice(start, start + n) for start, n in zip(place, half.shape, strict=True))
        chunk = (*stored, place[0] // rows, place[1] // columns)
        with self._space_told(), self._lock:
            self._half[(*stored, *region)] = half
            self._unsynced.add(self._halves.joinpath("c", *map(str, chunk)))

    def _chunk_files(self) -> Iterator[Path]:
        return (file for file in (self._blocks / "c").rglob("*") if file.name.isdecimal() and file.is_file())

    def _identity(self) -> str:
        return _identity(self.spec, self._codec, self._residual)

    @property
    def _blocks(self) -> Path:
        return self.folder / "tiles"

    @property
    def _halves(self) -> Path:
        return self.folder / "halves"

    @property
    def block_folders(self) -> tuple[Path, ...]:
        """Folders whose files, named by numbers, are all that is written of blocks."""
        return (*super().block_folders, *(() if self._half is None else (self._halves / "c",)))

    def _open_half(self) -> Any:
        """The array in which half the resolution grows; None where there are no lower ones."""
        import zarr
        from zarr.codecs import BloscCodec

        if max(self.layout.shape[-2:]) <= MAX_CHUNK:
            return None
        if (self._halves / "zarr.json").is_file():
            return zarr.open_array(self._halves, mode="r+")
        leading, edges = self.layout.shape[:-2], self.array.chunks[-2:]
        return zarr.create_array(
            self._halves,
            shape=(*leading, *((size + 1) // 2 for size in self.layout.shape[-2:])),
            dtype=self.spec.dtype,
            chunks=(*(1 for _ in leading), *((edge + 1) // 2 for edge in edges)),
            compressors=BloscCodec(),
            fill_value=0,
            overwrite=True,
        )

    def _create_blocks(self) -> Any:
        import zarr

        zarr.create_group(self.image)
        return self._create(self._blocks, self._coded, self.layout.shape[-2:])

    def _halve(self, number: int, level: Any) -> Any:
        """Half the resolution: the first time it is there already."""
        return self._halve_of(self._half) if number == 1 else super()._halve(number, level)

    def _halve_of(self, half: Any) -> Any:
        array = self._create_level("1", half.shape[-2:])
        steps = array.chunks[-2:]
        for index in np.ndindex(*half.shape[:-2]):
            for y, x in product(*map(range, (0, 0), half.shape[-2:], steps)):
                region = (*index, slice(y, y + steps[0]), slice(x, x + steps[1]))
                array[region] = half[region]
        return array

    def _create_level(self, name: str, plane: tuple[int, int]) -> Any:
        """A new array of a lower resolution, which is kept as it is: to code it would denoise it again."""
        return self._create(self.image / name, RdpDenoiseCodec("", residual="lossless"), plane)

    def _create(
        self,
        path: Path,
        codec: RdpDenoiseCodec,
        plane: tuple[int, ...],
        together: tuple[int, ...] | None = None,
    ) -> Any:
        """A new array of ``plane``, rows and columns, so many ``together`` in a shard, or without shards."""
        import zarr

        shape = (*self.layout.shape[:-2], *plane)
        plane = regular_chunk(plane, regular_tile(plane, self.spec.tile))
        return zarr.create_array(
            path,
            shape=shape,
            dtype=self.spec.dtype,
            chunks=(*(1 for _ in self.layout.shape[:-2]), *plane),
            shards=None if together is None else (*together, *plane),
            serializer=codec,
            compressors=None,
            fill_value=0,
            dimension_names=tuple(self.layout.axes.lower()),
            overwrite=True,
        )

    def _finest(self) -> Any:
        """The full resolution: coded chunks in shards."""
        leading, chunk = self.layout.shape[:-2], self.array.chunks
        together = chunks_together(leading, math.prod(chunk) * self.spec.dtype.itemsize)
        codec = self._coded
        if len(found := {(entry["rate"], tuple(entry["noise"])) for entry in self._channels_found()}) == 1:
            ((rate, noise),) = found
            codec = replace(codec, rate=rate, noise=noise)
        shared = together if math.prod(together) > 1 else None
        array = self._create(self.image / "0", codec, self.layout.shape[-2:], shared)
        put_chunks(self._blocks, array, self.image / "0")
        if self._held is not None:
            embed(self._held, self.image / "0")
        return array

    def _further(self) -> dict[str, Any]:
        coded = self._coded
        told = {"model": coded.model, "digest": coded.digest, "residual": coded.residual}
        return {STORE: {**told, "channels": self._channels_found(), "chosen": self._chosen}}

    def _channels_found(self) -> list[dict[str, Any]]:
        """Rate and noise of each stored channel, as its first plane tells; without channels of opacity."""
        axes = self.layout.axes
        count = self.layout.shape[axes.index("C")] if "C" in axes else 1
        found = []
        for number in range(count):
            place = [number if axis == "C" else 0 for axis in axes]
            (data,) = unpack_chunk(self._blocks.joinpath("c", *map(str, place)).read_bytes(), 1)
            if latents := unpack(data).latents:
                head = unpack_latents(latents).header
                noise = [head.gain, head.offset, head.read_noise]
                found.append({"channel": number, "rate": head.rate, "noise": noise})
        return found

    def _shown(self, leading: tuple[int, ...]) -> Iterable[Index]:
        """A few planes of each channel, where those that are looked at have to be decoded."""
        if max(self.layout.shape[-2:]) > MAX_CHUNK:
            return super()._shown(leading)
        steps = [
            1 if axis == "C" else -(-size // _SHOWN)
            for axis, size in zip(self.layout.axes, leading, strict=False)
        ]
        return product(*(range(0, size, step) for size, step in zip(leading, steps, strict=True)))


def _coded_by(codec: Codec, residual: Residual) -> RdpDenoiseCodec:
    return RdpDenoiseCodec(codec.card.name, codec.digest.hex(), residual=residual)


def _identity(spec: OutputSpec, codec: Codec, residual: Residual) -> str:
    """Text that tells an unfinished store from all else."""
    return json.dumps([spec.identity, _coded_by(codec, residual).to_dict()])


def _spread_of(chunk: Path) -> float:
    """Spread of the residual of a chunk whose original is kept losslessly because of that; 0 for others."""
    (data,) = unpack_chunk(chunk.read_bytes(), 1)
    layer = unpack(data).layers.get(LOSSLESS)
    return 0.0 if layer is None else layer.step
