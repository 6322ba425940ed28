"""What TIFF files of every family say about their image besides its pixels."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from napari_rdpdenoise.axes import has_colours
from napari_rdpdenoise.io.denoised import how_denoised
from napari_rdpdenoise.io.metadata import Channel, ImageMetadata
from napari_rdpdenoise.io.ome_xml import annotated_texts, put_step, read_ome, with_windows
from napari_rdpdenoise.io.tiff.images import TiffImage, described_shape
from napari_rdpdenoise.io.tiff.makers import maker_metadata
from napari_rdpdenoise.io.tiff.micromanager import acquisition_metadata
from napari_rdpdenoise.io.units import unit_name

_PHOTOMETRIC = {
    0: "miniswhite",
    1: "minisblack",
    2: "rgb",
    3: "palette",
    5: "separated",
    6: "rgb",
    8: "cielab",
}
_ALPHA = {1: "assocalpha", 2: "unassalpha"}
_MPP = re.compile(r"\bMPP\s*=\s*([0-9.]+)")
_MOST_TAGS = 5000  # planes of which the tags are read one by one


def read_metadata(tif: Any, image: TiffImage, axes: str, leading: Sequence[int]) -> ImageMetadata:
    """What an image of an open ``tifffile.TiffFile`` says, whichever program wrote it.

    OME-XML is preferred, then Micro-Manager, ImageJ, MetaMorph, other makers' tags, tifffile's own
    description, then the resolution tags.

    Args:
        tif: Open file.
        image: Image of it.
        axes: Canonical axes of the image as it is read.
        leading: Sizes of its leading axes.
    """
    known = _of_family(tif, image, axes, tuple(leading))
    page = image.series.keyframe
    photometric = _PHOTOMETRIC.get(int(page.photometric), "")
    if photometric == "rgb" and not has_colours(axes):  # planes of one grey image each, written as if colours
        photometric = "minisblack"
    extra = tuple(int(sample) for sample in page.extrasamples or ())
    alpha = _ALPHA.get(extra[-1], "") if extra and has_colours(axes) else ""
    colormap = () if page.colormap is None else tuple(int(value) for value in np.ravel(page.colormap))
    return replace(
        known, photometric=photometric, alpha=alpha, colormap=colormap if photometric == "palette" else ()
    )


def _of_family(tif: Any, image: TiffImage, axes: str, leading: tuple[int, ...]) -> ImageMetadata:
    if tif.ome_metadata and image.series.kind != "mmstack":
        found = read_ome(tif.ome_metadata, image.number, axes, leading)
        kept = annotated_texts(tif.ome_metadata)
        channels = with_windows(found.channels, kept)
        denoised, texts = how_denoised(kept.pop("job", "")), {**found.texts, **kept}
        return replace(found, number=image.number, channels=channels, texts=texts, denoised=denoised)
    if tif.is_micromanager:
        return _micromanager(tif, image, axes, leading)
    if tif.imagej_metadata:
        return _imagej(tif, axes)
    if tif.is_stk and tif.stk_metadata:
        return _stk(tif.stk_metadata, axes, leading)
    if tif.is_metaseries:
        return _metaseries(tif.pages.first, axes)
    if (known := maker_metadata(tif, axes)) is not None:
        return known
    described = described_shape(tif.pages.first)
    return ImageMetadata(axes, *(_described(tif, described) if described else _tagged(tif)))


def _micromanager(tif: Any, image: TiffImage, axes: str, leading: tuple[int, ...]) -> ImageMetadata:
    summary = (tif.micromanager_metadata or {}).get("Summary") or {}
    letters, about = axes[: len(leading)], {}
    series = image.series
    outer = series.get_shape(True)[: -len(series.keyframe.shape)]
    if math.prod(outer) <= _MOST_TAGS and not has_colours(letters):
        fixed = dict(image.fixed)
        pages = np.empty(outer, object)
        for index, page in zip(np.ndindex(*outer), series, strict=False):
            pages[index] = page
        chosen = pages[tuple(fixed.get(place, slice(None)) for place in range(len(outer)))]
        for index in np.ndindex(*leading):
            if chosen.ndim == len(index):
                about[index] = _page_json(chosen[index])
    return acquisition_metadata(ImageMetadata(axes), letters, leading, summary, about)


def _page_json(page: Any) -> Mapping[str, Any]:
    try:
        found = page.aspage().tags["MicroManagerMetadata"].value
    except (AttributeError, KeyError, ValueError):
        return {}
    return found if isinstance(found, Mapping) else {}


def _imagej(tif: Any, axes: str) -> ImageMetadata:
    meta = dict(tif.imagej_metadata)
    scale, units = _described(tif, meta)
    ranges = [float(value) for value in meta.get("Ranges") or ()]
    windows = list(zip(ranges[::2], ranges[1::2], strict=False))
    if not windows and _is_number(meta.get("min")) and _is_number(meta.get("max")):
        windows = [(float(meta["min"]), float(meta["max"]))]
    colors = [_lut_color(lut) for lut in _several(meta.get("LUTs"))]
    count = max(len(windows), len(colors))
    channels = tuple(
        Channel(colors[k] if k < len(colors) else "", windows[k] if k < len(windows) else None)
        for k in range(count)
    )
    texts = {"imagej": str(meta["Info"])} if meta.get("Info") else {}
    labels = _several(meta.get("Labels"))
    if labels:
        texts["imagej-labels"] = "\n".join(map(str, labels))
    return ImageMetadata(axes, scale, units, channels=channels, texts=texts)


def _several(value: Any) -> list[Any]:
    """What tifffile gives as a list, as one thing where there is one, or not at all."""
    return [] if value is None else list(value) if isinstance(value, list) else [value]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _lut_color(lut: Any) -> str:
    """Colour at the bright end of a table; that at the dark end of an inverted one."""
    table = np.asarray(lut)
    if table.shape != (3, 256):
        return ""
    end = table[:, -1] if table[:, -1].sum() >= table[:, 0].sum() else table[:, 0]
    return "".join(f"{int(value):02X}" for value in end)


def _stk(meta: Mapping[str, Any], axes: str, leading: tuple[int, ...]) -> ImageMetadata:
    """MetaMorph's stack: calibration, distances, times and wavelengths of its planes."""
    scale: dict[str, float] = {}
    units: dict[str, str] = {}
    unit = str(meta.get("CalibrationUnits") or "")
    if unit_name(unit):
        put_step(scale, units, "X", meta.get("XCalibration"), unit)
        put_step(scale, units, "Y", meta.get("YCalibration"), unit)
    distances = np.atleast_1d(np.asarray(meta.get("ZDistance", ()), float))
    if distances.size and np.all(distances == distances[0]):
        put_step(scale, units, "Z", distances[0], "um")
    planes = {}
    times = np.asarray(meta.get("DatetimeCreated", ()), "datetime64[ms]").astype(float) / 1e3
    if times.size and times.size == math.prod(leading):
        elapsed = times - times[0]
        planes["DeltaT"] = tuple(elapsed.tolist())
        steps = np.diff(elapsed)
        if "T" in axes and steps.size and np.median(steps) > 0:
            put_step(scale, units, "T", float(np.median(steps)), "s")
    return ImageMetadata(axes, scale, units, planes=planes)


