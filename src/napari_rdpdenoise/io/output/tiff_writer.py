"""OME-TIFF output: blocks are staged in a zarr array, then streamed into a tiled, compressed OME-TIFF.

A TIFF cannot be written in any order and continued after an interruption; the staging array can.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from napari_rdpdenoise.axes import colour_count, colours_last, has_colours
from napari_rdpdenoise.files import remove
from napari_rdpdenoise.io.metadata import with_origin
from napari_rdpdenoise.io.ome_writer import OmeWriter
from napari_rdpdenoise.io.output.disk import sync
from napari_rdpdenoise.io.output.spec import OutputSpec
from napari_rdpdenoise.io.output.staging import Staging
from napari_rdpdenoise.io.output.storage import store_layout

_CLASSIC_TIFF_BYTES = 2**32 - 2**26


class TiffSink(Staging):
    """An OME-TIFF that appears at its path when finished; axes other than T and Z are stored as channels.

    Colours are stored as colours, with opacity where there is one.

    Raises:
        ValueError: If the dtype is float16, which OME-TIFF does not have.
    """

    copies = 2.0  # blocks, and the file made of them

    def __init__(self, target: Path, spec: OutputSpec, folder: Path | None = None) -> None:
        if spec.dtype == np.float16:
            raise ValueError(
                "dtype: expected one that OME-TIFF has, found float16; "
                "write OME-Zarr (.ome.zarr) or ask for float32 "
                "(--dtype float32 on the command line, Output type under More)"
            )
        super().__init__(target, spec, store_layout(spec, time_channel_depth=False), folder)

    def _complete(self) -> Path:
        """Stream the blocks into the file."""
        import tifffile

        staged = self.folder / "image.ome.tif"
        remove(staged)
        rows, columns = (
            -(-chunk // 16) * 16 for chunk in self.array.chunks[-2:]
        )  # TIFF wants multiples of 16
        raw_bytes = int(np.prod(self.layout.shape, dtype=np.int64)) * self.spec.dtype.itemsize
        axes, shape = self._file_layout()
        with tifffile.TiffWriter(staged, bigtiff=raw_bytes > _CLASSIC_TIFF_BYTES, ome=False) as tif:
            tif.write(
                self._colour_tiles(rows, columns) if has_colours(axes) else self._tiles(rows, columns),
                shape=shape,
                dtype=self.spec.dtype,
                tile=(rows, columns),
                compression="zlib",
                predictor=self.spec.dtype.kind in "iu",
                software="napari-rdpdenoise",
                description=self._ome(axes, shape).encode(),
                metadata=None,
                **self._interpretation(shape[-1] if has_colours(axes) else 1),
            )
        sync(staged)
        return staged

    def _file_layout(self) -> tuple[str, tuple[int, ...]]:
        """Axes and sizes in the file: as staged, but for colours, whose samples come last."""
        axes, shape = self.layout.axes, self.layout.shape
        samples = self._samples
        if samples == 1:
            return axes, shape
        place = axes.index("C")
        if samples == shape[place]:
            axes, shape = axes.replace("C", ""), (*shape[:place], *shape[place + 1 :])
        else:
            shape = (*shape[:place], shape[place] // samples, *shape[place + 1 :])
        return colours_last(axes, colours=True), (*shape, samples)

    @property
    def _samples(self) -> int:
        """Samples of a pixel in the file: channels that are the colours of one image, or of each channel."""
        known, axes = self.spec.metadata, self.spec.axes[:-2]
        like_channels = [axis for axis in axes if axis not in "TZ"]
        if has_colours(axes):
            count = colour_count(self.spec.axes, self.spec.shape)
        elif like_channels == ["C"]:
            count = self.spec.shape[axes.index("C")]
        else:
            return 1
        wanted = {"rgb": (3, 4), "separated": (4,), "cielab": (3,)}.get(known.photometric, ())
        return count if count in wanted or (count == 2 and bool(known.alpha)) else 1

    def _interpretation(self, samples: int) -> dict[str, Any]:
        """What the samples mean, as tifffile takes it."""
        known = self.spec.metadata
        if samples > 1:
            colours = known.photometric if samples > 2 else known.photometric or "minisblack"
            extra = samples - {"separated": 4, "rgb": 3, "cielab": 3}.get(colours, 1)
            return {
                "photometric": colours,
                "planarconfig": "contig",
                "extrasamples": [known.alpha or "unspecified"] * extra,
            }
        if known.photometric == "palette" and known.colormap and self.spec.dtype in (np.uint8, np.uint16):
            table = np.array(known.colormap, np.uint16)
            if table.size == 3 * 2 ** (8 * self.spec.dtype.itemsize):
                return {"photometric": "palette", "colormap": table.reshape(3, -1)}
        return {"photometric": "miniswhite" if known.photometric == "miniswhite" else "minisblack"}

    def _tiles(self, rows: int, columns: int) -> Iterator[np.ndarray]:
        height, width = self.layout.shape[-2:]
        blocks = self.whole_shards()
        for index in np.ndindex(*self.layout.shape[:-2]):
            for y in range(0, height, rows):
                for x in range(0, width, columns):
                    block = blocks[(*index, slice(y, y + rows), slice(x, x + columns))]
                    yield np.pad(block, ((0, rows - block.shape[0]), (0, columns - block.shape[1])))

    def _colour_tiles(self, rows: int, columns: int) -> Iterator[np.ndarray]:
        """Tiles of all samples of a channel together, the samples last."""
        *leading, height, width = self.layout.shape
        place, samples = self.layout.axes.index("C"), self._samples
        leading[place] //= samples
        for index in np.ndindex(*leading):
            first = index[place] * samples
            whole = (*index[:place], slice(first, first + samples), *index[place + 1 :])
            for y in range(0, height, rows):
                for x in range(0, width, columns):
                    block = self.array[(*whole, slice(y, y + rows), slice(x, x + columns))]
                    edge = ((0, 0), (0, rows - block.shape[1]), (0, columns - block.shape[2]))
                    yield np.ascontiguousarray(np.moveaxis(np.pad(block, edge), 0, -1))

    def _ome(self, axes: str, shape: tuple[int, ...]) -> str:
        """OME-XML of the file."""
        # not random: a run that was interrupted gives the same file as one that was not
        identity = uuid.uuid5(uuid.NAMESPACE_URL, f"napari-rdpdenoise:{self.spec.identity}")
        planes = with_origin(self.spec.metadata, self.spec.shape[:-2])
        stored = {} if has_colours(axes) else self.layout.stored_planes(planes)
        staged = "C" in self.layout.axes and not has_colours(axes)
        names = self.layout.channel_names if staged else self.spec.metadata.channel_names
        writer = OmeWriter(self.spec.metadata, axes, shape, self.spec.dtype)
        return writer.text(str(identity), self.spec.job, names, stored)
