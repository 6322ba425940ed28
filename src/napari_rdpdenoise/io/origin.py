"""Files that an array is read from: they must not be written over, and they tell one content from another.

``files_behind`` finds them, ``refuse_overwriting`` protects them, and ``file_identity`` names the content of
an array by the state of its file, so that an interrupted run knows its input again without reading it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from napari_rdpdenoise.files import PARTIAL_SUFFIX, is_zarr
from napari_rdpdenoise.io.opening import open_image


def refuse_overwriting(target: Path, inputs: Iterable[Path], whose: str = "the image to denoise") -> None:
    """Refuse a target that would be written over what is being read.

    Raises:
        ValueError: If the target or its unfinished form is one of the files or folders of ``inputs``, lies
            in one, or holds one. The message says ``whose`` these are.
    """
    written = (target, target.with_name(target.name + PARTIAL_SUFFIX))  # the second is cleared at the start
    for path in inputs:
        if any(_overlap(new, path) for new in written):
            read = "" if path == target else f" ({path})"
            raise ValueError(
                f"target: expected a place of its own, found {target}, where {whose} is read from{read}; "
                "choose another name or folder"
            )


def refuse_inside_zarr(target: Path) -> None:
    """Refuse a target in the folders of a Zarr: it would become a part of what others read there.

    Raises:
        ValueError: If it lies in one.
    """
    holder = next((parent for parent in target.absolute().resolve().parents if is_zarr(parent)), None)
    if holder is not None:
        raise ValueError(
            f"target: expected a place of its own, found {target}, which lies inside the Zarr {holder}; "
            "choose a folder beside it"
        )


def _overlap(one: Path, other: Path) -> bool:
    try:
        one, other = one.resolve(), other.resolve()
    except (OSError, RuntimeError):  # a link that leads to itself: nothing can be read from it, nor be lost
        return False
    if one == other or one in other.parents or other in one.parents:
        return True
    try:
        return one.samefile(other)  # hard links, and names that differ in case only
    except OSError:
        return False


def files_behind(data: Any, path: str | None = None) -> list[Path]:
    """Files and folders that an array of any kind is read from, as far as they are known.

    A mapped file and a zarr in a folder or zip tell where they lie; ``path`` is what it is said to be read
    from, where addresses such as https://... are passed over.
    """
    found = [Path(path)] if path and "://" not in path else []
    mapped, store = _mapped(data), _store_path(data)
    if mapped is not None:
        found.append(Path(str(mapped.filename)))
    if store is not None:
        found.append(store)
    return found


def file_identity(data: Any) -> str | None:
    """Name the content of an array of any kind by the state of its file, without reading it.

    A file that is mapped to be read only and a zarr in a folder or zip have such a text, which another
    content does not have. None for all else. An array in memory has none, whatever file it came from: it may
    have been changed since.
    """
    mapped, store = _mapped(data), _store_path(data)
    if mapped is not None and mapped.mode == "r":
        start = data.__array_interface__["data"][0] - mapped.__array_interface__["data"][0]
        return repr((_state(Path(str(mapped.filename))), mapped.offset, start, data.strides))
    if store is None or not isinstance(getattr(data, "path", None), str):
        return None
    if store.is_file():
        return repr((_state(store), data.path))
    folder = store / data.path
    return f"{folder}-{open_image(folder).fingerprint()}" if folder.is_dir() else None  # of its files' states


def _mapped(data: Any) -> Any:
    """The whole mapped file that an array is a part of; None for none."""
    while isinstance(data, np.ndarray):
        if isinstance(data, np.memmap) and not isinstance(data.base, np.ndarray):
            return data if data.filename else None
        data = data.base
    return None


def _store_path(data: Any) -> Path | None:
    """Folder or zip file of a zarr; None for anything else."""
    store = getattr(data, "store", None)
    path = getattr(store, "root", None) or getattr(store, "path", None)
    return path if isinstance(path, Path) else None


def _state(path: Path) -> tuple[str, int, int]:
    found = path.stat()
    return str(path.resolve()), found.st_size, found.st_mtime_ns
