"""An OME-Zarr that grows along T, for an image that is not all there yet.

While it grows it lies in ``<target>.partial/image`` as an ordinary OME-Zarr of one resolution. When it is
finished it gets the lower resolutions and appears at its path as any other result.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from napari_rdpdenoise.io.output.sharding import create_array, planes_per_shard
from napari_rdpdenoise.io.output.spec import OutputSpec
from napari_rdpdenoise.io.output.storage import store_layout
from napari_rdpdenoise.io.output.zarr_writer import ZarrSink
from napari_rdpdenoise.io.source import Index

_MANY = 2**20  # time points: so many are meant to come


class GrowingSink(ZarrSink):
    """A `ZarrSink` whose spec changes along T by `fit`; what was marked done stays over an interruption.

    Args:
        target: Path of the result.
        spec: What it holds to begin with; ``job`` is the same for a run that goes on, whatever has come.
    """

    def __init__(self, target: Path, spec: OutputSpec) -> None:
        super().__init__(target, spec)
        self.fit(spec)

    def _identity(self) -> str:
        spec = self.spec
        others = [size for axis, size in zip(spec.axes, spec.shape, strict=True) if axis != "T"]
        content = (1, spec.axes, others, spec.dtype.name, spec.tile, spec.job)
        return json.dumps({"growing": content})

    def _create_blocks(self) -> Any:
        import zarr

        axis, shape = self.layout.axes.index("T"), self.layout.shape
        leading = (*shape[:axis], _MANY, *shape[axis + 1 : -2])
        together = planes_per_shard(leading, (shape[-2], shape[-1]), self.spec)
        group = zarr.create_group(self.image)
        array = create_array(group, "0", self.layout, self.spec, (shape[-2], shape[-1]), together)
        group.update_attributes({"ome": {"version": "0.5", "multiscales": [self._multiscale(1)]}})
        return array

    def _written(self, index: Index, y: slice, x: slice, block: np.ndarray) -> set[Path]:
        """Nothing: lower resolutions are made at the end, when their shapes are known."""
        return set()

    def fit(self, spec: OutputSpec) -> None:
        """Take time points up to those of a spec that is the same but for these.

        Fewer than before are fewer in the result; blocks of those behind are not shown.
        """
        with self._space_told(), self._lock:
            self._store_collected()
            self._collected.clear()  # their regions end where the image ended
            self.spec, self.layout = spec, store_layout(spec, time_channel_depth=True)
            wanted = tuple(map(max, self.array.shape, self.layout.shape))
            if wanted != self.array.shape:
                self.array.resize(wanted)

    def _complete(self) -> Path:
        if self.array.shape != self.layout.shape:
            self.array.resize(self.layout.shape)
        return super()._complete()
