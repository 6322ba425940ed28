"""Denoise microscopy by learned compression: noise does not compress, structure does.

The names below are loaded on first use, so importing the package loads neither torch nor Qt nor zarr.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from napari_rdpdenoise._version import __version__

if TYPE_CHECKING:
    from napari_rdpdenoise.api import denoise, denoise_file
    from napari_rdpdenoise.cache import LatentCache
    from napari_rdpdenoise.codec import Codec, list_models, load_model
    from napari_rdpdenoise.export.package import export_bioimageio
    from napari_rdpdenoise.finetune.run import (
        finetune_pairs,
        finetune_patches,
        finetune_unpaired,
        finetune_zeroshot,
    )
    from napari_rdpdenoise.io import open_image
    from napari_rdpdenoise.settings import RunSettings
    from napari_rdpdenoise.stream import denoise_stream

__all__ = [
    "Codec",
    "LatentCache",
    "RunSettings",
    "__version__",
    "denoise",
    "denoise_file",
    "denoise_stream",
    "export_bioimageio",
    "finetune_pairs",
    "finetune_patches",
    "finetune_unpaired",
    "finetune_zeroshot",
    "list_models",
    "load_model",
    "open_image",
]

_HOME = {
    "Codec": ".codec",
    "LatentCache": ".cache",
    "RunSettings": ".settings",
    "denoise": ".api",
    "denoise_file": ".api",
    "denoise_stream": ".stream",
    "export_bioimageio": ".export.package",
    "finetune_pairs": ".finetune.run",
    "finetune_patches": ".finetune.run",
    "finetune_unpaired": ".finetune.run",
    "finetune_zeroshot": ".finetune.run",
    "list_models": ".codec",
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
