"""What a file claims is looked at before it is believed, and what goes wrong in it is told with its name.

A file of 300 bytes may declare an image of a terabyte, or a chunk that takes all memory to be decoded.
"""

from __future__ import annotations

import math
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from napari_rdpdenoise.io.source import Index

_GIB = 2**30
_LARGEST_PART = 2 * _GIB  # bytes of a strip, tile or chunk, all of which is decoded at once
_FREE_SHARE = 1 / 3  # of the free memory that it may take
_SPARSEST = 100_000  # times what is stored; compression of the emptiest image comes to a hundredth of it
_DOUBTED = 64 * 2**20  # bytes from which on a claim is doubted


def check_claim(shape: Sequence[int], dtype: np.dtype, stored: int, name: str) -> None:
    """Refuse an image that is far larger than anything that its file can hold.

    Args:
        shape: Shape that the file declares.
        dtype: Sample type.
        stored: Size of the file, or of all files of a folder, bytes.
        name: Name of the file, for the refusal.

    Raises:
        ValueError: If it is.
    """
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > _DOUBTED and claimed > _SPARSEST * stored:
        raise ValueError(
            f"image: expected as many pixels as it declares, found {name} of {stored} bytes, which declares "
            f"the shape {tuple(shape)}, {words(claimed)}; it was not copied or not written completely"
        )


def check_part(shape: Sequence[int], dtype: np.dtype, name: str, kind: str) -> None:
    """Refuse a strip, tile or chunk that cannot be decoded in the memory that is free.

    Args:
        shape: Shape of the part that is decoded at once.
        dtype: Sample type.
        name: Name of the file, for the refusal.
        kind: Word for such a part.

    Raises:
        ValueError: If a size is below 1, or it is too large.
    """
    import psutil

    if min(shape, default=1) < 1:
        raise ValueError(
            f"image: expected {kind}s of at least one pixel, found {tuple(shape)} in {name}; export it again"
        )
    needed, free = math.prod(shape) * dtype.itemsize, psutil.virtual_memory().available
    if needed > min(_LARGEST_PART, _FREE_SHARE * free):
        raise ValueError(
            f"image: expected {kind}s that fit into memory, found one of {tuple(shape)} pixels in {name}, "
            f"which takes {words(needed)} to be decoded at once, and {words(free)} are free; save it in "
            "tiles or smaller chunks first"
        )


def check_plain(path: Path) -> int:
    """Size of a file, bytes; anything that would be waited for, as a pipe, is refused.

    Raises:
        ValueError: If it is no plain file.
    """
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        raise ValueError(
            f"image: expected plain files, found a pipe or device at {path}; remove it or copy the image"
        )
    return state.st_size


@contextmanager
def reading(name: str, index: Index, place: Callable[[], str] = str) -> Iterator[None]:
    """Name file and plane where one cannot be read, and the words for its ``place`` in the file.

    Raises:
        OSError: If the disk cannot be read.
        ValueError: If what it holds cannot be decoded.
    """
    try:
        yield
    except (MemoryError, Warning):
        raise
    except FileNotFoundError as error:
        if error.filename is None:  # said already, of what this one reads from
            raise
        raise FileNotFoundError(
            f"image: plane {index} of {name} cannot be read, as there is no file {error.filename} any more; "
            "put it back, or open the image where it is now"
        ) from error
    except OSError as error:
        raise OSError(
            f"image: plane {index} of {name}{place()} cannot be read ({_why(error)}); check the disk"
        ) from error
    except Exception as error:
        raise ValueError(
            f"image: expected to read plane {index} of {name}{place()}, found it damaged ({_why(error)}); "
            "copy or export it again"
        ) from error


@contextmanager
def opening(name: str, kind: str) -> Iterator[None]:
    """Name the file where its metadata cannot be understood.

    Raises:
        ValueError: If the block raises anything but an error that has words of its own, or of the disk.
    """
    try:
        yield
    except (OSError, MemoryError, Warning):
        raise
    except Exception as error:
        if str(error).startswith(("image: ", "axes: ", "series: ")):
            raise
        if isinstance(error, ImportError):  # a library that reaches addresses of a kind
            raise ValueError(
                f"image: expected {kind} that the installed libraries can reach, found {name} "
                f"({_why(error)}); install what is missing, or copy the image here"
            ) from error
        raise ValueError(
            f"image: expected {kind}, found {name}, whose metadata are damaged or of an unknown kind "
            f"({_why(error)}); copy or export it again"
        ) from error


@contextmanager
def reaching(address: str) -> Iterator[None]:
    """Name an address where its server does not answer; a path is none.

    Raises:
        OSError: If it does not.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if "://" not in address:
            raise
        raise OSError(
            f"image: expected an OME-Zarr at {address}, found no answer ({_why(error)}); check the address "
            "and the network"
        ) from error


def words(size: float) -> str:
    """A number of bytes for people: ``"1.5 GB"``."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            return f"{size:.3g} {unit}" if size < 1000 else f"{size:.0f} {unit}"
        size /= 1000
    raise AssertionError


def _why(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
