"""Where a tile lies: what a decoder's random numbers depend on, so that tiles agree. Loads no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple


class Place(NamedTuple):
    """Where a tile lies: ``seed`` of its plane, row and column of its first pixel (multiples of 8)."""

    seed: int = 0
    y: int = 0
    x: int = 0


def plane_seed(seed: int, index: Sequence[int]) -> int:
    """Seed of one plane of a series, from the run's seed and the plane's index: 64 bits."""
    text = ",".join(str(int(number)) for number in (seed, *index))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
