"""A folder into which a microscope writes a file for every time point."""

from __future__ import annotations

import time
from pathlib import Path

from napari_rdpdenoise.io.growing.stillness import Stillness, file_state, why_unreadable
from napari_rdpdenoise.io.opening import open_image
from napari_rdpdenoise.io.source import ImageSource
from napari_rdpdenoise.io.stack import StackSource
from napari_rdpdenoise.names import by_number, matching

_AT_ONCE = 64  # files that are taken in one look


class GrowingFiles:
    """Files that match a pattern, as more of them arrive; a file is taken once it is still and reads whole.

    They are taken in the order of the numbers in their names. One that arrives late, behind one that was
    taken, is left out.

    Args:
        pattern: Glob, such as ``"folder/*.tif"``.
        axes: Axes of each file; None to take those of the file.
        still: How long size and time of a file have to be as they are, seconds.
        marker: Name of the file, or path, that says that no more will come.
    """

    def __init__(self, pattern: str, axes: str | None, still: float, marker: str) -> None:
        self._pattern, self._axes, self._marker = pattern, axes, marker
        self._still, self._stillness = still, Stillness(still)
        self._taken: list[str] = []
        self._known: set[str] = set()
        self._late: list[str] = []
        self._refused = "", "", 0.0  # path, why, and when it was last tried
        self._pending = False

    @property
    def changed(self) -> float:
        """When something was last found changed or new, seconds of the monotonic clock."""
        return self._stillness.changed

    def look(self, finished: bool) -> int:
        """Look what has arrived; how many files are complete, from the first on.

        Args:
            finished: Whether the marker is there; it does not matter for files.
        """
        new = [path for path in self._there() if path not in self._known]
        still = [(path, self._stillness.still(path, file_state(path))) for path in new]
        self._pending = not all(quiet for _, quiet in still)
        for path, quiet in still[:_AT_ONCE]:
            if self._taken and by_number(path) < by_number(self._taken[-1]):
                self._leave(path)
            elif quiet and self._reads(path):
                self._take(path)
            else:
                break
        else:
            self._pending |= len(still) > _AT_ONCE
        return len(self._taken)

    def _there(self) -> list[str]:
        try:
            found = matching(self._pattern)
        except FileNotFoundError:
            return []
        return [path for path in found if Path(path).name != self._marker and Path(path).is_file()]

    def _reads(self, path: str) -> bool:
        """Whether a file can be read as a whole; one that could not is not tried again at once."""
        refused, _, when = self._refused
        if refused == path and time.monotonic() - when < self._still:
            return False
        try:
            source = self._open_one(path)
        except Exception as error:  # whatever a reader makes of a file of which a part is there
            words = str(error) or type(error).__name__
        else:
            words = why_unreadable(source)
            source.close()
        self._refused = (path, words, time.monotonic()) if words else ("", "", 0.0)
        return not words

    def _take(self, path: str) -> None:
        self._taken.append(path)
        self._known.add(path)
        self._stillness.forget(path)

    def _leave(self, path: str) -> None:
        self._late.append(path)
        self._known.add(path)
        self._stillness.forget(path)

    def _open_one(self, path: str) -> ImageSource:
        return open_image(path, self._axes)

    def pending(self) -> bool:
        """Whether there is something that may be complete soon without any more being written."""
        return self._pending

    def is_marked(self) -> bool:
        """Whether the file is there that says that no more will come."""
        folder = Path(self._taken[0] if self._taken else self._pattern).parent
        return (folder / self._marker).exists()

    def obstacle(self) -> str:
        """What is there and cannot be taken, in words; empty for nothing."""
        path, words, _ = self._refused
        return f"{Path(path).name} cannot be read as a whole: {words}" if path else ""

    def left_out(self) -> list[str]:
        """What is not in the image though it is there, in words."""
        names = [Path(path).name for path in self._late]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        late = f"{', '.join(names[:3])}{more} came after files that follow by number: left out"
        return [*([late] if names else []), *([words] if (words := self.obstacle()) else [])]

    def open(self, count: int) -> ImageSource:
        """The first files as one image; raises as `open_stack` does."""
        return StackSource(self._taken[:count], "T", self._open_one)
