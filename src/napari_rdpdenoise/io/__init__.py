"""Lazy image input, and output that is complete or absent.

``open_image`` turns a path or an array into an ``ImageSource``; ``open_sink`` opens a ``Sink`` that takes the
result block by block and can go on after an interruption. tifffile, zarr and dask are imported when needed.
"""

from __future__ import annotations

from napari_rdpdenoise.io.images import ImageInfo
from napari_rdpdenoise.io.opening import files_of_set, list_images, open_image, open_stack
from napari_rdpdenoise.io.output.array_sink import ArraySink
from napari_rdpdenoise.io.output.convert import to_output
from napari_rdpdenoise.io.output.sink import open_sink
from napari_rdpdenoise.io.output.spec import OutputSpec, Sink
from napari_rdpdenoise.io.source import ImageMetadata, ImageSource, Index, SelectedSource, check_dtype, planes

__all__ = [
    "ArraySink",
    "ImageInfo",
    "ImageMetadata",
    "ImageSource",
    "Index",
    "OutputSpec",
    "SelectedSource",
    "Sink",
    "check_dtype",
    "files_of_set",
    "list_images",
    "open_image",
    "open_sink",
    "open_stack",
    "planes",
    "to_output",
]
