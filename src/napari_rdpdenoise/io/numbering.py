"""What the numbers in the names of single frames say: gaps, doubles, and counts of two things at once."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

_LISTED = 5  # numbers or files that are named
_ENDING = re.compile(
    r"(\.ome)?\.(tiff?|tf[28]|btf|stk|lsm|zarr|zip|npy|png|jpe?g|bmp|gif|jp2|czi|nd2|lif)$", re.IGNORECASE
)
_REGULAR = 0.5  # least share of the commonest step among steps from one number to the next


def check_numbers(paths: Sequence[str]) -> str | None:
    """Look whether files are one after the other by the numbers in their names.

    Args:
        paths: Files in the order of these numbers.

    Returns:
        What of it a user should know, in one line; None where nothing is to be said.

    Raises:
        ValueError: If two names differ only in their ending, or in how a number is written.
    """
    split = [_parts(path) for path in paths]
    _refuse_doubles(paths, [tuple(texts) + tuple(numbers) for texts, numbers in split])
    if len(paths) < 2 or len({len(numbers) for _, numbers in split}) > 1:
        return None
    fields = [field for field in zip(*(numbers for _, numbers in split), strict=True) if len(set(field)) > 1]
    several = len({tuple(texts) for texts, _ in split}) > 1
    single = next((field for field in fields if len(set(field)) == len(field)), None)
    if single is not None:
        return None if several else _gaps(single)
    if len(fields) + several > 1:
        counted = fields[0] if fields else ()
        number = next((n for n, times in Counter(counted).items() if times > 1), None)
        same = [Path(p).name for p, n in zip(paths, counted, strict=False) if n == number] if fields else []
        example = f" (number {number}: {_some(same, 2)})" if same else ""
        return (
            f"the names of the {len(paths)} files tell them apart by more than one number{example}: they are "
            "taken one after the other along one axis; give a pattern for each series if they are several"
        )
    return None


def _parts(path: str) -> tuple[list[str], list[int]]:
    """Texts and numbers of a path, in turn; without the ending."""
    name = _ENDING.sub("", path)
    found = re.split(r"([0-9]+)", name)
    return found[::2], [int(number) for number in found[1::2]]


def _refuse_doubles(paths: Sequence[str], keys: Sequence[tuple[str | int, ...]]) -> None:
    first: dict[tuple[str | int, ...], str] = {}
    for path, key in zip(paths, keys, strict=True):
        if key in first:
            raise ValueError(
                f"stack: expected every frame once, found {first[key]} and {Path(path).name}, which are the "
                "same frame by their names; give a pattern that takes one of them, or move the other away"
            )
        first[key] = Path(path).name


def _gaps(numbers: Sequence[int]) -> str | None:
    """What is missing among numbers that go on in equal steps but for some; None where all are there."""
    ordered = sorted(numbers)
    steps = [b - a for a, b in itertools.pairwise(ordered)]
    step, often = min(Counter(steps).items(), key=lambda item: (-item[1], item[0]))
    if often < _REGULAR * len(steps) or any(s % step for s in steps):
        return None
    missing = [n for a, b in itertools.pairwise(ordered) for n in _between(a, b, step)]
    count = sum(s // step - 1 for s in steps)
    if not count:
        return None
    are = "number is" if count == 1 else "numbers are"
    return (
        f"{count} {are} missing in the names of {len(numbers)} files, between {ordered[0]} and "
        f"{ordered[-1]} ({_some(missing, count)}): the files are taken as if they followed one another"
    )


def _between(start: int, end: int, step: int) -> Iterable[int]:
    return itertools.islice(range(start + step, end, step), _LISTED)


def _some(things: Sequence[object], count: int) -> str:
    shown = ", ".join(map(str, things[:_LISTED]))
    return shown if count <= _LISTED and len(things) <= _LISTED else f"{shown}, ..."
