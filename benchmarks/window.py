"""A real napari window for measuring: opens it, lets it work, and tells when its event loop stood still.

A heartbeat is due every 5 ms. Where it comes late, the gap is split, on Linux, by what its thread did::

    gap = computing (its own CPU time) + queued (ready, but no core was free) + waiting (a lock, the GIL, X)

Only the first and the last can be ours; the second tells how busy the machine is. Where the thread was, it
notes itself, when a signal asks it to: what it does in C is seen where it comes back from there. A sampler in
another thread holds the frames that it looks at, if only for a moment, and with them what their functions
hold; a painter of Qt then ends late, and in the wrong thread. A sampler without Python's lock, as that of
`faulthandler`, reads frames while they change. Both have ended the process.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np

BEAT_MS = 5
LATE_S = 0.06  # after which the sampler looks where the window's thread is, and after which it looks again
WORST = 5  # gaps that are kept with where the thread was
DEPTH = 6  # innermost lines of a place
_OWN = "preview", "dock: "  # how names of threads of the dock begin
_SIGNAL = getattr(signal, "SIGUSR1", None)  # not on Windows
_CLOCK = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")  # of the importing, the main thread


def display_missing() -> str | None:
    """Why no window can be opened; None if one can."""
    if not sys.platform.startswith("linux") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return None
    return "there is no display; put xvfb-run -a -s '-screen 0 1600x1200x24' before the command"


def load_words() -> str:
    """Processes that want a core, and the cores there are for us."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    cores = len(affinity(0)) if affinity else os.cpu_count()
    return f"{os.getloadavg()[0]:.1f} on {cores} of {os.cpu_count()} cores" if os.name == "posix" else ""


class Window:
    """A viewer with the dock.

    Args:
        size: width and height, pixels.

    Attributes:
        viewer: the viewer.
        dock: the dock; None until `open_dock`.
    """

    def __init__(self, size: tuple[int, int] = (1500, 950)) -> None:
        import napari

        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(*size)
        self.dock: Any = None
        self.rest(1.0)

    def open_dock(self) -> None:
        """Open it as a user's script does."""
        _, self.dock = self.viewer.window.add_plugin_dock_widget("napari-rdpdenoise", "RDP Denoise")

    def rest(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Let the window work until a condition holds; whether it does."""
        from qtpy.QtWidgets import QApplication

        end = time.perf_counter() + seconds
        while True:
            QApplication.processEvents()
            if (held := until()) or time.perf_counter() >= end:
                return held
            time.sleep(0.001)

    def wait(self, until: Callable[[], bool], what: str, seconds: float = 300.0) -> float:
        """As `rest`, and tells how long it took, seconds.

        Raises:
            TimeoutError: if it never holds.
        """
        began = time.perf_counter()
        if not self.rest(seconds, until):
            raise TimeoutError(f"{what}: not within {seconds} s; the dock says {self.dock.session.state}")
        return time.perf_counter() - began

    def previewed(self) -> bool:
        """Whether all in view is denoised, at the rate that was chosen for it."""
        state = self.dock.session.state
        return (
            state.requested > 0 and state.shown == state.requested and self.dock.session.view.plan is not None
        )

    def idle(self) -> bool:
        """Whether no run is under way."""
        return not self.dock.session.state.busy

    def picture(self, path: Path | str | None = None) -> np.ndarray:
        """The whole window as RGB."""
        return np.asarray(self.viewer.window.screenshot(path=path, flash=False))[..., :3]

    def close(self) -> None:
        """Close the window and let Qt delete it."""
        self.viewer.close()
        self.rest(0.3)


@dataclass(frozen=True)
class Gap:
    """One time without a heartbeat; seconds, NaN where the system does not tell."""

    length: float
    computing: float
    queued: float

    @classmethod
    def between(cls, start: tuple[float, float, float], end: tuple[float, float, float]) -> Gap:
        """What passed between two readings of `clock`."""
        return cls(*(b - a for a, b in zip(start, end, strict=True)))

    @property
    def ours(self) -> float:
        """Without the time for which no core was free."""
        return self.length - (self.queued if np.isfinite(self.queued) else 0.0)


class Sampler:
    """Has the window's thread note where it is, while it is late; to be started and stopped once, by itself.

    Attributes:
        seen: Time at which it noted, of ``perf_counter``; the innermost lines, from the inside out; and
            those of the dock's other threads, one of which may just have let go of Python's lock.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[float, str, list[str]]] = []
        self.beaten = time.perf_counter()  # when the window last did; to be set by the one who knows
        self._window = threading.get_ident()
        self._before: Any = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="sampler", daemon=True)

    def start(self) -> None:
        """Begin to look, where the system has such signals."""
        self.beaten = time.perf_counter()
        if _SIGNAL is not None:
            self._before = signal.signal(_SIGNAL, self._note)
            signal.siginterrupt(_SIGNAL, False)
            self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()
        if _SIGNAL is not None:
            self._thread.join()
            # not by default, which is to end the process, should one come late
            signal.signal(_SIGNAL, self._before if callable(self._before) else signal.SIG_IGN)

    def _watch(self) -> None:
        assert _SIGNAL is not None
        while not self._stopped.wait(LATE_S):
            if time.perf_counter() - self.beaten > LATE_S:
                signal.pthread_kill(self._window, _SIGNAL)

    def _note(self, number: int, frame: FrameType | None) -> None:
        """In the window's thread, amid what it does."""
        others = {t.ident or 0: t.name for t in threading.enumerate() if t.name.startswith(_OWN)}
        found = {ident: _place(other) for ident, other in sys._current_frames().items() if ident in others}
        words = [f"{others[ident]}: {_words_of(place)}" for ident, place in found.items()]
        self.seen.append((time.perf_counter(), _words_of(_place(frame)), words))


