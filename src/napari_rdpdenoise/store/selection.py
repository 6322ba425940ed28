"""What a reader takes of a chunk, as planes and a rectangle that hold it: whatever Zarr selects with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Part", "part_of"]


@dataclass(frozen=True)
class Part:
    """Part of a chunk.

    Attributes:
        planes: Numbers of the planes of which anything is wanted, the last axis before the rows fastest.
        rows: Rows that hold all that is wanted.
        columns: Columns that do.
    """

    planes: frozenset[int]
    rows: slice
    columns: slice


def part_of(shape: tuple[int, ...], selection: Sequence[Any]) -> Part:
    """The smallest part that holds a selection.

    Args:
        shape: Shape of the chunk, (..., rows, columns).
        selection: What is selected of each axis: a number, a slice, or an array of numbers or of truth.
    """
    chosen = [*selection, *(slice(None) for _ in shape[len(selection) :])]
    spans = [_span(one, size) for one, size in zip(chosen, shape, strict=True)]
    numbers = np.arange(math.prod(shape[:-2])).reshape(shape[:-2])
    wanted = numbers[tuple(slice(first, last) for first, last in spans[:-2])]
    return Part(frozenset(map(int, wanted.ravel())), slice(*spans[-2]), slice(*spans[-1]))


def _span(selected: Any, size: int) -> tuple[int, int]:
    """First index and the one after the last; nothing selected is an empty span."""
    if isinstance(selected, slice):
        found = range(*selected.indices(size))
        ends = [found[0], found[-1]] if found else []
    else:
        values = np.atleast_1d(np.asarray(selected))
        values = np.flatnonzero(values) if values.dtype == bool else values.ravel()
        ends = [int(values.min()), int(values.max())] if values.size else []
    return (min(ends), max(ends) + 1) if ends else (0, 0)
