"""Planes that a Zarr array declares and nobody wrote: an acquisition that was stopped."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from typing import Any

_LOOKED_FOR = 20_000  # files, at most


def warn_of_unwritten(array: Any, location: Any, name: str) -> None:
    """Say what of an array in a folder was never written; other locations are not looked into."""
    if isinstance(location, str | Path) and (words := unwritten_words(array, Path(location), name)):
        warnings.warn(words, stacklevel=5)


def unwritten_words(array: Any, folder: Path, name: str) -> str:
    """A sentence on steps of the first axis at whose end no chunk is there; empty where none is missing.

    Zarr does not store chunks that hold the fill value alone, so that such planes are not told from planes
    without any light: they are read as they are.

    Args:
        array: Zarr array of three or more axes.
        folder: Folder of its store; a zip is not looked into.
        name: Name of the image, for the sentence.
    """
    sizes, parts = tuple(array.shape), tuple(getattr(array, "shards", None) or array.chunks)
    if len(sizes) < 3 or not folder.is_dir():
        return ""
    root = Path(getattr(array.store, "root", folder)) / array.path
    counts = [-(-size // part) for size, part in zip(sizes, parts, strict=True)]
    looked_for = 0
    for last in reversed(range(counts[0])):
        for rest in itertools.product(*map(range, counts[1:])):
            if (root / array.metadata.encode_chunk_key((last, *rest))).exists():
                return _words(min((last + 1) * parts[0], sizes[0]), sizes[0], name)
            looked_for += 1
            if looked_for > _LOOKED_FOR:
                return ""
    return ""


def _words(there: int, declared: int, name: str) -> str:
    if there == declared:
        return ""
    return (
        f"{name}: of the last {declared - there} of {declared} steps of the first axis nothing was written: "
        "it was stopped, or they are empty; they are read as the fill value (--time A:B takes less)"
    )
