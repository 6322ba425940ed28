"""The checks of `doctor`: each looks at one thing, never raises, and says what was found and what helps."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from tempfile import TemporaryFile
from types import ModuleType
from typing import Literal

_NEEDED = (
    "numpy",
    "scipy",
    "scikit-image",
    "zarr",
    "tifffile",
    "torch",
    "torchvision",
    "compressai",
    "torchmetrics",
)
_BINDINGS = ("PyQt6", "PySide6")
_REINSTALL = "install the package again: pip install --force-reinstall napari-rdpdenoise"
_PAIR = (
    "install torch and torchvision from one place, for example "
    "pip install --force-reinstall torch torchvision --index-url https://download.pytorch.org/whl/cpu"
)


@dataclass(frozen=True)
class Check:
    """One finding; ``remedy`` is empty where nothing is to be done. Only ``broken`` keeps from denoising."""

    name: str
    state: Literal["ok", "note", "broken"]
    found: str
    remedy: str = ""


def all_checks() -> Iterator[Check]:
    """Every check, cheap ones first."""
    yield check_python(sys.version_info[:3])
    yield from check_packages()
    yield check_pair(_version("torch"), _version("torchvision"), _torch_wanted_by_torchvision())
    yield check_codec_import()
    yield from _check_torch()
    yield check_viewer()
    yield check_display(sys.platform, os.environ)
    yield check_cache()
    yield from check_networks()
    yield from check_models()


def check_python(version: tuple[int, int, int]) -> Check:
    """Whether this Python is one of those the package is made for."""
    found = ".".join(map(str, version))
    if (3, 11) <= version[:2] <= (3, 12):
        return Check("python", "ok", found)
    return Check("python", "broken", found, "use Python 3.11 or 3.12: compressai has no build for others")


def check_packages() -> Iterator[Check]:
    """Versions of what is needed."""
    for name in _NEEDED:
        found = _version(name)
        if found is None:
            yield Check(name, "broken", "not installed", f"pip install {name}")
        else:
            yield Check(name, "ok", found)


def check_pair(torch: str | None, torchvision: str | None, wanted: str | None) -> Check:
    """Whether torch and torchvision were made for each other, by their versions, such as ``"2.6.0+cpu"``.

    ``wanted`` is the version of torch that this torchvision was built for, None if it does not say.
    """
    name = "torch with torchvision"
    if torch is None or torchvision is None:
        return Check(name, "broken", "one of them is missing", _PAIR)
    if wanted is not None and torch.split("+")[0] != wanted.split("+")[0]:
        return Check(name, "broken", f"torchvision {torchvision} was built for torch {wanted}", _PAIR)
    builds = [version.partition("+")[2] for version in (torch, torchvision)]
    if all(builds) and builds[0] != builds[1]:
        return Check(name, "broken", f"torch is a {builds[0]} build, torchvision a {builds[1]} build", _PAIR)
    return Check(name, "ok", f"{torch}, {torchvision}")


def check_codec_import() -> Check:
    """Whether the codec loads; a CPU-only torch beside a CUDA torchvision is what usually breaks it."""
    try:
        import napari_rdpdenoise.codec.codec  # noqa: F401
    except Exception as error:
        return explain_import(error)
    return Check("codec", "ok", "loads")


def explain_import(error: BaseException) -> Check:
    """What an error while the codec is imported means."""
    if "torchvision::nms" in str(error):
        found = (
            "torchvision is a CUDA build beside a CPU-only torch (operator torchvision::nms does not exist)"
        )
        return Check("codec", "broken", found, _PAIR)
    return Check("codec", "broken", f"{type(error).__name__}: {error}", _REINSTALL)


def check_devices(torch: ModuleType) -> Iterator[Check]:
    """Where networks can be computed."""
    yield Check("cpu", "ok", f"{torch.get_num_threads()} threads of {os.cpu_count()} cores")
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        found = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"
        yield Check("cuda", "ok", found)
    elif shutil.which("nvidia-smi") and torch.version.cuda is None:
        remedy = "for its speed install the CUDA build of torch and torchvision, see https://pytorch.org"
        yield Check("cuda", "note", "there is an NVIDIA driver, but torch is a CPU-only build", remedy)
    elif shutil.which("nvidia-smi"):
        older = f"install a torch built for an older CUDA than {torch.version.cuda}"
        remedy = f"update the NVIDIA driver, or {older}"
        yield Check("cuda", "note", "there is an NVIDIA driver, but torch cannot use it", remedy)
    else:
        yield Check("cuda", "ok", "no NVIDIA GPU; the CPU is used")
    if torch.backends.mps.is_available():
        yield Check("mps", "ok", "Apple GPU")


def check_precision() -> Check:
    """Which numbers precision "auto" takes on this machine's devices."""
    try:
        from napari_rdpdenoise.codec.models import choose_device
        from napari_rdpdenoise.codec.precision import choose_precision
    except Exception as error:  # told of the codec already
        return Check("precision", "note", f"not known: {type(error).__name__}")
    devices = dict.fromkeys((choose_device("auto"), "cpu"))
    found = ", ".join(f"{choose_precision('auto', device)} on {device}" for device in devices)
    return Check("precision", "ok", f"auto takes {found}")


