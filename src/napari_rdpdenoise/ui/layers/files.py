"""OME-Zarr and OME-TIFF as layers and back, with scale, units, axis and channel names. No Qt, no napari.

napari's own reader and writer keep the pixels only: they open both formats without scale, units and axis
names (a TIFF as a whole into memory), write no Zarr, and guess the axes of the OME-TIFF they write.

    file -> levels of the image (ImageSource) -> dask arrays -> layer    nothing but the contrast is read
    layer -> bands of planes -> sink, which renames when it is complete  a lazy layer is never loaded whole

Of a layer's place only the scale is written, not translate, rotate, shear and affine.
"""

from __future__ import annotations

import json
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_rdpdenoise.axes import colours_as_channels, colours_last, is_picture, without_colours
from napari_rdpdenoise.files import PARTIAL_SUFFIX
from napari_rdpdenoise.io import ImageSource, OutputSpec
from napari_rdpdenoise.io.arrays import ArraySource
from napari_rdpdenoise.io.lazy import lazy_source, open_levels
from napari_rdpdenoise.io.metadata import Channel, ImageMetadata
from napari_rdpdenoise.io.units import unit_name
from napari_rdpdenoise.ui.layers.axes import layer_axes
from napari_rdpdenoise.ui.layers.metadata import LENGTHS, OURS, TIMES, layer_metadata, shown_channel

__all__ = ["LayerData", "napari_get_reader", "read_image", "write_ome_tiff", "write_ome_zarr"]

LayerData = tuple[Any, dict[str, Any], str]
"""Data, keyword arguments and kind of a layer, as napari's readers return them."""

_ZARR_FILES = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
_TIFF_ENDINGS = (".ome.tif", ".ome.tiff")
_SAMPLED = 1024  # px, edge of what is looked at for the contrast, per plane
_SAMPLED_CHANNELS = _LAYERS = 8  # channels whose contrast is looked for, and that become layers at most
_COLOURS = ("green", "magenta", "cyan", "yellow", "red", "blue")  # of channels that name none
_WHITE = "FFFFFF"  # napari's gray
_BAND_BYTES = 2**28  # of one plane that are in memory while it is written
_TILE = 1024  # px, edge of what is stored together
_IN_VIEW_ONLY = (
    "preview",
    "split",
    "residual",
    "gap",
    "kept",
    "error",
)  # roles of layers that hold no whole stack


def napari_get_reader(path: str | Sequence[str]) -> Callable[[str], list[LayerData]] | None:
    """Offer to read one OME-TIFF, or one folder that is a Zarr; None for anything else."""
    if not isinstance(path, str):
        return None  # several files that are to become one stack
    place = Path(path)
    is_zarr = place.is_dir() and any((place / name).is_file() for name in _ZARR_FILES)
    is_tiff = place.is_file() and place.name.lower().endswith(_TIFF_ENDINGS)
    return read_image if is_zarr or is_tiff else None


def read_image(path: str) -> list[LayerData]:
    """Open a file as lazy image layers; several resolutions become multiscale layers.

    A few channels become a layer each, with names, colours and contrast; many stay an axis of one layer.

    Args:
        path: Path of an OME-TIFF, OME-Zarr image or zarr array.

    Raises:
        FileNotFoundError: If there is nothing at the path.
        ValueError: If it is not one image.
        TypeError: If its samples are of a kind that holds no image, such as masks and 64-bit labels.
    """
    try:
        levels = open_levels(path)
    except TypeError as error:
        raise TypeError(f"{error}, or open it with napari's own reader") from error
    source = levels[0]
    name = f"{path}-{source.fingerprint()}"
    arrays = [lazy_source(level, f"{name}-{number}") for number, level in enumerate(levels)]
    axes, known = source.metadata.axes, source.metadata
    title = known.name or Path(path).stem
    if is_picture(axes, source.shape):
        order = [axes.index(letter) for letter in colours_last(axes)]
        arrays = [array.transpose(order) for array in arrays]
        return [_layer(arrays, {"name": title, "rgb": True} | _place(without_colours(axes), known))]
    count = source.shape[axes.index("C")] if "C" in axes else 1
    if not 1 < count <= _LAYERS:
        found = known.channels[0] if len(known.channels) == 1 else Channel()
        options = {"name": title, "rgb": False, "contrast_limits": found.window or _contrast(levels[-1])}
        options |= {"colormap": f"#{found.color}"} if found.color not in ("", _WHITE) else {}
        names = {"channel_names": known.channel_names} if known.channel_names else {}
        options |= _place(axes, known) | {"metadata": {OURS: names} if names else {}}
        return [_layer(arrays, options)]
    return [_channel_layer(number, title, arrays, levels[-1], known) for number in range(count)]


def _layer(arrays: list[Any], options: dict[str, Any]) -> LayerData:
    several = len(arrays) > 1
    return arrays if several else arrays[0], options | {"multiscale": several}, "image"


