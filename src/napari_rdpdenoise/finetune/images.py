"""The user's images as planes in memory: from arrays, files, folders, or several of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.finetune.unread import OpenFile, UnreadPlane, find_planes

MOST_PLANES, MOST_PIXELS = 256, 64_000_000  # more add time, not knowledge
READ_PIXELS = 300_000_000  # of what cannot be thinned: 4 GB with its partners, which become float32
_LEAST = 64  # px


@dataclass(frozen=True)
class Planes:
    """Planes of one channel, raw counts.

    Attributes:
        planes: Arrays (rows, columns) of any real type.
        names: Names of the places that each came from.
        stacks: Names of the file or array of each. Planes that are given as a list are one: it may be a
            stack's.
        left_out: Number of planes beyond the most that are used.
        of_pictures: Whether all are colours of pictures.
    """

    planes: tuple[NDArray[Any], ...]
    names: tuple[str, ...]
    stacks: tuple[str, ...]
    left_out: int = 0
    of_pictures: bool = False

    def __len__(self) -> int:
        return len(self.planes)

    @property
    def pixels(self) -> int:
        """Number of pixels of all planes."""
        return sum(p.size for p in self.planes)

    def fingerprints(self) -> tuple[str, ...]:
        """One per plane: shape, type and content as 16 hexadecimal digits."""
        heads = (f"{plane.shape} {plane.dtype.str} ".encode() for plane in self.planes)
        whole = (head + np.ascontiguousarray(p).tobytes() for head, p in zip(heads, self.planes, strict=True))
        return tuple(hashlib.sha256(content).hexdigest()[:16] for content in whole)


def take_planes(images: Any, name: str, *, thin: bool = True) -> Planes:
    """Planes of what a user gives. All are counted first; only what is kept is read.

    Args:
        images: Array (2-D, or a stack whose last two axes are Y and X), path of an image or of a folder of
            images, or list of these.
        name: Name of the argument, for errors.
        thin: Whether to take an even share of many planes; pairs must not be thinned apart.

    Raises:
        FileNotFoundError: If a path does not exist or a folder holds no image.
        TypeError: If values are not real numbers.
        ValueError: If there is nothing in it, a plane is too small, or there is more than memory is for.
    """
    with closing(OpenFile()) as files:
        found = list(find_planes(images, name, files))
        if not found:
            raise ValueError(f"{name}: expected at least one image, found none")
        for place in found:
            if min(place.shape) < _LEAST:
                raise ValueError(
                    f"{name}: expected planes of at least {_LEAST} px each way, found {place.shape} in "
                    f"{place.where}; give larger images, with Y and X as the last two axes"
                )
        kept = _thinned(found) if thin else found
        _check_pixels(kept, name, thin=thin)
        planes = tuple(_read(place, name) for place in kept)
    names, stacks = (tuple(getattr(place, field) for place in kept) for field in ("where", "stack"))
    of_pictures = all(place.of_picture for place in found)
    return Planes(planes, names, stacks, len(found) - len(kept), of_pictures)


def refuse_constant(images: Planes, name: str) -> None:
    """Refuse planes of one value, from which nothing can be learned.

    Raises:
        ValueError: If there is such a plane; the message names the first, and ``name`` as the argument.
    """
    whole = [filled(plane) for plane in images.planes]
    flat = [k for k, plane in enumerate(whole) if plane.min() == plane.max()]
    if flat:
        more = f" and {len(flat) - 1} more" if len(flat) > 1 else ""
        raise ValueError(
            f"{name}: expected images with noise, found the one value {whole[flat[0]].min():g} everywhere in "
            f"{images.names[flat[0]]}{more}; leave such images out"
        )


def filled(plane: NDArray[Any]) -> NDArray[Any]:
    """The plane with its median in the place of what is not finite."""
    if plane.dtype.kind != "f" or np.isfinite(plane).all():
        return plane
    return np.where(np.isfinite(plane), plane, np.nanmedian(np.where(np.isfinite(plane), plane, np.nan)))


def _check_pixels(kept: Sequence[UnreadPlane], name: str, *, thin: bool) -> None:
    pixels = sum(place.pixels for place in kept)
    if pixels > READ_PIXELS:
        what = "crop it" if thin else "give fewer pairs, or crop both of each alike"
        raise ValueError(
            f"{name}: expected at most {READ_PIXELS / 1e6:g} million pixels, which are held in memory, found "
            f"{pixels / 1e6:.0f} million in {len(kept)} planes; {what}"
        )


def _read(place: UnreadPlane, name: str) -> NDArray[Any]:
    plane = place.read()
    if plane.dtype.kind not in "uif":
        raise TypeError(
            f"{name}: expected integers or floats of 8 to 64 bits, found {plane.dtype} in {place.where}; "
            "convert it"
        )
    if not np.isfinite(plane).any():
        raise ValueError(f"{name}: expected finite values, found none in {place.where}; leave it out")
    return plane


def _thinned(found: list[UnreadPlane]) -> list[UnreadPlane]:
    """An even share of at most so many planes and, but for a single one, pixels."""
    pixels = sum(place.pixels for place in found)
    most = min(MOST_PLANES, len(found), max(1, len(found) * MOST_PIXELS // max(pixels, 1)))
    while True:
        kept = [found[int(k)] for k in np.linspace(0, len(found) - 1, most).round()]
        if most == 1 or sum(place.pixels for place in kept) <= MOST_PIXELS:
            return kept
        most -= 1
