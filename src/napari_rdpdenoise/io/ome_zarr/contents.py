"""Which images a zarr group holds: OME-Zarr images, a plate, a well, a collection, or plain arrays."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from napari_rdpdenoise.io.denoised import how_denoised
from napari_rdpdenoise.io.images import ImageInfo
from napari_rdpdenoise.io.metadata import ImageMetadata, with_json
from napari_rdpdenoise.io.ome_xml import read_ome, samples_per_pixel
from napari_rdpdenoise.io.ome_zarr.metadata import ome_metadata, plain_metadata, with_colours

__all__ = ["FoundImage", "images_below", "images_of", "refuse_arrays", "tell_missing"]


@dataclass(frozen=True)
class FoundImage:
    """One image of a group, or a plain array.

    Attributes:
        path: Where it lies below the group that was opened; empty for that group itself.
        node: Its group, or the plain array.
        name: Name of what was opened.
        multiscale: Its entry among the multiscales; None for a plain array.
        omero: How its channels are shown.
        ours: Further metadata that this package wrote into its attributes; None for none.
        ome: OME-XML that lies beside it, and the number of the image in it; empty for none.
        labels: Whether its pixels are numbers of objects.
        denoised: How this package denoised it; None where it did not.
    """

    path: str
    node: Any
    name: str
    multiscale: Mapping[str, Any] | None = None
    omero: Mapping[str, Any] = field(default_factory=dict)
    ours: Any = None
    ome: tuple[str, int] = ("", 0)
    labels: bool = False
    denoised: str | None = None

    @property
    def is_ome(self) -> bool:
        """Whether metadata of OME-Zarr describe it; else it is a plain array."""
        return self.multiscale is not None

    def beginning_with(self, level: int) -> FoundImage:
        """The image without the levels of resolution finer than one; the finest has number 0."""
        if self.multiscale is None:
            return self
        return replace(self, multiscale={**self.multiscale, "datasets": self.multiscale["datasets"][level:]})

    @cached_property
    def array(self) -> Any:
        """Full resolution.

        Raises:
            ValueError: If its metadata name an array that is not there.
        """
        if self.multiscale is None:
            return self.node
        path = self.multiscale["datasets"][0]["path"]
        try:
            return self.node[path]
        except KeyError as error:
            raise ValueError(
                f"image: expected the array {path}, which the metadata of {self.name} name, found none; "
                "it was not copied or not written completely"
            ) from error

    @property
    def metadata(self) -> ImageMetadata:
        """What its attributes and the OME-XML beside it say."""
        if self.multiscale is None:
            return plain_metadata(self.node, self.name)
        known = replace(ome_metadata(self.multiscale, self.omero, self.name), denoised=self.denoised)
        known = with_json(known, self.ours)
        xml, number = self.ome
        known = with_colours(known, self.array.shape, samples_per_pixel(xml, number))
        if not xml or "ome" in known.texts:
            return known
        shape = [size for axis, size in zip(known.axes, self.array.shape, strict=True) if axis not in "YX"]
        axes = "".join(axis for axis in known.axes if axis not in "YX") + "YX"
        said = read_ome(xml, number, axes, shape)
        channels = known.channels or said.channels
        if len(said.channels) == len(channels):
            channels = tuple(
                replace(channel, excitation=other.excitation, emission=other.emission)
                for channel, other in zip(channels, said.channels, strict=True)
            )
        texts = {**known.texts, **said.texts}
        return replace(
            known, channels=channels, planes=known.planes or said.planes, texts=texts, number=number
        )

    @property
    def info(self) -> ImageInfo:
        """Its line in a list of images."""
        return ImageInfo(self.path, self.metadata.axes, tuple(self.array.shape))


def images_below(group: Any, name: str) -> list[FoundImage]:
    """OME-Zarr images of a group, plate, well or collection; else all arrays below it.

    Raises:
        ValueError: If there is neither.
    """
    found = list(_ome_images(group, name)) or [
        FoundImage(path, array, name) for path, array in _arrays_below(group)
    ]
    if not found:
        below = ", ".join(itertools.islice(sorted(key for key, _ in group.members()), 4)) or "nothing"
        raise ValueError(
            f"image: expected an OME-Zarr image, plate or well, or an array, found none in {name}, which "
            f"holds {below}; check the path, or copy it again"
        )
    return found


def _ome_images(group: Any, name: str, path: str = "") -> Iterator[FoundImage]:
    own = images_of(group, name, path)
    if own:
        yield from own
        return
    attributes = dict(group.attrs)
    ome = attributes.get("ome", attributes)
    for below in _paths_below(group, ome):
        if below in group:
            yield from _ome_images(group[below], name, f"{path}/{below}".strip("/"))


def images_of(group: Any, name: str, path: str = "") -> list[FoundImage]:
    """OME-Zarr images that a group itself is, not those below it; one for each of its multiscales.

    Args:
        group: Zarr group.
        name: Name of what was opened.
        path: Where the group lies below that.
    """
    attributes = dict(group.attrs)
    ome = attributes.get("ome", attributes)
    ours = attributes.get("napari_rdpdenoise")
    ours = ours if isinstance(ours, Mapping) else {}
    return [
        FoundImage(
            path if number == 0 else f"{path or name}#{number}",
            group,
            name,
            _finest_first(multiscale, group),
            ome.get("omero") or {},
            ours.get("metadata"),
            labels="image-label" in ome,
            denoised=how_denoised(ours.get("job")),
        )
        for number, multiscale in enumerate(ome.get("multiscales") or ())
    ]


def _finest_first(multiscale: Mapping[str, Any], group: Any) -> Mapping[str, Any]:
    """An entry whose levels of resolution are in the order that it should have, also where they were not."""
    levels = multiscale["datasets"]
    steps = [_step(level) for level in levels]
    if all(one <= other for one, other in itertools.pairwise(steps)):
        return multiscale
    sizes = [math.prod(group[level["path"]].shape) if level["path"] in group else 0 for level in levels]
    order = sorted(range(len(levels)), key=lambda number: -sizes[number])
    return {**multiscale, "datasets": [levels[number] for number in order]}


def _step(level: Mapping[str, Any]) -> float:
    """Product of the steps of a level of resolution along all axes; 0 where it gives none."""
    for transform in level.get("coordinateTransformations") or ():
        scale = transform.get("scale") if isinstance(transform, Mapping) else None
        if isinstance(scale, list) and all(isinstance(step, int | float) for step in scale):
            return math.prod(scale)
    return 0.0


def tell_missing(group: Any, name: str) -> None:
    """Say which of the images or wells that a plate, a well or a collection names are not there."""
    attributes = dict(group.attrs)
    listed = _paths_below(group, attributes.get("ome", attributes))
    gone = [below for below in listed if below not in group]
    if gone and len(gone) < len(listed):
        more = ", ..." if len(gone) > 4 else ""
        warnings.warn(
            f"{name} names {len(listed)} images or wells, and {len(gone)} of them are not there "
            f"({', '.join(gone[:4])}{more}): not acquired, or not copied",
            stacklevel=6,
        )


def _paths_below(group: Any, ome: Mapping[str, Any]) -> list[str]:
    """Paths of the images, or of groups of images, that a plate, a well or a collection of series names."""
    if "plate" in ome:
        return [str(well["path"]) for well in ome["plate"].get("wells", ())]
    if "well" in ome:
        return [str(image["path"]) for image in ome["well"].get("images", ())]
    if "labels" in ome:
        return [str(path) for path in ome["labels"]]
    if "bioformats2raw.layout" not in ome:
        return []
    if "OME" in group:
        attributes = dict(group["OME"].attrs)
        listed = attributes.get("ome", attributes).get("series")
        if listed:
            return [str(path) for path in listed]
    return list(itertools.takewhile(lambda number: number in group, map(str, itertools.count())))


def _arrays_below(group: Any, path: str = "", most: int = 100) -> list[tuple[str, Any]]:
    """Paths and arrays at any depth, in the order of their names; at most so many."""
    found: list[tuple[str, Any]] = []
    for key, member in sorted(group.members(), key=lambda pair: pair[0]):
        below = f"{path}/{key}".strip("/")
        if type(member).__name__ == "Array":
            found.append((below, member))
        else:
            found += _arrays_below(member, below, most - len(found))
        if len(found) >= most:
            break
    return found


def refuse_arrays(found: list[FoundImage], name: str) -> None:
    """Refuse a group of several plain arrays of which none was chosen.

    Raises:
        ValueError: Always; it names the first of them.
    """
    paths = [image.path for image in found]
    more = f" and {len(paths) - 8} more" if len(paths) > 8 else ""
    raise ValueError(
        f"image: expected an OME-Zarr image or a group of one array, found {len(paths)} arrays in {name}: "
        f"{', '.join(paths[:8])}{more}; give the path of one of them, such as {name}.zarr/{paths[0]}, or its "
        "number (--series N)"
    )
