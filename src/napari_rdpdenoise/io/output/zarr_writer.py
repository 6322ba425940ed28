"""OME-Zarr 0.5 output: zarr v3, sharded, with a pyramid of 2x2 means."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from napari_rdpdenoise.axes import has_colours
from napari_rdpdenoise.io.metadata import Channel, to_json
from napari_rdpdenoise.io.output.disk import sync
from napari_rdpdenoise.io.output.pyramid import Pyramid, halvings
from napari_rdpdenoise.io.output.sharding import create_array
from napari_rdpdenoise.io.output.spec import OutputSpec
from napari_rdpdenoise.io.output.staging import Staging
from napari_rdpdenoise.io.output.storage import store_layout
from napari_rdpdenoise.io.source import Index

_COLORS = ("00FF00", "FF00FF", "00FFFF", "FFFF00", "FF0000", "0000FF")
_RGB = ("FF0000", "00FF00", "0000FF", "FFFFFF")
_AXIS_TYPES = {"T": "time", "C": "channel", "Z": "space", "Y": "space", "X": "space"}


class ZarrSink(Staging):
    """An OME-Zarr 0.5 image that appears at its path when finished.

    Axes are stored in the order T, C (or another), Z, Y, X.
    """

    copies = 1.34  # with lower resolutions

    def __init__(self, target: Path, spec: OutputSpec, folder: Path | None = None) -> None:
        super().__init__(target, spec, store_layout(spec, time_channel_depth=True), folder)
        self._pyramid = Pyramid(self.image, self._create_level)

    def _complete(self) -> Path:
        """Add the pyramid and the metadata."""
        import zarr

        levels = [self._finest()]
        for number in range(1, 1 + halvings(self.layout.shape[-2:])):
            levels.append(self._halve(number, levels[-1]))
        job: dict[str, Any] = {"job": _json_or_text(self.spec.job)}
        known = self.spec.metadata
        if further := to_json(known, self.layout.stored_planes(known.planes)):
            job["metadata"] = further
        job.update(self._further())
        group = zarr.open_group(self.image, mode="r+")
        group.update_attributes({"ome": self._ome_attributes(levels), "napari_rdpdenoise": job})
        sync(self.image / "zarr.json")
        return self.image

    def notes(self) -> list[str]:
        """That colours are channels among others, where every channel has its own."""
        axes = self.spec.axes[:-2]
        if not has_colours(axes) or set(axes) <= set("TZS"):
            return []
        return [
            "OME-Zarr has no colours beside channels: the result has one channel for each colour of each "
            "channel (an .ome.tif keeps them as colours)"
        ]

    def _finest(self) -> Any:
        """The full resolution, complete."""
        return self.array

    def _further(self) -> dict[str, Any]:
        """What this kind of file tells of itself beside the job and the metadata."""
        return {}

    def _halve(self, number: int, level: Any) -> Any:
        """Half the resolution; shard by shard, so that memory does not grow with the plane."""
        return self._pyramid.completed(number, level)

    def _written(self, index: Index, y: slice, x: slice, block: np.ndarray) -> set[Path]:
        """Lower resolutions of blocks that are complete."""
        return self._pyramid.add(self.array, index, y, x, block)

    @property
    def block_folders(self) -> tuple[Path, ...]:
        """Folders whose files, named by numbers, are all that is written of blocks."""
        lower = range(1, 1 + halvings(self.layout.shape[-2:]))
        return (*super().block_folders, *(self.image / str(number) / "c" for number in lower))

    def _create_level(self, name: str, plane: tuple[int, int]) -> Any:
        """A new array of a lower resolution, with ``plane`` as rows and columns."""
        import zarr

        group = zarr.open_group(self.image, mode="r+")
        return create_array(group, name, self.layout, self.spec, plane)

    def _ome_attributes(self, levels: list[Any]) -> dict[str, Any]:
        attributes: dict[str, Any] = {"version": "0.5", "multiscales": [self._multiscale(len(levels))]}
        if "C" in self.layout.axes or len(self.spec.metadata.channels) == 1:
            attributes["omero"] = {"channels": self._channels(levels[-1])}
        return attributes

    def _multiscale(self, count: int) -> dict[str, Any]:
        """What is said of the image in so many resolutions."""
        axes, metadata = self.layout.axes, self.spec.metadata
        entries: list[dict[str, str]] = []
        for axis in axes:
            entry = {"name": axis.lower()}
            if axis in _AXIS_TYPES:
                entry["type"] = _AXIS_TYPES[axis]
            if axis in metadata.units and axis in "TZYX":
                entry["unit"] = metadata.units[axis]
            entries.append(entry)
        return {
            "name": metadata.name or self.target.name.split(".")[0],
            "type": "mean",
            "axes": entries,
            "datasets": [self._dataset(number) for number in range(count)],
        }

    def _dataset(self, number: int) -> dict[str, Any]:
        steps = [float(self.spec.metadata.scale.get(axis, 1.0)) for axis in self.layout.axes]
        factors = [2.0**number if axis in "YX" else 1.0 for axis in self.layout.axes]
        transforms: list[dict[str, Any]] = [
            {"type": "scale", "scale": [step * factor for step, factor in zip(steps, factors, strict=True)]}
        ]
        # the middle of the first coarse pixel lies between the fine pixels it is the mean of
        origin = [float(self.spec.metadata.origin.get(axis, 0.0)) for axis in self.layout.axes]
        shift = [
            place + step * (factor - 1) / 2
            for place, step, factor in zip(origin, steps, factors, strict=True)
        ]
        if any(shift):
            transforms.append({"type": "translation", "translation": shift})
        return {"path": str(number), "coordinateTransformations": transforms}

    def _shown(self, leading: tuple[int, ...]) -> Iterable[Index]:
        """Planes from whose values the range of each channel is taken: all."""
        return np.ndindex(*leading)

    def _channels(self, coarsest: Any) -> list[dict[str, Any]]:
        """Name, colour and range of values (of the coarsest resolution) per channel; one without an axis."""
        axis = self.layout.axes.find("C")
        count = coarsest.shape[axis] if axis >= 0 else 1
        low, high = np.full(count, np.inf), np.full(count, -np.inf)
        for index in self._shown(coarsest.shape[:-2]):
            plane = coarsest[index]
            finite = plane[np.isfinite(plane)]
            if finite.size:
                number = index[axis] if axis >= 0 else 0
                low[number] = min(low[number], float(finite.min()))
                high[number] = max(high[number], float(finite.max()))
        colored = has_colours(self.spec.axes) and "C" not in self.spec.axes and count <= len(_RGB)
        colors = _RGB if colored else _COLORS if count > 1 else ("FFFFFF",)
        names = self.layout.channel_names
        known = self.spec.metadata.channels
        channels = []
        for number in range(count):
            given = known[number] if len(known) == count else Channel()
            found = float(low[number]), float(high[number])
            if not np.isfinite(found).all():
                found = 0.0, 1.0
            (start, end), (least, most) = given.window or found, given.limits or found
            channel: dict[str, Any] = {"label": names[number]} if names else {}
            channel["color"] = given.color or colors[number % len(colors)]
            channel["active"] = True
            channel["window"] = {"min": least, "max": most, "start": start, "end": end}
            if self.spec.metadata.photometric == "miniswhite":
                channel["inverted"] = True
            channels.append(channel)
        return channels


def _json_or_text(job: str) -> Any:
    try:
        return json.loads(job)
    except ValueError:
        return job
