"""Images that something else is still writing: what of them is complete, and when the end has come."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from napari_rdpdenoise.io.source import ImageSource

__all__ = ["GrowingImage", "open_growing"]


class GrowingImage(Protocol):
    """An image that grows along T; what is complete of it never changes any more."""

    @property
    def changed(self) -> float:
        """When something was last found changed or new, seconds of the monotonic clock."""

    def look(self, finished: bool) -> int:
        """Look what is there; how many time points are complete, from the first on.

        Args:
            finished: Whether the writer is done.
        """

    def pending(self) -> bool:
        """Whether there is something that may be complete soon without any more being written."""

    def is_marked(self) -> bool:
        """Whether the writer says that no more will come."""

    def obstacle(self) -> str:
        """What is there and cannot be taken, in words; empty for nothing."""

    def left_out(self) -> list[str]:
        """What is not in the image though it is there, or was planned, in words."""

    def open(self, count: int) -> ImageSource:
        """The first time points, all complete, as an image."""


def open_growing(
    path: str,
    stack: str | None,
    axes: str | None,
    series: int | None,
    *,
    still: float,
    marker: str,
) -> GrowingImage:
    """Begin to look at an image that is being written; it need not be there yet.

    Args:
        path: Folder of a Zarr, a TIFF that becomes longer, the folder of an NDTiff data set that has begun
            or, with ``stack``, a pattern of files, each of a time point.
        stack: Letter of the axis through the files; None for a single image.
        axes: Axes as stored; None to take those of the file.
        series: Number of the image where there are several; None for the first.
        still: How long something has to be as it is where nothing else says that it is complete, seconds.
        marker: Name of the file, or attribute, that says that no more will come.

    Raises:
        ValueError: If it is none of these.
    """
    if stack == "T":
        from napari_rdpdenoise.io.growing.files import GrowingFiles

        return GrowingFiles(path, axes, still, marker)
    from napari_rdpdenoise.io.growing.appended import GrowingFile, is_appended

    if stack is None and "://" not in path and is_appended(Path(path)):
        return GrowingFile(path, axes, series, still, marker)
    if stack is not None or "://" in path or Path(path).is_file():
        found = f"stack {stack}" if stack else path
        raise ValueError(
            f"follow: expected the folder of a Zarr, a TIFF or NDTiff that is appended to, or a pattern of "
            f"files with stack T (--stack T), found {found}; only these can be followed while they grow"
        )
    from napari_rdpdenoise.io.growing.zarr import GrowingZarr

    return GrowingZarr(path, axes, series, still, marker)