def _metaseries(page: Any, axes: str) -> ImageMetadata:
    """MetaXpress and newer MetaMorph: XML in the description."""
    import tifffile

    try:
        meta = tifffile.metaseries_description_metadata(page.description)
    except Exception:  # anything may stand there, and it is decoration
        return ImageMetadata(axes)
    info = meta.get("PlaneInfo", {})
    scale: dict[str, float] = {}
    units: dict[str, str] = {}
    for axis in "XY":
        if info.get("spatial-calibration-state", True):
            unit = str(info.get("spatial-calibration-units") or "")
            if unit_name(unit):
                put_step(scale, units, axis, info.get(f"spatial-calibration-{axis.lower()}"), unit)
    wavelength = info.get("wavelength")
    channel = Channel(emission=float(wavelength) if _is_number(wavelength) and wavelength > 100 else None)
    name = str(info.get("_IllumSetting_") or "")
    return ImageMetadata(axes, scale, units, (name,) if name and "C" in axes else (), channels=(channel,))


Calibration = tuple[dict[str, float], dict[str, str]]
"""Step per axis and unit per axis."""


def _described(tif: Any, described: dict[str, Any]) -> Calibration:
    """From ``unit``, ``spacing``, ``finterval`` as ImageJ names them, and the resolution tags."""
    scale: dict[str, float] = {}
    units: dict[str, str] = {}
    unit = str(described.get("unit") or "")
    if unit_name(unit):
        for axis in "YX":
            step = _pixels_per_unit(tif, axis)
            put_step(
                scale, units, axis, 1 / step if step else None, described.get(f"{axis.lower()}unit") or unit
            )
        put_step(scale, units, "Z", described.get("spacing"), described.get("zunit") or unit)
    else:
        scale, units = _tagged(tif)
        put_step(scale, units, "Z", described.get("spacing"), None)
    interval, rate = described.get("finterval"), described.get("fps")
    if not interval and isinstance(rate, int | float) and rate > 0:
        interval = 1 / rate
    put_step(scale, units, "T", interval, described.get("tunit") or "s")
    return scale, units


def _tagged(tif: Any) -> Calibration:
    """From a slide scanner's microns per pixel, or the resolution tags where these are in centimetres.

    Inches are most often a printer's 72 dpi.
    """
    scale: dict[str, float] = {}
    units: dict[str, str] = {}
    page = tif.pages.first
    if found := _MPP.search(page.description or ""):
        for axis in "YX":
            put_step(scale, units, axis, found[1], "µm")
        return scale, units
    tag = page.tags.get("ResolutionUnit")
    if tag is not None and int(tag.value) == 3:
        for axis in "YX":
            step = _pixels_per_unit(tif, axis)
            if step and step > 1:
                put_step(scale, units, axis, 1e4 / step, "µm")
    return scale, units


def _pixels_per_unit(tif: Any, axis: str) -> float | None:
    tag = tif.pages.first.tags.get(f"{axis}Resolution")
    if tag is None or not tag.value[0] or not tag.value[1]:
        return None
    return float(tag.value[0] / tag.value[1])
