"""Planes that a Zarr array declares and nobody wrote: an acquisition that was stopped, or other names.

Zarr reads a chunk that it does not find as empty. Where the metadata name chunks otherwise than the files are
named, as copies and converters make it, that is all of them.
"""

from __future__ import annotations

import itertools
import math
import os
import re
import warnings
from pathlib import Path
from typing import Any

_LOOKED_FOR = 20_000  # files, at most
_CHUNK = re.compile(r"(c[./])?[0-9]+([./][0-9]+)*")


def warn_of_unwritten(array: Any, location: Any, name: str) -> None:
    """Say what of an array in a folder was never written; other locations are not looked into.

    Raises:
        ValueError: If all of its chunks have other names than its metadata give them.
    """
    if isinstance(location, str | Path) and (words := unwritten_words(array, Path(location), name)):
        warnings.warn(words, stacklevel=5)


def unwritten_words(array: Any, folder: Path, name: str) -> str:
    """A sentence on chunks that are not there: all of the last steps of the first axis, or some amid others.

    Zarr does not store chunks that hold the fill value alone, so that what was lost is not told from what has
    no light at all: it is read as it is. Empty where none is missing.

    Args:
        array: Zarr array; one of two axes has no steps to be told.
        folder: Folder of its store; a zip is not looked into.
        name: Name of the image, for the sentence.

    Raises:
        ValueError: If all of its chunks have other names than its metadata give them.
    """
    sizes, parts = tuple(array.shape), tuple(getattr(array, "shards", None) or array.chunks)
    if not sizes or not folder.is_dir():
        return ""
    root = Path(getattr(array.store, "root", folder)) / array.path
    counts = [-(-size // part) for size, part in zip(sizes, parts, strict=True)]
    looked_for = 0
    for last in reversed(range(counts[0])):
        for rest in itertools.product(*map(range, counts[1:])):
            if (root / array.metadata.encode_chunk_key((last, *rest))).exists():
                there = min((last + 1) * parts[0], sizes[0])
                told = _words(there, sizes[0], name) if len(sizes) > 2 else ""
                return told or _words_of_gaps(array, root, counts, name)
            looked_for += 1
            if looked_for > _LOOKED_FOR:
                return ""
    _refuse_other_names(root, array.metadata.encode_chunk_key((0,) * len(sizes)), name)
    return _words(0, sizes[0], name) if len(sizes) > 2 else ""


def _refuse_other_names(root: Path, first: str, name: str) -> None:
    """Refuse an array whose folder holds chunks, and none of the form of the name of the ``first``."""
    form = re.compile(re.escape(first).replace("0", "[0-9]+"))
    for folder, _, files in os.walk(root):
        for file in files:
            found = (Path(folder) / file).relative_to(root).as_posix()
            if _CHUNK.fullmatch(found):
                if form.fullmatch(found) is None:
                    raise ValueError(
                        f"image: expected chunks of {name} with names like {first}, as its metadata say, "
                        f"found {found}; correct dimension_separator in .zarray (chunk_key_encoding in "
                        "zarr.json), or copy the image again"
                    )
                return


def _words_of_gaps(array: Any, root: Path, counts: list[int], name: str) -> str:
    """A sentence on chunks (or shards) missing amid others; empty for none, or too many to look for."""
    expected = math.prod(counts)
    if expected > _LOOKED_FOR:
        return ""
    encode, names = array.metadata.encode_chunk_key, _names_below(root)
    missing = sum(encode(chunk) not in names for chunk in itertools.product(*map(range, counts)))
    if not missing:
        return ""
    fill = array.fill_value
    value = "0" if fill is None or fill == 0 else f"{fill}"
    return (
        f"{name}: {missing} of its {expected} chunk files are not there, as where one holds the fill value "
        f"alone; they are read as that value, {value} (if the image was copied: see that all of it was)"
    )


def _names_below(root: Path) -> set[str]:
    """Paths of all files and folders below a folder, from there on."""
    found = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        inside = Path(folder).relative_to(root).as_posix()
        found |= {name if inside == "." else f"{inside}/{name}" for name in (*folders, *files)}
    return found


def _words(there: int, declared: int, name: str) -> str:
    if there == declared:
        return ""
    return (
        f"{name}: of the last {declared - there} of {declared} steps of the first axis nothing was written: "
        "it was stopped, or they are empty; they are read as the fill value (--time A:B takes less)"
    )
