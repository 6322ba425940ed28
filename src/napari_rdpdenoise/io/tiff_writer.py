"""OME-TIFF output: blocks are staged in a zarr array, then streamed into a tiled, compressed OME-TIFF.

A TIFF cannot be written in any order and continued after an interruption; the staging array can.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from napari_rdpdenoise.files import remove
from napari_rdpdenoise.io.spec import OutputSpec
from napari_rdpdenoise.io.staging import Staging, sync
from napari_rdpdenoise.io.storage import store_layout
from napari_rdpdenoise.io.units import unit_symbol

_CLASSIC_TIFF_BYTES = 2**32 - 2**26


class TiffSink(Staging):
    """An OME-TIFF that appears at its path when finished; axes other than T and Z are stored as channels.

    Raises:
        ValueError: If the dtype is float16, which OME-TIFF does not have.
    """

    def __init__(self, target: Path, spec: OutputSpec) -> None:
        if spec.dtype == np.float16:
            raise ValueError(
                "dtype: expected one that OME-TIFF has, found float16; "
                "write OME-Zarr (.ome.zarr) or ask for float32 "
                "(--dtype float32 on the command line, Output type under Advanced)"
            )
        super().__init__(target, spec, store_layout(spec, time_channel_depth=False))

    def _complete(self) -> Path:
        """Stream the blocks into the file."""
        import tifffile

        staged = self.folder / "image.ome.tif"
        remove(staged)
        rows, columns = (
            -(-chunk // 16) * 16 for chunk in self.array.chunks[-2:]
        )  # TIFF wants multiples of 16
        raw_bytes = int(np.prod(self.layout.shape, dtype=np.int64)) * self.spec.dtype.itemsize
        with tifffile.TiffWriter(staged, bigtiff=raw_bytes > _CLASSIC_TIFF_BYTES, ome=True) as tif:
            tif.write(
                self._tiles(rows, columns),
                shape=self.layout.shape,
                dtype=self.spec.dtype,
                tile=(rows, columns),
                photometric="minisblack",
                compression="zlib",
                predictor=self.spec.dtype.kind in "iu",
                software="napari-rdpdenoise",
                metadata=self._ome_metadata(),
            )
        sync(staged)
        return staged

    def _tiles(self, rows: int, columns: int) -> Iterator[np.ndarray]:
        height, width = self.layout.shape[-2:]
        for index in np.ndindex(*self.layout.shape[:-2]):
            for y in range(0, height, rows):
                for x in range(0, width, columns):
                    block = self.array[(*index, slice(y, y + rows), slice(x, x + columns))]
                    yield np.pad(block, ((0, rows - block.shape[0]), (0, columns - block.shape[1])))

    def _ome_metadata(self) -> dict[str, Any]:
        known = self.spec.metadata
        found: dict[str, Any] = {
            "axes": self.layout.axes,
            "Creator": "napari-rdpdenoise",
            # not random: a run that was interrupted gives the same file as one that was not
            "UUID": str(uuid.uuid5(uuid.NAMESPACE_URL, f"napari-rdpdenoise:{self._identity()}")),
        }
        if known.name:
            found["Name"] = known.name
        if self.spec.job:
            found["Description"] = self.spec.job
        for axis in "XYZ":
            if axis in known.scale:
                found[f"PhysicalSize{axis}"] = float(known.scale[axis])
                # without a unit OME-XML means micrometres, so say that they are not
                found[f"PhysicalSize{axis}Unit"] = unit_symbol(known.units.get(axis)) or "pixel"
        time_unit = unit_symbol(known.units.get("T"))
        if "T" in known.scale and time_unit:
            found["TimeIncrement"] = float(known.scale["T"])
            found["TimeIncrementUnit"] = time_unit
        if self.layout.channel_names and "C" in self.layout.axes:
            found["Channel"] = {"Name": list(self.layout.channel_names)}
        return found
