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

Fractions = NDArray[np.float32]


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
    whole = np.clip(np.floor(values), low, high)
    rest = np.clip(values - whole, _DEBT, 1.0).astype(np.float32)
    rest[(whole >= high) & (rest > 0)] = 0
    rows, columns = values.shape
    padded = np.pad(rest, ((0, -rows % GRID), (0, -columns % GRID)))
    table = np.roll(_table(seed), (-place[0] % _TABLE, -place[1] % _TABLE), (0, 1))
    repeats = (-(-padded.shape[0] // _TABLE), -(-padded.shape[1] // _TABLE))
    tie = np.tile(table, repeats)[: padded.shape[0], : padded.shape[1]]
    levels = [padded]
    for _ in range(int(math.log2(GRID))):
        a, b, c, d = _quarters(levels[-1])
        levels.append(a + b + c + d)
    counts = np.rint(np.maximum(levels.pop(), 0.0))
    for shares in reversed(levels):
        step = padded.shape[0] // shares.shape[0]
        counts = _shared_out(counts, shares, tie[::step, ::step])
    up = np.minimum(counts, 1.0)[:rows, :columns]
    return whole + up.astype(values.dtype)


@lru_cache(16)
def _table(seed: int) -> Fractions:
    return np.random.default_rng(seed).random((_TABLE, _TABLE), np.float32) * np.float32(_SHUFFLED)


def _quarters(level: Fractions) -> tuple[Fractions, ...]:
    return tuple(np.ascontiguousarray(level[y::2, x::2]) for y in (0, 1) for x in (0, 1))


def _shared_out(counts: Fractions, shares: Fractions, tie: Fractions) -> Fractions:
    """Give the counts of each 2x2 group to its members: shares rounded down, then the largest remainders."""
    members = [np.maximum(part, 0.0) for part in _quarters(shares)]
    total = members[0] + members[1] + members[2] + members[3]
    # debts of some members lessen the shares of the others
    factor = np.minimum(1.0, counts / np.maximum(total, np.float32(1e-9)))
    floors, keys = [], []
    for part, shuffled in zip(members, _quarters(tie), strict=True):
        share = part * factor
        floor = np.floor(share)
        share -= floor
        floors.append(floor)
        keys.append(np.where(share > 0, share + shuffled, np.float32(-1)))
    left = (counts - (floors[0] + floors[1] + floors[2] + floors[3])).astype(np.int8)
    ranks = _ranks(keys)
    given = np.empty(shares.shape, np.float32)
    for (y, x), floor, rank in zip(((0, 0), (0, 1), (1, 0), (1, 1)), floors, ranks, strict=True):
        given[y::2, x::2] = floor + (rank < left)
    return given


def _ranks(keys: list[Fractions]) -> list[NDArray[np.int8]]:
    """For each of four arrays how many of the others come before it: the larger, or the first of equals."""
    ahead = {(i, j): (keys[i] >= keys[j]).view(np.int8) for i, j in combinations(range(4), 2)}
    ranks = [np.full(keys[0].shape, 3 - i, np.int8) for i in range(4)]
    for (i, j), first in ahead.items():
        ranks[i] -= first
        ranks[j] += first
    return ranks