def check_viewer() -> Check:
    """Whether napari and a Qt binding are there; only the dock needs them."""
    version, remedy = _version("napari"), "only the viewer needs it: pip install"
    if version is None:
        return Check("napari", "note", "not installed", f"{remedy} 'napari-rdpdenoise[all]'")
    binding = next((name for name in _BINDINGS if find_spec(name) is not None), None)
    if binding is None:
        return Check("napari", "note", f"{version}, no Qt binding", f"{remedy} PyQt6")
    return Check("napari", "ok", f"{version} with {binding}")


def check_display(platform: str, environment: os._Environ[str] | dict[str, str]) -> Check:
    """Whether a window can be opened; only the dock and its tests need one."""
    if not platform.startswith("linux"):
        return Check("display", "ok", "the desktop's")
    named = environment.get("WAYLAND_DISPLAY") or environment.get("DISPLAY")
    if named:
        return Check("display", "ok", named)
    if shutil.which("Xvfb"):
        return Check("display", "ok", "none, but Xvfb can make one (xvfb-run napari)")
    remedy = "only the viewer needs one: log in at a desktop, or install xvfb and start napari with xvfb-run"
    return Check("display", "note", "none", remedy)


def check_cache() -> Check:
    """Whether the cache folder can be written to, and how full it is."""
    from napari_rdpdenoise.cache import LatentCache
    from napari_rdpdenoise.files import cache_folder

    folder = cache_folder()
    remedy = "denoising works without it; to have it set RDPDENOISE_CACHE to a folder you can write to"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder) as probe:
            probe.write(b"probe")
    except OSError as error:
        return Check("cache", "note", f"{folder} cannot be written to ({error})", remedy)
    stats = LatentCache().stats()
    kept, free = stats.disk_bytes / 2**20, shutil.disk_usage(folder).free / 2**30
    return Check("cache", "ok", f"{folder}: {stats.entries} tiles, {kept:.1f} MiB; {free:.0f} GiB free")


def check_networks() -> Iterator[Check]:
    """Which published networks of the perceptual metrics are here; only `metrics` uses them."""
    from napari_rdpdenoise.metrics import METRICS, MetricUnavailable
    from napari_rdpdenoise.metrics.backbones import load_backbone

    uses = {metric.network: metric.title for metric in METRICS if metric.network}
    for name, metric in uses.items():
        try:
            load_backbone(name)
        except MetricUnavailable as reason:
            yield Check(f"{metric} ({name})", "note", "unavailable", f"only for this metric: {reason}")
        except Exception as error:
            yield Check(f"{metric} ({name})", "note", f"{type(error).__name__}: {error}")
        else:
            yield Check(f"{metric} ({name})", "ok", "the published weights")


def check_models() -> Iterator[Check]:
    """Whether every shipped model loads, and which of the user's own cannot be used."""
    try:
        from napari_rdpdenoise.codec.library import list_models, unusable_models
        from napari_rdpdenoise.codec.models import load_model
    except Exception as error:
        yield Check("models", "broken", f"{type(error).__name__}: {error}", _REINSTALL)
        return
    shipped, unusable = [m for m in list_models() if m.where == "shipped"], unusable_models()
    if not shipped:
        yield Check("models", "broken", "none is shipped", _REINSTALL)
    for bad in unusable:
        if bad.where == "shipped":
            yield Check(f"model {bad.name}", "broken", bad.reason, _REINSTALL)
        else:
            yield Check(f"model {bad.name} (yours)", "note", "cannot be used", bad.reason)
    for model in shipped:
        try:
            load_model(model.name, "cpu")
        except Exception as error:
            yield Check(f"model {model.name}", "broken", str(error), _REINSTALL)
        else:
            yield Check(f"model {model.name}", "ok", "loads")


def _check_torch() -> Iterator[Check]:
    try:
        import torch
    except Exception as error:
        yield Check("torch", "broken", f"{type(error).__name__}: {error}", _PAIR)
        return
    yield from check_devices(torch)
    yield check_precision()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _torch_wanted_by_torchvision() -> str | None:
    lines = metadata.requires("torchvision") if _version("torchvision") else None
    exact = (line.split(";")[0].replace(" ", "") for line in lines or ())
    return next((line.removeprefix("torch==") for line in exact if line.startswith("torch==")), None)
