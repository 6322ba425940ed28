"""Denoise microscopy by learned compression: noise does not compress, structure does.

The names below are loaded on first use, so importing the package loads neither torch nor Qt nor zarr.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from napari_rdpdenoise._version import __version__

if TYPE_CHECKING:
    from napari_rdpdenoise.api import (
        create_store,
        denoise,
        denoise_file,
        extract_store,
        finish_file,
        finish_store,
        verify_store,
    )
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
    from napari_rdpdenoise.jobs.follow import Follow
    from napari_rdpdenoise.settings import RunSettings
    from napari_rdpdenoise.store.reading import open_store
    from napari_rdpdenoise.store.view import store_view
    from napari_rdpdenoise.stream import denoise_stream

__all__ = [
    "Codec",
    "Follow",
    "LatentCache",
    "RunSettings",
    "__version__",
    "create_store",
    "denoise",
    "denoise_file",
    "denoise_stream",
    "export_bioimageio",
    "extract_store",
    "finetune_pairs",
    "finetune_patches",
    "finetune_unpaired",
    "finetune_zeroshot",
    "finish_file",
    "finish_store",
    "list_models",
    "load_model",
    "open_image",
    "open_store",
    "store_view",
    "verify_store",
]

_HOME = {
    "Codec": ".codec",
    "Follow": ".jobs.follow",
    "LatentCache": ".cache",
    "RunSettings": ".settings",
    "create_store": ".api",
    "denoise": ".api",
    "denoise_file": ".api",
    "denoise_stream": ".stream",
    "export_bioimageio": ".export.package",
    "extract_store": ".api",
    "finetune_pairs": ".finetune.run",
    "finetune_patches": ".finetune.run",
    "finetune_unpaired": ".finetune.run",
    "finetune_zeroshot": ".finetune.run",
    "finish_file": ".api",
    "finish_store": ".api",
    "list_models": ".codec",
    "load_model": ".codec",
    "open_image": ".io",
    "open_store": ".store.reading",
    "store_view": ".store.view",
    "verify_store": ".api",
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
