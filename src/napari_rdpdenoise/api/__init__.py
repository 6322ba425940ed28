"""The calls for Python, which `napari_rdpdenoise` offers by their names."""

from __future__ import annotations

from napari_rdpdenoise.api.denoising import denoise, denoise_file, finish_file
from napari_rdpdenoise.api.stores import create_store, extract_store, finish_store, verify_store

__all__ = [
    "create_store",
    "denoise",
    "denoise_file",
    "extract_store",
    "finish_file",
    "finish_store",
    "verify_store",
]
