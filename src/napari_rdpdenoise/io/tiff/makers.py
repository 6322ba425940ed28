"""What the TIFF files of single makers say: Zeiss LSM and SEM, Olympus FluoView and SIS, FEI, ScanImage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_rdpdenoise.io.metadata import Channel, ImageMetadata
from napari_rdpdenoise.io.ome_xml import put_step
from napari_rdpdenoise.io.units import in_unit

_FLUOVIEW_AXES = {"X": "X", "Y": "Y", "Z": "Z", "T": "T", "TIME": "T"}


def maker_metadata(tif: Any, axes: str) -> ImageMetadata | None:
    """Pixel sizes, intervals, names and colours of channels; None for a file of no such maker.

    Args:
        tif: Open ``tifffile.TiffFile``.
        axes: Canonical axes of the image.
    """
    for family, read in _READERS.items():
        try:
            if (found := getattr(tif, f"{family}_metadata")) and (known := read(found, axes)) is not None:
                return known
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):  # decoration, whatever is there
            continue
    return None


def _lsm(meta: Mapping[str, Any], axes: str) -> ImageMetadata:
    steps = {axis: (meta.get(f"VoxelSize{axis}"), "m") for axis in "XYZ"}
    known = _stepped(axes, {**steps, "T": (meta.get("TimeIntervall"), "s")})
    said = meta.get("ChannelColors") or {}
    names, colours = tuple(map(str, said.get("ColorNames", ()))), said.get("Colors", ())
    channels = tuple(Channel("".join(f"{int(part):02X}" for part in colour[:3])) for colour in colours)
    return ImageMetadata(axes, known.scale, known.units, names, channels=channels)


def _fluoview(meta: Mapping[str, Any], axes: str) -> ImageMetadata:
    steps = {}
    for name, size, _origin, step, unit in meta["Dimensions"]:
        axis = _FLUOVIEW_AXES.get(str(name).upper())
        if axis and size > 0:
            steps[axis] = (step, unit or ("s" if axis == "T" else "um"))
    return _stepped(axes, steps)


def _sis(meta: Mapping[str, Any], axes: str) -> ImageMetadata:
    return _stepped(axes, {axis: (meta.get(f"pixelsize{axis.lower()}"), "m") for axis in "XY"})


def _fei(meta: Mapping[str, Any], axes: str) -> ImageMetadata:
    scan = meta["Scan"]
    return _stepped(axes, {"X": (scan.get("PixelWidth"), "m"), "Y": (scan.get("PixelHeight"), "m")})


def _sem(meta: Mapping[str, Any], axes: str) -> ImageMetadata | None:
    for key in ("ap_image_pixel_size", "ap_pixel_size"):
        if len(found := meta.get(key, ())) == 3:
            return _stepped(axes, dict.fromkeys("XY", found[1:]))
    return None


def _scanimage(meta: Mapping[str, Any], axes: str) -> ImageMetadata | None:
    frames = meta.get("FrameData") or {}
    rate = frames.get("SI.hRoiManager.scanFrameRate")
    return _stepped(axes, {"T": (1 / float(rate), "s")}) if rate else None


_READERS = {
    "lsm": _lsm,
    "fluoview": _fluoview,
    "sis": _sis,
    "fei": _fei,
    "sem": _sem,
    "scanimage": _scanimage,
}


def _stepped(axes: str, steps: Mapping[str, tuple[Any, Any]]) -> ImageMetadata:
    """Metadata with steps and units; lengths in micrometers, steps of axes that are not there left out."""
    scale: dict[str, float] = {}
    units: dict[str, str] = {}
    for axis, (step, unit) in steps.items():
        if axis in axes:
            length = None if axis == "T" else in_unit(step, unit, "micrometer")
            put_step(scale, units, axis, step if length is None else length, unit if length is None else "um")
    return ImageMetadata(axes, scale, units)
