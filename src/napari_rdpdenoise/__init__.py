"""Denoise microscopy by learned compression: noise does not compress, structure does.

The names below are loaded on first use, so importing the package loads neither torch nor Qt nor zarr.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .api import denoise
    from .cache import LatentCache
    from .codec import Codec, load_model
    from .export.package import export_bioimageio
    from .io import open_image
    from .settings import RunSettings
    from .stream import denoise_stream
    from .train.finetune import finetune_pairs, finetune_unpaired, finetune_zeroshot

__version__ = "0.1.0"

__all__ = [
    "Codec",
    "LatentCache",
    "RunSettings",
    "__version__",
    "denoise",
    "denoise_stream",
    "export_bioimageio",
    "finetune_pairs",
    "finetune_unpaired",
    "finetune_zeroshot",
    "load_model",
    "open_image",
]

_HOME = {
    "Codec": ".codec",
    "LatentCache": ".cache",
    "RunSettings": ".settings",
    "denoise": ".api",
    "denoise_stream": ".stream",
    "export_bioimageio": ".export.package",
    "finetune_pairs": ".train.finetune",
    "finetune_unpaired": ".train.finetune",
    "finetune_zeroshot": ".train.finetune",
    "load_model": ".codec",
    "open_image": ".io",
}


def __getattr__(name: str) -> object:
    """Load a public name from its module on first use."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the lazy names too, for completion."""
    return sorted(set(globals()) | set(__all__))
