"""Parts of images to learn from, and parts that are held out, with nothing in common.

Planes belong together that lie in one stack, share a partner (one clean average of many exposures), are the
same, or look alike: neighbours in time or depth that were saved one by one. Where there are enough such
groups, whole groups are held out, drawn by a seed: every so-many-th would always be the same channel of files
that take turns. Otherwise the same rows of every plane are held out, some rows away from the rest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.finetune.images import Planes, filled
from napari_rdpdenoise.finetune.pairing import MatchedPair
from napari_rdpdenoise.finetune.references import display_range

_SHARE, _OF_REFERENCES = 5, 3  # one of so many groups is held out
_STRIP = 4  # or the last quarter of rows
_GAP = 16  # px between what is learned and what is held out; pairs are shifted by no more
_LEAST = 64  # px
_BLOCK = 16  # px; in their means there is little noise
_ALIKE = 0.5  # correlation of these means; where two places only share their vignetting, strips do no harm
_CHANCE = 4.0  # or so many standard deviations of the correlation of unlike means, of which few are few
_DULL = 0.2  # range of a reference's strip, of the whole's, below which there is nothing to judge by

Part = tuple[int, slice]  # number of a plane, and which of its rows


@dataclass(frozen=True)
class Split:
    """Parts of planes to learn from, and parts that are held out."""

    learned: tuple[Part, ...]
    held_out: tuple[Part, ...]


def cut_parts(planes: Sequence[NDArray[Any]], parts: Sequence[Part]) -> list[NDArray[Any]]:
    """The parts of planes (2-D), as views."""
    return [planes[number][rows] for number, rows in parts]


def hold_out(images: Planes, seed: int) -> Split:
    """Hold out one of five groups of planes, drawn by a seed, or else the last quarter of rows of each.

    Raises:
        ValueError: If an image is too small to be split.
    """
    groups = group_numbers(_labels(images))
    return _by_groups(groups, _SHARE, seed) or _by_rows_or_raise([p.shape[0] for p in images.planes])


def hold_out_pairs(
    noisy: Planes, partners: Planes, matched: Sequence[MatchedPair], seed: int
) -> tuple[list[MatchedPair], list[MatchedPair]]:
    """Hold out one of five groups of matched pairs, or else the last quarter of rows of each.

    Rows are counted in the partner: noisy images that share one may be shifted against it by different
    amounts. ``matched`` are the pairs of both on one grid; the result is those to learn from, and the others.

    Raises:
        ValueError: If an image is too small to be split.
    """
    both = zip(_labels(noisy), _labels(partners, "partner"), strict=True)
    groups = group_numbers(chain(a, b) for a, b in both)
    rows = [round(pair.shift[0]) for pair in matched]
    split = _by_groups(groups, _SHARE, seed) or _by_rows_or_raise([p.shape[0] for p in partners.planes], rows)
    learned, held_out = (
        [MatchedPair(matched[k].noisy[r], matched[k].partner[r], (0.0, 0.0), 1.0) for k, r in side]
        for side in (split.learned, split.held_out)
    )
    return learned, held_out


def hold_out_references(
    images: Planes, usable: Sequence[int], crop: int, seed: int
) -> tuple[list[NDArray[Any]], list[NDArray[Any]] | None]:
    """Hold out one of three groups of the usable references, or else the last quarter of rows of each.

    The result is references to learn from, in crops of ``crop`` px, and held-out ones; None in place of these
    if the references are too few and too small.
    """
    labels = list(_labels(images))
    planes = [images.planes[k] for k in usable]
    split = _by_groups(group_numbers(labels[k] for k in usable), _OF_REFERENCES, seed)
    if split is None:
        split = _by_rows([p.shape[0] for p in planes], least=crop)
        strips = split.held_out if split else ()
        kept = [(k, rows) for k, rows in strips if _range(planes[k][rows]) >= _DULL * _range(planes[k])]
        if split is None or not kept:
            return planes, None
        split = Split(split.learned, tuple(kept))
    return cut_parts(planes, split.learned), cut_parts(planes, split.held_out)


def group_numbers(labels: Iterable[Iterable[Hashable]]) -> list[int]:
    """A number for each plane, the same for planes that share a label, directly or through others."""
    first: dict[Hashable, int] = {}
    root: list[int] = []

    def find(k: int) -> int:
        while root[k] != k:
            root[k] = root[root[k]]
            k = root[k]
        return k

    for k, own in enumerate(labels):
        root.append(k)
        for label in own:
            root[find(k)] = find(first.setdefault(label, k))
    return [find(k) for k in range(len(root))]


def _labels(images: Planes, kind: str = "") -> Iterator[list[Hashable]]:
    """What each plane may share with another; ``kind`` keeps apart what is only numbered."""
    for number, (stack, same, alike) in enumerate(
        zip(images.stacks, images.fingerprints(), _alike(images.planes), strict=True)
    ):
        yield [("stack", stack), ("same", same), *((kind, k) for k in (number, *alike))]


def _alike(planes: Sequence[NDArray[Any]]) -> Iterator[list[int]]:
    """Numbers of earlier planes that look like each."""
    shapes: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for number, plane in enumerate(planes):
        shapes[plane.shape].append(number)
    coarse = {shape: np.stack([_coarse(planes[k]) for k in numbers]) for shape, numbers in shapes.items()}
    place = {number: k for numbers in shapes.values() for k, number in enumerate(numbers)}
    for number, plane in enumerate(planes):
        numbers, means, k = shapes[plane.shape], coarse[plane.shape], place[number]
        least = max(_ALIKE, _CHANCE / np.sqrt(means.shape[1]))
        yield [numbers[j] for j in np.flatnonzero(means[:k] @ means[k] > least)]


def _coarse(plane: NDArray[Any]) -> NDArray[np.float32]:
    """Block means of a plane, 1-D, of mean 0 and norm 1; zeros if it is flat."""
    rows, columns = (n // _BLOCK for n in plane.shape)
    blocks = filled(plane)[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, columns, _BLOCK)
    means = blocks.mean((1, 3), dtype=np.float64).ravel()
    means -= means.mean()
    return np.asarray(means / max(float(np.linalg.norm(means)), 1e-9), dtype=np.float32)


def _by_groups(groups: Sequence[int], share: int, seed: int) -> Split | None:
    """Hold whole groups out, never more than half of the planes; None if there are fewer than ``share``."""
    names, sizes = np.unique(groups, return_counts=True)
    held: list[int] = []
    count = 0
    for k in np.random.default_rng([seed, 19]).permutation(len(names)):
        if len(held) < len(names) // share and 2 * (count + sizes[k]) <= len(groups):
            held.append(int(names[k]))
            count += int(sizes[k])
    if not held:
        return None
    learned, out = (
        tuple((k, slice(None)) for k, g in enumerate(groups) if (g in held) is side) for side in (False, True)
    )
    return Split(learned, out)


def _by_rows(heights: Sequence[int], shifts: Sequence[int] = (), least: int = _LEAST) -> Split | None:
    """Hold the last rows of each out; None if fewer than ``least`` are left to learn from.

    Heights are those of planes before they were cut to what they share with a partner, whose content lies
    ``shifts`` rows further up.
    """
    most = max((abs(s) for s in shifts), default=0)
    learned, held_out = [], []
    for number, (height, shift) in enumerate(zip(heights, shifts or [0] * len(heights), strict=True)):
        above = max(0, -shift)  # rows of the partner that were cut off
        start = height - max(_LEAST + most, height // _STRIP)
        if start - _GAP - most < least:
            return None
        learned.append((number, slice(0, start - _GAP - above)))
        held_out.append((number, slice(start - above, None)))
    return Split(tuple(learned), tuple(held_out))


def _by_rows_or_raise(heights: Sequence[int], shifts: Sequence[int] = ()) -> Split:
    split = _by_rows(heights, shifts)
    if split is None:
        needed = 2 * _LEAST + _GAP + 2 * max((abs(s) for s in shifts), default=0)
        raise ValueError(
            f"noisy: expected at least {needed} rows, so that a part can be held out, found "
            f"{min(heights)}; give larger images, or at least {_SHARE} files that show different places"
        )
    return split


def _range(plane: NDArray[Any]) -> float:
    low, white = display_range(filled(plane))
    return white - low