def _channel_layer(
    number: int, title: str, arrays: list[Any], coarse: ImageSource, known: ImageMetadata
) -> LayerData:
    """One channel of a file as a layer: its name, colour and contrast where they are known."""
    before = (slice(None),) * known.axes.index("C")
    names, channels = known.channel_names, known.channels
    name = names[number] if number < len(names) and names[number] else f"channel {number}"
    found = channels[number] if number < len(channels) else Channel()
    made = {"channel": number, "channel_names": (name,)}
    options = {
        "name": f"{title} {name}",
        "rgb": False,
        "blending": "additive",
        "colormap": f"#{found.color}" if found.color else _COLOURS[number % len(_COLOURS)],
        "contrast_limits": found.window or _contrast(coarse, number),
        "metadata": {OURS: made},
    }
    place = _place(known.axes.replace("C", ""), known)
    return _layer([array[(*before, number)] for array in arrays], options | place)


def _place(axes: str, known: ImageMetadata) -> dict[str, Any]:
    """Scale, units and names of the axes of a layer."""
    units = [known.units.get(axis) for axis in axes]
    return {
        "scale": tuple(float(known.scale.get(axis, 1.0)) for axis in axes),
        "units": tuple(unit if unit in LENGTHS | TIMES else "pixel" for unit in units),
        "axis_labels": tuple(colours_as_channels(axes).lower()),
    }


