"""Close napari at random moments of the dock's work, and count how often it ends as it should.

    xvfb-run -a -s '-screen 0 1600x1200x24' python benchmarks/run.py closings --times 20

Each time napari is a process of its own: a window with the dock, closed as the window's X does it, with
"Close" clicked in every dialog that asks. It has to end with exit status 0 within a time of patience; where
it does not, the places of all its threads are shown.
"""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import execute, markdown, parser
from benchmarks.window import display_missing, load_words

TIMES = 20
PATIENCE_S = 180.0  # from the wish to close to the end of the process
READY_S = 900.0  # until the moment comes in which it is closed
MOMENTS = ("opening", "loading", "measuring", "previewing", "running", "training", "after")
# How long after the beginning of a moment it is closed, seconds at most
SPREAD_S = {
    "opening": 1.0,
    "loading": 4.0,
    "measuring": 1.5,
    "previewing": 4.0,
    "running": 3.0,
    "training": 12.0,
    "after": 1.0,
}
_ASKING = {"running": "Denoising", "training": "Training"}  # of which words the window asks then
_TEXT_OF_DUMP = 6000  # characters of the threads' places that are kept


@dataclass(frozen=True)
class Closing:
    """What became of one process.

    Attributes:
        moment: Moment in which it was closed, of `MOMENTS`.
        delay_s: How long after its beginning, seconds.
        status: Exit status; None where it did not end in time.
        ended_s: Time from the wish to close to the end of the process, seconds; NaN if it was never closed.
        asked: Words of the dialogs that asked before.
        threads: Where its threads were when patience ended, or what it wrote as it failed.
    """

    moment: str
    delay_s: float
    status: int | None
    ended_s: float
    asked: tuple[str, ...]
    threads: str = ""

    @property
    def closed(self) -> bool:
        """Whether it came to the moment at all; a machine that is too busy says nothing of closing."""
        return math.isfinite(self.ended_s)

    @property
    def fine(self) -> bool:
        """Whether it ended as it should, and asked where a work that the user started was under way."""
        return self.status == 0 and _ASKING.get(self.moment, "") in " ".join(self.asked)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Close so many windows; see ``table``."""
    chance, found, loads = random.Random(options.seed), [], [load_words()]
    for number in range(options.times):
        moment = MOMENTS[number % len(MOMENTS)]
        closing = close_once(moment, chance.uniform(0, SPREAD_S[moment]), options)
        found.append(closing)
        print(f"{number + 1} of {options.times}: {_line(closing)}", flush=True)
    loads.append(load_words())
    return {"closings": [asdict(c) | {"fine": c.fine, "closed": c.closed} for c in found], "load": loads}


def close_once(moment: str, delay_s: float, options: argparse.Namespace) -> Closing:
    """Start a window in a process of its own, have it closed, and wait for its end."""
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "notes.json"
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.closings", "--model", options.model]
        command += ["--device", options.device, "--threads", str(options.threads)]
        command += ["--moment", moment, "--delay", f"{delay_s:.3f}", "--notes", str(notes)]
        own = {name: str(Path(folder) / name.lower()) for name in ("RDPDENOISE_CACHE", "RDPDENOISE_MODELS")}
        own["NAPARI_CONFIG"] = str(Path(folder) / "napari.yaml")
        process = subprocess.Popen(
            command, env={**os.environ, **own}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        try:
            _, words = process.communicate(timeout=READY_S + 2 * PATIENCE_S)
            status: int | None = process.returncode
        except subprocess.TimeoutExpired:  # not even the watch in it works any more
            process.kill()
            _, words = process.communicate()
            status = None
        ended = time.time()
        told = json.loads(notes.read_text()) if notes.is_file() else {}
    wish = told.get("wish", float("nan"))
    if "Timeout (" in words:  # the words of the watch that then ended the process
        status = None
    shown = words[-_TEXT_OF_DUMP:] if status != 0 else ""
    return Closing(
        moment, round(delay_s, 2), status, round(ended - wish, 1), tuple(told.get("asked", ())), shown
    )


# In the process of the window


class _Scene:
    """A window with the dock that is brought to a moment, then closed."""

    def __init__(self, options: argparse.Namespace) -> None:
        import napari
        from qtpy.QtCore import QTimer

        self._options, self._asked = options, []
        self._viewer = napari.Viewer()
        self._qt = self._viewer.window._qt_window
        self._dock: Any = None
        self._timer = QTimer()
        self._timer.setInterval(10)
        self._timer.timeout.connect(self._look)
        self._steps: list[tuple[Callable[[], bool], Callable[[], None]]]  # what is waited for, and done then
        self._steps = [(lambda: True, self._open), *getattr(self, f"_{options.moment}")()]
        if options.moment != "opening":  # whoever asks for the session has the dock complete
            self._steps.insert(1, (lambda: self._dock.complete, self._set_model))
        self._timer.start()

    def _open(self) -> None:
        _, self._dock = self._viewer.window.add_plugin_dock_widget("napari-rdpdenoise", "RDP Denoise")

    def _set_model(self) -> None:
        self._dock.session.edit(model=self._options.model)

    # What leads to each moment

    def _opening(self) -> list[Any]:
        return []

    def _loading(self) -> list[Any]:
        return [(lambda: True, lambda: self._add(512))]

    def _measuring(self) -> list[Any]:
        return [(self._loaded, lambda: self._add(512))]

    def _previewing(self) -> list[Any]:
        return [(self._loaded, lambda: self._add(2048)), (self._first_tile, lambda: None)]

    def _running(self) -> list[Any]:
        begun = lambda: self._dock.session.state.done > 0  # noqa: E731
        return [(self._loaded, lambda: self._add(1536)), (self._previewed, self._run), (begun, lambda: None)]

    def _training(self) -> list[Any]:
        return [(self._loaded, lambda: self._add(256)), (self._previewed, self._train)]

    def _after(self) -> list[Any]:
        idle = lambda: not self._dock.session.state.busy  # noqa: E731
        return [(self._loaded, lambda: self._add(256)), (self._previewed, self._run), (idle, lambda: None)]

    def _loaded(self) -> bool:
        return self._dock.session.state.realism_note is None

    def _first_tile(self) -> bool:
        return self._dock.session.state.shown > 0

    def _previewed(self) -> bool:
        return self._first_tile() and not self._dock.session.unsettled

    def _add(self, edge: int) -> None:
        from napari_rdpdenoise.samples import simulate_timelapse

        small = simulate_timelapse((4, 256, 256), photons=12, seed=1).noisy
        noisy = np.tile(small, (1, edge // 256, edge // 256))  # a large one would be long in the making
        self._dock.choose(self._viewer.add_image(noisy, name="cells", axis_labels=("t", "y", "x")))

    def _run(self) -> None:
        self._dock.run()

    def _train(self) -> None:
        box = self._dock.sections["train"]
        self._dock.open_tab("train")
        box.form.kind.setCurrentIndex(box.form.kind.findData("zeroshot"))
        box.begin()

    # Closing

    def _look(self) -> None:
        from qtpy.QtCore import QTimer

        if self._steps and self._steps[0][0]():
            self._steps.pop(0)[1]()
            if not self._steps:
                self._timer.stop()
                QTimer.singleShot(round(1000 * self._options.delay), self._close)

    def _close(self) -> None:
        faulthandler.dump_traceback_later(PATIENCE_S, exit=True)
        self._timer.timeout.disconnect()
        self._timer.timeout.connect(self._answer)
        self._timer.start()
        self._wish = time.time()
        self._note()
        ask_to_close(int(self._qt.winId()))

    def _answer(self) -> None:
        """Click Close in a dialog that asks."""
        from napari._qt.dialogs.confirm_close_dialog import ConfirmCloseDialog
        from qtpy.QtWidgets import QApplication, QLabel

        dialog = QApplication.activeModalWidget()
        if isinstance(dialog, ConfirmCloseDialog):
            self._asked.append(" ".join(label.text() for label in dialog.findChildren(QLabel)))
            self._note()
            dialog.close_btn.click()

    def _note(self) -> None:
        notes = {"wish": self._wish, "asked": self._asked}
        self._options.notes.write_text(json.dumps(notes), encoding="utf-8")


def ask_to_close(window: int) -> None:
    """Send a window of X11 what its X sends; a window that is closed by a program does not ask."""
    x11 = ctypes.CDLL("libX11.so.6")
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XInternAtom.restype = ctypes.c_ulong
    x11.XInternAtom.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    x11.XSendEvent.argtypes = [ctypes.c_void_p, ctypes.c_ulong, ctypes.c_int, ctypes.c_long, ctypes.c_void_p]
    x11.XSync.argtypes = [ctypes.c_void_p, ctypes.c_int]
    x11.XCloseDisplay.argtypes = [ctypes.c_void_p]
    display = x11.XOpenDisplay(None)
    protocols, delete = (x11.XInternAtom(display, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW"))
    event = _ClientMessage(33, 0, 1, display, window, protocols, 32, (ctypes.c_long * 5)(delete, 0, 0, 0, 0))
    x11.XSendEvent(display, window, 0, 0, ctypes.byref(event))
    x11.XSync(display, 0)
    x11.XCloseDisplay(display)


class _ClientMessage(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
        ("room", ctypes.c_long * 12),  # an XEvent is a union of 24 longs
    )


def _in_process(options: argparse.Namespace) -> int:
    import napari

    faulthandler.enable()
    faulthandler.dump_traceback_later(READY_S, exit=True)
    scene = _Scene(options)
    napari.run()
    del scene
    return 0


# What is told


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    closings = [c for c in record["result"]["closings"] if c["closed"]]
    missing = len(record["result"]["closings"]) - len(closings)
    late = f" {missing} more did not come to their moment within {READY_S:g} s." if missing else ""
    rows = []
    for moment in MOMENTS:
        of_it = [c for c in closings if c["moment"] == moment]
        if of_it:
            longest = max(c["ended_s"] for c in of_it)
            fine = sum(c["fine"] for c in of_it)
            rows.append((moment, f"{fine} of {len(of_it)}", f"{longest:.1f} s"))
    fine = sum(c["fine"] for c in closings)
    words = "; ".join(record["result"]["load"])
    return (
        f"{fine} of {len(closings)} windows that were closed at random moments ended with exit status 0, and "
        f"asked before where a run or a training was under way.{late}\n\n"
        + markdown(("closed while", "ended as it should", "longest from the click to the end"), rows)
        + f"\n\nProcesses that wanted a core, at the start and the end: {words}."
    )


def _line(closing: Closing) -> str:
    if not closing.closed:
        return f"{closing.moment}: never came to be closed\n{closing.threads}"
    status = "no end in time" if closing.status is None else f"exit status {closing.status}"
    asked = f", asked {len(closing.asked)} times" if closing.asked else ""
    line = f"{closing.moment} + {closing.delay_s:.1f} s: {status} after {closing.ended_s:.1f} s{asked}"
    return line if closing.fine else f"{line}\n{closing.threads}"


def main() -> int:
    """Measure and keep the result, where there is a display."""
    options = parser(__doc__)
    options.add_argument("--times", type=int, default=TIMES, help="windows that are closed")
    options.add_argument("--seed", type=int, default=0, help="of the random moments")
    for name, kind in (("moment", str), ("delay", float), ("notes", Path)):
        options.add_argument(f"--{name}", type=kind, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.moment is not None:
        return _in_process(given)
    if (reason := display_missing()) is not None or not sys.platform.startswith("linux"):
        print(f"closings: not measured, {reason or 'windows are closed by X11 here'}", file=sys.stderr)
        return 1
    given.times = given.limit or given.times
    execute("closings", measure, given)
    return 0


if __name__ == "__main__":
    sys.exit(main())
