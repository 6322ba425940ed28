"""Rounding to integers that keeps sums: light is neither lost nor made, however few counts there are.

The nearest integer of 0.2 photons is 0 everywhere; a flat image of them would be black. Here the sum of every
64x64 block is the nearest integer of what it was, and so, to within a count or two, is that of every quarter
of it, every quarter of a quarter, and so on::

    block: n counts -> its four quarters, by their shares -> ... -> pixels, each rounded down or up

The counts that are left when all shares are rounded down go to those with the largest remainders. Pixels that
are equal are told apart by a table of random numbers. Values far from whole numbers of counts cost a mean
squared error of 0.10 counts (1/12 with the nearest integer); values near them nothing.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.tiles import GRID

_TABLE = 256  # px, after which the random numbers repeat
_SHUFFLED = 0.05  # counts, of what decides between pixels
_DEBT = -0.5  # counts below the least integer that neighbours make up for
_KEPT = 2**19  # groups of a level up to which their random numbers are kept: 8 MB
_MEMBERS = (0, 0), (0, 1), (1, 0), (1, 1)  # of a group, their rows and columns in it

Fractions = NDArray[np.float32]
Four = tuple[Fractions, Fractions, Fractions, Fractions]


def round_keeping_sums(
    values: NDArray[np.floating], low: int, high: int, seed: int = 0, place: tuple[int, int] = (0, 0)
) -> NDArray[np.floating]:
    """Round to integers from ``low`` to ``high`` so that sums of blocks stay.

    Args:
        values: Plane or part of one, ``(rows, columns)``; finite.
        low: Least integer.
        high: Greatest integer.
        seed: Seed of the random numbers, that of the plane.
        place: Row and column of the first pixel, multiples of 64, so that parts agree with the whole.

    Returns:
        Whole numbers of the same shape and type.
    """
    whole = np.floor(values)
    np.clip(whole, low, high, out=whole)
    rows, columns = values.shape
    padded = np.zeros((rows + -rows % GRID, columns + -columns % GRID), np.float32)
    rest = padded[:rows, :columns]
    np.clip(np.subtract(values, whole, dtype=values.dtype), _DEBT, 1.0, out=rest, casting="same_kind")
    full = whole >= high
    if full.any():
        rest[full & (rest > 0)] = 0
    levels, sums = [], padded
    for _ in range(int(math.log2(GRID))):
        levels.append(_quarters(sums))
        a, b, c, d = levels[-1]
        sums = a + b + c + d
    counts = np.rint(np.maximum(sums, 0.0))
    phase = (place[0] % _TABLE, place[1] % _TABLE)
    for number in reversed(range(1, len(levels))):
        counts = _shared_out(counts, levels[number], _ties(seed, phase, number, counts.shape))
    whole += _chosen(counts, levels[0], _ties(seed, phase, 0, counts.shape))[:rows, :columns]
    return whole


def _quarters(level: Fractions) -> Four:
    a, b, c, d = (np.ascontiguousarray(level[y::2, x::2]) for y in (0, 1) for x in (0, 1))
    return a, b, c, d


def _ties(seed: int, phase: tuple[int, int], level: int, shape: tuple[int, int]) -> Four:
    """Random numbers for the four members of each group of a level, arrays of the shape of its groups.

    Those of a group further up are those of its first pixel.
    """
    ties = _kept_ties if math.prod(shape) <= _KEPT else _made_ties
    return ties(seed, phase, level, shape)


def _made_ties(seed: int, phase: tuple[int, int], level: int, shape: tuple[int, int]) -> Four:
    step = 2**level
    table = np.roll(_table(seed), (-phase[0], -phase[1]), (0, 1))[::step, ::step]
    repeats = [-(-2 * size // length) for size, length in zip(shape, table.shape, strict=True)]
    return _quarters(np.tile(table, repeats)[: 2 * shape[0], : 2 * shape[1]])


_kept_ties = lru_cache(32)(_made_ties)


@lru_cache(16)
def _table(seed: int) -> Fractions:
    return np.random.default_rng(seed).random((_TABLE, _TABLE), np.float32) * np.float32(_SHUFFLED)


def _shares(counts: Fractions, members: Four) -> list[Fractions]:
    """How many of the counts of each group its members would have if these could be divided."""
    parts = [np.maximum(part, np.float32(0)) for part in members]
    total = parts[0] + parts[1]
    total += parts[2]
    total += parts[3]
    # debts of some members lessen the shares of the others
    factor = np.divide(counts, np.maximum(total, np.float32(1e-9), out=total), out=total)
    np.minimum(factor, np.float32(1), out=factor)
    for part in parts:
        part *= factor
    return parts


def _shared_out(counts: Fractions, members: Four, ties: Four) -> Fractions:
    """Give the counts of each 2x2 group to its members: shares rounded down, then the largest remainders."""
    shares = _shares(counts, members)
    floors = [np.floor(share) for share in shares]
    for share, floor in zip(shares, floors, strict=True):
        share -= floor
    left = (counts - (floors[0] + floors[1] + floors[2] + floors[3])).astype(np.int8)
    given = np.empty((2 * counts.shape[0], 2 * counts.shape[1]), np.float32)
    ranks = _ranks(_keys(shares, ties))
    for (y, x), floor, rank in zip(_MEMBERS, floors, ranks, strict=True):
        np.add(floor, rank < left, out=given[y::2, x::2])
    return given


def _chosen(counts: Fractions, members: Four, ties: Four) -> NDArray[np.bool_]:
    """As `_shared_out`, of pixels, whose shares are below 1: which of them are rounded up."""
    ranks, left = _ranks(_keys(_shares(counts, members), ties)), counts.astype(np.int8)
    up = np.empty((2 * counts.shape[0], 2 * counts.shape[1]), bool)
    for (y, x), rank in zip(_MEMBERS, ranks, strict=True):
        np.less(rank, left, out=up[y::2, x::2])
    return up


def _keys(shares: list[Fractions], ties: Four) -> list[Fractions]:
    """What members of a group come in the order of, in the place of their shares."""
    for share, tie in zip(shares, ties, strict=True):
        nothing = share <= 0
        share += tie
        np.copyto(share, np.float32(-1), where=nothing)
    return shares


def _ranks(keys: list[Fractions]) -> list[NDArray[np.int8]]:
    """For each of four arrays how many of the others come before it: the larger, or the first of equals."""
    ahead = {(i, j): (keys[i] >= keys[j]).view(np.int8) for i, j in combinations(range(4), 2)}
    ranks = [np.full(keys[0].shape, 3 - i, np.int8) for i in range(4)]
    for (i, j), first in ahead.items():
        ranks[i] -= first
        ranks[j] += first
    return ranks