Place = list[tuple[CodeType, int]]
"""Innermost lines first: function and line."""


def _place(frame: FrameType | None) -> Place:
    found: Place = []
    while frame is not None and len(found) < DEPTH:
        found.append((frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return found


def _words_of(place: Place) -> str:
    return " < ".join(
        f"{'/'.join(Path(code.co_filename).parts[-2:])}:{line} {code.co_name}" for code, line in place
    )


class Heartbeat:
    """A context in which the event loop's gaps are noted.

    Attributes:
        gaps: Gaps between heartbeats.
        ends: When each ended, of ``perf_counter``.
    """

    def __init__(self) -> None:
        from qtpy.QtCore import Qt, QTimer

        self.gaps: list[Gap] = []
        self.ends: list[float] = []
        self._sampler = Sampler()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(BEAT_MS)
        self._timer.timeout.connect(self._beat)

    def __enter__(self) -> Heartbeat:
        self._last = clock()
        self._sampler.start()
        self._timer.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._beat()
        self._timer.stop()
        self._sampler.stop()

    def figures(self) -> dict[str, Any]:
        """Milliseconds: longest and 99th percentile.

        Also without the time in which no core was free, and of the thread's own CPU time alone, which no
        other process lengthens.
        """
        lengths, ours = (
            [1000 * value for value in row]
            for row in zip(*((g.length, g.ours) for g in self.gaps), strict=True)
        )
        worst = self.gaps[int(np.argmax(ours))]
        return {
            "beats": len(lengths),
            "longest_ms": round(max(lengths), 1),
            "p99_ms": round(float(np.percentile(lengths, 99)), 1),
            "over_100_ms": sum(length > 100 for length in lengths),
            "longest_but_queued_ms": round(max(ours), 1),
            "p99_but_queued_ms": round(float(np.percentile(ours, 99)), 1),
            "worst_computing_ms": round(1000 * worst.computing, 1),
            "longest_computing_ms": round(1000 * max(gap.computing for gap in self.gaps), 1),
            "p99_computing_ms": round(1000 * float(np.percentile([g.computing for g in self.gaps], 99)), 1),
            "places": dict(Counter(where for _, where, _ in self._sampler.seen).most_common(12)),
            "worst": [self._words(number) for number in np.argsort(ours)[::-1][:WORST]],
        }

    def _words(self, number: int) -> dict[str, Any]:
        """What is known of one gap: milliseconds, and where the thread was."""
        gap, end = self.gaps[number], self.ends[number]
        seen = [look for look in self._sampler.seen if end - gap.length <= look[0] <= end]
        figures = {name: round(1000 * value, 1) for name, value in asdict(gap).items()}
        return figures | {"places": [look[1] for look in seen[:3]], "others": [look[2] for look in seen[:3]]}

    def _beat(self) -> None:
        now = clock()
        self.gaps.append(Gap.between(self._last, now))
        self.ends.append(now[0])
        self._last, self._sampler.beaten = now, now[0]


def clock() -> tuple[float, float, float]:
    """Wall, own CPU and queued seconds of the window's thread."""
    try:
        queued = int(_CLOCK.read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        queued = float("nan")
    return time.perf_counter(), time.thread_time(), queued