def _contrast(level: ImageSource, channel: int | None = None) -> tuple[float, float]:
    """Least and greatest value in the middle of the first, middle and last plane, of all channels or one."""
    axes, leading = level.metadata.axes, level.shape[:-2]
    y, x = (slice(max(0, (n - _SAMPLED) // 2), (n + _SAMPLED) // 2) for n in level.shape[-2:])
    places = {tuple(round(part * (n - 1)) for n in leading) for part in (0, 0.5, 1)}
    low, high = np.inf, -np.inf
    for place in sorted(places):
        for index in _channels_of(place, axes, leading):
            if channel is not None and index[axes.index("C")] != channel:
                continue
            values = level.read(index, y, x)
            values = values[np.isfinite(values)]
            if values.size:
                low, high = min(low, float(values.min())), max(high, float(values.max()))
    if low > high:  # nothing but NaN
        return 0.0, 1.0
    return (low, high) if low < high else (min(low, 0.0), max(high, 1.0))


def _channels_of(place: tuple[int, ...], axes: str, leading: Sequence[int]) -> Iterator[tuple[int, ...]]:
    if "C" not in axes:
        yield place
        return
    axis = axes.index("C")
    for channel in range(min(leading[axis], _SAMPLED_CHANNELS)):
        yield (*place[:axis], channel, *place[axis + 1 :])


def write_ome_zarr(path: str, data: Any, meta: Mapping[str, Any]) -> list[str]:
    """Write one image layer as OME-Zarr 0.5; `_write` says what is kept and refused."""
    return _write(_with_ending(path, (".zarr",), ".ome.zarr"), data, meta)


def write_ome_tiff(path: str, data: Any, meta: Mapping[str, Any]) -> list[str]:
    """Write one image layer as OME-TIFF; `_write` says what is kept and refused."""
    return _write(_with_ending(path, (".tif", ".tiff"), ".ome.tif"), data, meta)


def _with_ending(path: str, endings: tuple[str, ...], usual: str) -> Path:
    return Path(path if path.lower().endswith(endings) else path + usual)


def _write(target: Path, data: Any, meta: Mapping[str, Any]) -> list[str]:
    """Write one image layer: pixels as they are, name, scale, units, axes, names of channels.

    Of one channel colour and contrast are written, too. The target appears when it is complete. Of several
    resolutions the first is written.

    Raises:
        FileNotFoundError: If there is no folder to write into.
        FileExistsError: If there is a folder at the target, or a file that the layer could be reading from.
        ValueError: If the layer holds colours or only what was in view, or its axes are not known.
        TypeError: If the format does not hold numbers of this kind.
    """
    from napari_rdpdenoise.io import OutputSpec, open_sink

    name = str(meta.get("name") or target.name.split(".")[0])
    if _ours(meta).get("role") in _IN_VIEW_ONLY:
        raise ValueError(
            f"layer: expected a whole stack, found {name}: only what was in view is denoised; "
            "use Denoise, and save what it makes"
        )
    if meta.get("rgb"):
        raise ValueError(
            f"layer: expected one intensity per pixel, found colours (RGB) in {name}; "
            "split it into channels first, or save it as .tif with napari's own writer"
        )
    if meta.get("multiscale") or isinstance(data, list | tuple):
        data = data[0]
    _check_place(target, data)
    source = _as_source(data, name, meta)
    _warn_of_place(name, meta)
    spec = OutputSpec(
        source.shape, source.metadata.axes, source.dtype, source.metadata, _TILE, _description(name, meta)
    )
    sink = open_sink(target, spec, overwrite=target.exists())
    try:
        for index in np.ndindex(source.shape[:-2]):
            for y, x in _bands(spec):
                sink.write(index, y, x, source.read(index, y, x))
        return [str(sink.finish())]
    except BaseException:
        sink.discard()
        raise


def _bands(spec: OutputSpec) -> Iterator[tuple[slice, slice]]:
    """Parts of a plane: whole rows, and whole tiles of what is stored."""
    height, width = spec.shape[-2:]
    rows = max(1, _BAND_BYTES // (width * spec.dtype.itemsize * _TILE)) * _TILE
    for start in range(0, height, rows):
        yield slice(start, min(start + rows, height)), slice(0, width)


def _check_place(target: Path, data: Any) -> None:
    partial = target.with_name(target.name + PARTIAL_SUFFIX)
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"path: expected an existing folder, found none at {target.parent}; choose another place"
        )
    if target.is_dir():
        raise FileExistsError(
            f"path: expected a new name, found a folder at {target}; choose another or remove it yourself"
        )
    in_memory = isinstance(data, np.ndarray) and not isinstance(data, np.memmap)
    if target.exists() and not in_memory:
        raise FileExistsError(
            "path: expected a new name for a layer that is read from disk as it is looked at, "
            f"found {target}, which may be what it is read from; choose another name"
        )
    if partial.exists():
        raise FileExistsError(
            f"path: expected no unfinished result of this name, found {partial}; "
            "choose another name, or remove it if no run is writing it"
        )


def _as_source(data: Any, name: str, meta: Mapping[str, Any]) -> ArraySource:
    ndim = len(data.shape)
    units = meta.get("units") or (None,) * ndim
    axes = _axes(name, tuple(meta.get("axis_labels") or ("",) * ndim), units)
    steps = meta.get("scale", (1.0,) * ndim)
    known = layer_metadata(axes, steps, units, name, _ours(meta).get("channel_names") or ())
    if "C" not in axes:
        known = replace(known, channels=_shown(meta))
    try:
        return ArraySource(data, axes, known)
    except TypeError as error:
        raise TypeError(
            f"layer: expected integers of 8 to 32 bits or floats, found {np.dtype(data.dtype).name} "
            f"in {name}; convert it first, or save it as .tif with napari's own writer"
        ) from error


def _shown(meta: Mapping[str, Any]) -> tuple[Channel, ...]:
    """Colour and contrast of a layer of one channel."""
    colormap = meta.get("colormap")
    shades: Sequence[Any] = colormap["colors"] if isinstance(colormap, Mapping) else ()
    found = shown_channel(shades, meta.get("contrast_limits"))
    return () if found is None else (found,)


def _axes(name: str, labels: tuple[str, ...], units: Sequence[object]) -> str:
    """One letter per axis: as the labels name them, else the usual ones (`layer_axes`), with a warning."""
    letters = "".join(labels).upper()
    one_each = len(labels) == len(letters) == len(set(letters)) and letters.isascii() and letters.isalpha()
    if one_each and {"Y", "X"} <= set(letters):
        return letters
    axes = layer_axes(len(labels), labels, rgb=False)
    if len(axes) > 2 and axes != "".join(label[:1] for label in labels).upper():  # not as in "time"
        if axes == "TYX" and unit_name(None if units[0] is None else str(units[0])) in LENGTHS:
            axes = "ZYX"
        warnings.warn(
            f"{name} does not name its axes; they are written as {axes}. If that is wrong, set the layer's "
            "axis labels, such as t, c, z, y, x, and save it again",
            stacklevel=5,
        )
    return axes


def _warn_of_place(name: str, meta: Mapping[str, Any]) -> None:
    """Say what of the layer's place is not written."""
    lost = [key for key in ("translate", "rotate", "shear", "affine") if not _is_neutral(meta.get(key))]
    if lost:
        warnings.warn(
            f"{name}: scale and units are written, its {', '.join(lost)} is not; note it if you need it",
            stacklevel=4,
        )


def _is_neutral(transform: Any) -> bool:
    values = np.asarray(0.0 if transform is None else transform, dtype=np.float64)
    return np.allclose(values, np.eye(len(values)) if values.ndim == 2 else 0.0)


def _ours(meta: Mapping[str, Any]) -> Mapping[str, Any]:
    found = (meta.get("metadata") or {}).get(OURS)
    return found if isinstance(found, Mapping) else {}


def _description(name: str, meta: Mapping[str, Any]) -> str:
    """What is written beside the pixels: settings and rates of a denoised layer; never the same twice."""
    known = {key: value for key, value in _ours(meta).items() if key != "channel_names"}
    return json.dumps({**known, "layer": name, "id": str(uuid.uuid4())}, default=str)
