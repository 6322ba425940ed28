"""OME-Zarr images as other programs write them."""

from __future__ import annotations

import zarr

AXES = [
    {"name": "t", "type": "time", "unit": "second"},
    {"name": "c", "type": "channel"},
    {"name": "y", "type": "space", "unit": "micrometer"},
    {"name": "x", "type": "space", "unit": "micrometer"},
]


def multiscales(axes=AXES, scale=(0.5, 1.0, 0.1, 0.2), **more):
    transforms = [{"type": "scale", "scale": list(scale)}] if scale else []
    return [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": transforms}], **more}]


def write_image(path, array, zarr_format, attributes):
    group = zarr.create_group(path, zarr_format=zarr_format)
    chunks = tuple(min(size, 16) if n >= array.ndim - 2 else 1 for n, size in enumerate(array.shape))
    group.create_array("0", data=array, chunks=chunks)
    group.create_array("1", data=array[..., ::2, ::2])
    group.update_attributes(attributes)
    return path
