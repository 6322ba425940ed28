"""Several images in one file or folder: what each is, and which of them is meant."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from napari_rdpdenoise.names import shown


@dataclass(frozen=True)
class ImageInfo:
    """One of the images that a file holds.

    Attributes:
        name: Name for people, such as that of a position, well or scene; empty where the file has none.
        axes: Axes as the file has them, those that only tell one image from another left out.
        shape: Sizes of these axes, pixels for Y and X.
        secondary: Whether it accompanies another image: a thumbnail, label or overview.
    """

    name: str
    axes: str
    shape: tuple[int, ...]
    secondary: bool = False

    @property
    def size(self) -> str:
        """Axes and sizes in words."""
        return f"{self.axes} {' x '.join(map(str, self.shape))}".strip()

    def __str__(self) -> str:
        return f"{shown(self.name)} {self.size}".strip()


def choose_image(images: Sequence[ImageInfo], series: int | None, name: str) -> int:
    """Number of the image that is meant: the one asked for, else the first that accompanies no other.

    Where nobody chose and there are several, a warning says which is taken and what else is there.

    Raises:
        ValueError: If ``series`` is none of them; the message lists what there is in ``name``.
    """
    if series is not None:
        if not 0 <= series < len(images):
            raise ValueError(
                f"series: expected a number from 0 to {len(images) - 1}, found {series}; {name} holds "
                f"{_listed(images)}"
            )
        return series
    chosen = next((number for number, image in enumerate(images) if not image.secondary), 0)
    if len(images) > 1:
        warnings.warn(
            f"{shown(name)} holds {len(images)} images: {_listed(images)}; number {chosen} is taken "
            "(choose with --series N, or --series all for each of them)",
            stacklevel=5,
        )
    return chosen


def _listed(images: Sequence[ImageInfo], most: int = 8) -> str:
    numbered = enumerate(images[:most])
    shown = [f"{number} ({image if image.name != str(number) else image.size})" for number, image in numbered]
    return ", ".join(shown) + (f" and {len(images) - most} more" if len(images) > most else "")
