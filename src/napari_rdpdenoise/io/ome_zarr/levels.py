"""One level of resolution of an OME-Zarr image, given by its own path: ``IMAGE.ome.zarr/1``.

The array itself does not say how large its pixels are, nor often which axes it has. The group above does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_rdpdenoise.io.ome_zarr.contents import FoundImage, images_of

_META = (".zattrs", "zarr.json")
_ABOVE = 3  # folders above an array in which its group may be


def level_of(location: str | Path, array: Any, name: str) -> tuple[FoundImage, Path]:
    """The image that an array is a level of, which begins with that level, and the folder of its group.

    Args:
        location: Folder of the array; others have nothing above them.
        array: Zarr array that lies there.
        name: Name of the array.

    Returns:
        The array as a plain one, and its own folder, where no group above names it, or where what the group
        says is not usable.
    """
    folder = Path(location).absolute()
    for group in list(folder.parents)[:_ABOVE] if folder.is_dir() else []:
        path = folder.relative_to(group).as_posix()
        if any((group / meta).is_file() for meta in _META) and (found := _named(group, path, name)):
            return found, group
    return FoundImage("", array, name), folder


def _named(folder: Path, path: str, name: str) -> FoundImage | None:
    """The image in a folder's group that has a level of that path, from there on; None for none."""
    import zarr

    try:
        group = zarr.open_group(str(folder), mode="r", use_consolidated=False)
        for image in images_of(group, name):
            levels = image.multiscale["datasets"] if image.multiscale is not None else []
            paths = [str(level["path"]).strip("/") for level in levels]
            if path in paths:
                found = image.beginning_with(paths.index(path))
                return found if len(found.metadata.axes) == found.array.ndim else None
    except (ValueError, KeyError, TypeError, OSError):  # what is wrong with it, who opens the group is told
        return None
    return None
