"""What the dock does, as text that does the same without it: Python and a command. No Qt here.

Only settings that differ from their defaults are written, with all digits.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from napari_rdpdenoise.fields import flag_of
from napari_rdpdenoise.jobs.batch import ending_of, stem
from napari_rdpdenoise.jobs.job import short_name
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.store.settings import store_settings

__all__ = ["Request", "as_command", "as_python", "command_of"]

_PROGRAM = "napari-rdpdenoise"
_PACKAGE = "napari_rdpdenoise"
# They decide about files and have no meaning for a result in memory.
_OF_FILES = {"overwrite", "output_format"}


@dataclass(frozen=True)
class Request:
    """What the dock would denoise, and how.

    Attributes:
        settings: How to denoise, with `axes` where the layer's differ from what its file or shape says.
        path: File of the noisy image, or URL; None if it is in memory only.
        target: File of the result; None for memory.
        layer: Name of the noisy layer; None if none is chosen.
        residual: How much of the original a store at the target keeps; None for a result that is no store.
    """

    settings: RunSettings
    path: str | None = None
    target: str | None = None
    layer: str | None = None
    residual: str | None = None


def as_python(request: Request) -> str:
    """Python text that denoises the same.

    Without a path it takes the layer's data from ``viewer``, as in napari's console; without a target it
    leaves the result in ``result``.

    Raises:
        ValueError: If the request has neither a path nor a layer.
    """
    settings, target = request.settings, request.target
    image, before = _image(request.path, request.layer)
    if target and request.residual is not None:
        return _into_store(settings, image, before, target, request.residual)
    if target:
        return _into_file(settings, image, before, target)
    return _in_memory(settings, image, before, request.path)


def as_command(request: Request) -> str:
    """A command for the system's shell that denoises the same.

    Without a path a comment says that the layer has to be saved first; without a target the result goes
    beside the input.
    """
    settings, source = request.settings, request.path or "layer.tif"
    if request.target and request.residual is not None:
        kept = ["--residual", request.residual, *_options(store_settings(settings))]
        command = _quoted([_PROGRAM, "store", "create", *map(_operand, (source, request.target)), *kept])
    else:
        command = command_of([source, request.target or _beside(source, settings)], settings)
    if request.path:
        return command
    # repr keeps a name on the comment's line, whatever is in it
    layer = request.layer or "in memory"
    return f"# no file holds layer {layer!r} as it is: save it first, here as {source}\n{command}"


def command_of(places: Sequence[str], settings: RunSettings) -> str:
    """A command line for inputs and, last, where their results go."""
    return _quoted([_PROGRAM, "denoise", *map(_operand, places), *_options(settings)])


def _image(path: str | None, layer: str | None) -> tuple[str, list[str]]:
    """The noisy image as an expression, and the lines before it."""
    if path:
        return repr(path), []
    if layer is None:
        raise ValueError("layer: expected an image layer or a file, found neither; choose a layer first")
    lines = [
        f"layer = viewer.layers[{layer!r}]  # viewer: as in napari's console",
        "image = layer.data[0] if layer.multiscale else layer.data",
    ]
    return "image", lines


def _in_memory(settings: RunSettings, image: str, before: list[str], path: str | None) -> str:
    axes = f", {settings.axes!r}" if settings.axes and path else ""
    omitted = _OF_FILES | ({"axes"} if path else set())
    opened = f"open_image({image}{axes})" if path else image
    call = _call("denoise", [opened], {k: v for k, v in _changed(settings).items() if k not in omitted})
    names = "denoise, open_image" if path else "denoise"
    # a file gives a lazy array
    lines = [f"from {_PACKAGE} import {names}", "", *before, f"result = {call}{'.compute()' if path else ''}"]
    if not path:
        lines.append(
            'viewer.add_image(result, name=f"{layer.name} denoised", scale=layer.scale, rgb=layer.rgb)'
        )
    return "\n".join(lines) + "\n"


def _into_file(settings: RunSettings, image: str, before: list[str], target: str) -> str:
    # the ending of the target says the format
    options = {name: value for name, value in _changed(settings).items() if name != "output_format"}
    call = _call("denoise_file", [image, repr(target)], options)
    return "\n".join([f"from {_PACKAGE} import denoise_file", "", *before, call, ""])


def _into_store(settings: RunSettings, image: str, before: list[str], target: str, residual: str) -> str:
    options = {"residual": residual, **_changed(store_settings(settings))}
    call = _call("create_store", [image, repr(target)], options)
    return "\n".join([f"from {_PACKAGE} import create_store", "", *before, call, ""])


def _changed(settings: RunSettings) -> dict[str, Any]:
    """Fields that differ from their defaults, in the order of the model."""
    default = RunSettings()
    return {
        name: value
        for name in RunSettings.model_fields
        if (value := getattr(settings, name)) != getattr(default, name)
    }


def _call(name: str, arguments: Iterable[str], options: dict[str, Any]) -> str:
    return f"{name}({', '.join([*arguments, *(f'{key}={value!r}' for key, value in options.items())])})"


def _options(settings: RunSettings) -> list[str]:
    words: list[str] = []
    for name, value in _changed(settings).items():
        flag = flag_of(RunSettings, name)
        if name == "channels":
            words += [word for channel in value for word in (flag, str(channel))]
        elif name == "time":
            words += [flag, f"{value[0]}:{value[1]}"]
        elif name == "camera":
            words += [flag, *map(str, value)]
        elif value is True:
            words.append(flag)
        else:
            words += [flag, str(value)]
    return words


def _operand(path: str) -> str:
    """A path that no program takes for an option."""
    return f"./{path}" if path.startswith("-") else path


def _beside(path: str, settings: RunSettings) -> str:
    """Where a result goes that was in memory only: beside its input."""
    folder = "" if "://" in path else path.rstrip("/\\").removesuffix(short_name(path))
    return f"{folder}{stem(path)}-denoised{ending_of(path, settings.output_format)}"


def _quoted(words: list[str]) -> str:
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)
