"""Which images a TIFF file holds, and how much of each is there.

tifffile finds *series*: pages of one kind. They are not yet images as people mean them:

    frames appended one by one      -> one stack
    positions of an acquisition     -> one image each
    a file that was cut off, or an  -> the planes that were written, and a sentence that counts the others
    acquisition that was stopped
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_rdpdenoise.io.images import ImageInfo
from napari_rdpdenoise.io.tiff.imagej_counts import declared_stack, passes_over_images
from napari_rdpdenoise.io.tiff.present import (
    break_of_chain,
    leading_count,
    present_pages,
    unwritten_parts,
    whole_prefix,
)
from napari_rdpdenoise.io.tiff.unindexed import series_without_index

_POSITIONS = {"mmstack": "R", "lsm": "PM"}
"""Axes that tell images apart, by kind of series."""

_JOINED_KINDS = ("shaped", "uniform", "generic")
_INDEX_APART = 2  # version of NDTiff from which the index is a file of its own


@dataclass(frozen=True)
class TiffImage:
    """One image of an open TIFF file.

    Attributes:
        series: The ``tifffile.TiffPageSeries`` that it lies in.
        axes: Letters of its dimensions as stored, without those of length 1.
        sizes: Their sizes, as far as there are whole planes.
        fixed: What of the series' dimensions is another image: index by position among all its dimensions.
        name: Name of the position or series, or empty.
        number: Number among the images that the file's own metadata describe.
        secondary: Whether it accompanies another image.
        notes: Sentences that a user should know.
    """

    series: Any
    axes: str
    sizes: tuple[int, ...]
    fixed: tuple[tuple[int, int], ...] = ()
    name: str = ""
    number: int = 0
    secondary: bool = False
    notes: tuple[str, ...] = ()

    @property
    def info(self) -> ImageInfo:
        """What of it is shown to people."""
        return ImageInfo(self.name, self.axes, self.sizes, self.secondary)


def images_in(tif: Any, path: Path) -> list[TiffImage]:
    """All images of an open ``tifffile.TiffFile``.

    Raises:
        ValueError: If there is none, or not one whole plane of one is there.
    """
    found, notes = _series_meant(tif)
    if not found:
        raise ValueError(f"image: expected at least one image in the TIFF, found none in {path.name}")
    images = [image for number, series in enumerate(found) for image in _split_positions(tif, series, number)]
    images = [replace(image, notes=notes) for image in images]
    images = [replace(image, secondary=image.secondary or _is_thumbnail(image, images)) for image in images]
    return _whole_parts(tif, images, path)


def _series_meant(tif: Any) -> tuple[list[Any], tuple[str, ...]]:
    """Series as people mean them, and what is to be told of them."""
    joined = _appended_frames(tif)
    if joined is not None:
        return [joined], ()
    series = _series(tif)
    if _lacks_index(tif) and all(one.kind in _JOINED_KINDS for one in series):
        found, note = series_without_index(tif)
        return ([found] if found is not None else _joined(series)), (note,)
    return _joined(series), ()


def _lacks_index(tif: Any) -> bool:
    """Whether a file of Micro-Manager has no index of its planes, though files of its kind end with one."""
    if not tif.is_micromanager:
        return False
    told = tif.micromanager_metadata or {}
    return "IndexMap" not in told and int(told.get("MajorVersion", 0)) < _INDEX_APART


def _is_thumbnail(image: TiffImage, images: Sequence[TiffImage]) -> bool:
    """Whether a plane is a small copy of another image, in a file whose metadata do not tell what it is."""
    if image.series.kind not in _JOINED_KINDS or set(image.axes) - set("YXS"):
        return False
    height, width = (image.sizes[image.axes.index(axis)] for axis in "YX")
    for other in images:
        tall, wide = (other.sizes[other.axes.index(axis)] for axis in "YX")
        alike = abs(height * wide - width * tall) <= max(tall, wide)  # to a pixel
        if alike and 2 * height <= tall and 2 * width <= wide:
            return True
    return False


def _series(tif: Any) -> list[Any]:
    """Series as tifffile finds them, and those of cut-off files where it gives up."""
    found = list(tif.series)
    understood = any(series.kind in ("imagej", "ome") for series in found)
    if tif.is_imagej and (not understood or (len(found) == 1 and passes_over_images(tif, found[0]))):
        declared = declared_stack(tif)
        return found if declared is None else [declared]
    return [_all_pages(tif, series) if series.kind == "shaped" else series for series in found]


def _all_pages(tif: Any, series: Any) -> Any:
    """A series of which tifffile took the first page alone, because the file has fewer than it declares."""
    import tifffile

    declared = math.prod(series.get_shape(False)) // max(1, math.prod(series.keyframe.shape))
    whole = series.keyframe.is_final or declared <= 1 or len(tif.series) > 1 or len(tif.pages) >= declared
    if whole:
        return series
    return tifffile.TiffPageSeries(
        [tif.pages[number] for number in range(len(tif.pages))],
        series.get_shape(False),
        series.dtype,
        series.get_axes(False),
        parent=tif,
        kind="shaped",
        squeeze=False,
    )


def _appended_frames(tif: Any) -> Any:
    """One series of pages that are each described as an image of its own, and equal; else None.

    tifffile would describe each, which takes minutes for a long movie.
    """
    import tifffile

    if not tif.is_shaped or tif.is_ome or tif.is_imagej or len(tif.pages) < 2:
        return None
    first = tif.pages.first
    described = described_shape(first)
    if described is None or math.prod(described.get("shape", ())) != math.prod(first.shape):
        return None
    second, last = (tif.pages[number].aspage() for number in (1, -1))
    alike = described_shape(second) == described_shape(last) == described
    if not alike or len({first.hash, second.hash, last.hash}) > 1:
        return None
    try:
        tif.pages.useframes = True
        tif.pages.set_keyframe(0)
        pages = [tif.pages[number] for number in range(len(tif.pages))]
    except RuntimeError:  # not all of one kind
        tif.pages.useframes = False
        return None
    axes, shape = str(described.get("axes", "")).upper(), tuple(described["shape"])
    if len(axes) != len(shape) or math.prod(shape) != math.prod(first.shape):
        axes, shape = first.axes, first.shape
    return tifffile.TiffPageSeries(
        pages, (len(pages), *shape), first.dtype, "Q" + axes, parent=tif, kind="appended"
    )


def described_shape(page: Any) -> dict[str, Any] | None:
    """What tifffile has written about the shape of an array into the description of its first page."""
    try:
        found = json.loads(page.description)
    except (ValueError, AttributeError):
        return None
    return found if isinstance(found, dict) and "shape" in found else None


def _joined(series: list[Any]) -> list[Any]:
    """Series of equal shape, type and storage as one, with a new first dimension or a longer first one."""
    import tifffile

    first = series[0] if series else None
    if len(series) < 2 or first is None or first.kind not in _JOINED_KINDS or first.keyframe.is_reduced:
        return series
    kind = first.keyframe.hash, first.get_shape(False), first.get_axes(False)
    if any((s.keyframe.hash, s.get_shape(False), s.get_axes(False)) != kind for s in series):
        return series
    axes, shape = first.get_axes(False), first.get_shape(False)
    if "T" in axes[1:]:
        return series
    longer = axes.startswith("T")
    more = (len(series) * shape[0], *shape[1:]) if longer else (len(series), *shape)
    letter = "" if longer else "Q" if set(axes) & set("QI") or set(axes) <= set("YXS") else "T"
    pages = [page for one in series for page in one]
    return [tifffile.TiffPageSeries(pages, more, first.dtype, letter + axes, kind="appended")]


def _split_positions(tif: Any, series: Any, number: int) -> list[TiffImage]:
    """One image per position of a series, most often one."""
    axes, sizes = _meant_axes(tif, series), tuple(series.get_shape(True))
    secondary = bool(series.keyframe.is_reduced)
    places = [i for i, letter in enumerate(axes) if letter in _POSITIONS.get(series.kind, "")]
    plain = TiffImage(series, axes, sizes, (), series.name, number, secondary)
    if not places:
        return [plain]
    kept = [i for i in range(len(axes)) if i not in places]
    names = _position_names(tif, math.prod(sizes[i] for i in places))
    return [
        replace(
            plain,
            axes="".join(axes[i] for i in kept),
            sizes=tuple(sizes[i] for i in kept),
            fixed=tuple(zip(places, index, strict=True)),
            name=names[k],
            number=k,
        )
        for k, index in enumerate(np.ndindex(*(sizes[i] for i in places)))
    ]


def _meant_axes(tif: Any, series: Any) -> str:
    """Axes of a series, with the one that ImageJ leaves open named by its other tags."""
    axes: str = series.get_axes(True).upper()
    if series.kind == "imagej" and axes.count("I") == 1:
        meta = tif.imagej_metadata or {}
        has_interval, has_spacing = (_positive(meta.get(key)) for key in ("finterval", "spacing"))
        if "T" not in axes and has_interval:
            return axes.replace("I", "T")
        if "Z" not in axes and has_spacing:
            return axes.replace("I", "Z")
        if "T" not in axes and _positive(meta.get("fps")):
            return axes.replace("I", "T")
    return axes


def _positive(value: Any) -> bool:
    try:
        return float(value) > 0
    except (TypeError, ValueError):
        return False


def _position_names(tif: Any, count: int) -> list[str]:
    summary = (tif.micromanager_metadata or {}).get("Summary", {}) if tif.is_micromanager else {}
    stage = summary.get("StagePositions") or ()
    names = [str(entry.get("Label", "")) if isinstance(entry, dict) else "" for entry in stage]
    return names if len(names) == count and all(names) else [f"position {k}" for k in range(count)]


def _whole_parts(tif: Any, images: Sequence[TiffImage], path: Path) -> list[TiffImage]:
    """Images as far as they are there; those of which nothing is are told of by the others."""
    whole: list[TiffImage] = []
    lost: list[str] = []
    missing = None
    for number, image in enumerate(images):
        try:
            whole.append(_whole_part(tif, image, path))
        except ValueError as error:
            missing = missing or error
            lost.append(image.name or f"image {number}")
    if missing is not None and not whole:
        raise missing
    if not lost:
        return whole
    note = f"{path.name}: not one whole plane is there of {', '.join(lost)}: cut off, or never taken"
    return [replace(image, notes=(*image.notes, note)) for image in whole]


def _whole_part(tif: Any, image: TiffImage, path: Path) -> TiffImage:
    """The image without the planes at its end that are not in the file, with a sentence that counts them.

    Raises:
        ValueError: If not one plane is there.
    """
    sizes = image.series.get_shape(True)
    leading = leading_count(image.series)
    if leading is None:
        return image
    present = present_pages(image.series, path)
    fixed = dict(image.fixed)
    picked = tuple(fixed.get(i, slice(None)) for i in range(leading))
    chosen = present.reshape(sizes[:leading])[picked]
    outer = chosen.shape
    flat = chosen.ravel()
    until = int(np.flatnonzero(flat)[-1]) + 1 if flat.any() else 0
    if until == 0:
        raise ValueError(
            f"image: expected whole planes, found {path.name} cut off in the first one (plane 0): it ends "
            f"at byte {path.stat().st_size}; copy or export it again"
        )
    notes = [*image.notes]
    if until < flat.size:
        kept = whole_prefix(outer, until)
        there, used = int(np.count_nonzero(flat)), math.prod(kept)
        image = replace(image, sizes=(*kept, *image.sizes[len(outer) :]))
        left = f", {there - used} of them left out with an incomplete last step" if there > used else ""
        notes.append(
            f"{path.name} was cut off, or its acquisition stopped: {there} of the {flat.size} planes that it "
            f"declares are there{left}; read as {image.info}"
        )
        flat = flat[:used]
    if missing := int(np.count_nonzero(~flat)):
        notes.append(
            f"{path.name}: {missing} of {flat.size} planes are missing (their files are not beside it, or "
            "they were never written); they are read as zeros"
        )
    parts, planes = unwritten_parts(image.series)
    if parts:
        notes.append(
            f"{path.name}: {parts} strips or tiles in {planes} of its planes have no data (left out because "
            "they were empty, or never written); they are read as zeros"
        )
    if image.series.kind in (*_JOINED_KINDS, "appended") and (fault := break_of_chain(tif)):
        count = "1 plane is" if present.size == 1 else f"{present.size} planes are"
        notes.append(
            f"{path.name} is {'cut off' if 'end' in fault else 'damaged'}: {count} there, and the place of "
            f"the next {fault}; how many are lost is not known"
        )
    return replace(image, notes=tuple(notes))
