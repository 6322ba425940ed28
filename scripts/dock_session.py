"""Use the dock from opening a stack to closing the window in the middle of a run, and tell what happened.

    xvfb-run -a -s '-screen 0 1600x1200x24' python scripts/dock_session.py STACK [--out FOLDER]

STACK is a TIFF with named axes. Times are from the start; pictures of the moments go to the folder.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.window import Heartbeat, Window, display_missing, load_words  # noqa: E402


class Log:
    """Lines with the time and what is written after it; pictures beside."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._began, self._pictures = folder, time.perf_counter(), 0

    def __call__(self, text: str) -> None:
        """One line."""
        print(f"{time.perf_counter() - self._began:7.2f} s  {text}", flush=True)

    def picture(self, window: Window, name: str) -> None:
        """The window as it is now."""
        self._pictures += 1
        window.picture(self._folder / f"{self._pictures:02}-{name}.png")


def open_stack(window: Window, path: Path) -> tuple[Any, Any]:
    """The stack, and in place of a clean reference, which real stacks lack, a median filter of it."""
    import tifffile
    from scipy.ndimage import median_filter

    with tifffile.TiffFile(path) as file:
        data, axes = file.series[0].asarray(), file.series[0].axes.lower()
    smooth = median_filter(data, size=(*(1,) * (data.ndim - 2), 3, 3))
    noisy = window.viewer.add_image(data, name=path.name.partition(".")[0], axis_labels=tuple(axes))
    reference = window.viewer.add_image(smooth, name="median", axis_labels=tuple(axes), visible=False)
    return noisy, reference


def preview(window: Window, noisy: Any, log: Log) -> None:
    """Choose the stack and watch the tiles come."""
    dock, seen = window.dock, -1
    dock.choose(noisy)
    log(f"chosen: {dock.session.state.facts}")
    while dock.session.unsettled:
        window.rest(0.01)
        if dock.session.state.shown != seen:
            seen = dock.session.state.shown
            log(f"  {dock.session.state.preview_line.splitlines()[0]} {dock.session.state.outcome}")
    log(f"preview complete: {dock.session.state.facts}; {dock.session.state.outcome}")
    log.picture(window, "preview")


def _drag(window: Window, slider: Any, values: np.ndarray) -> None:
    """Move a slider in steps, and wait for the preview."""
    for value in values:
        slider.setValue(float(value))
        window.rest(0.05)
    window.dock.wait()


def sliders(window: Window, log: Log) -> None:
    """Move both, and step through the stack."""
    dock = window.dock
    _drag(window, dock.sections["image"].realism, np.linspace(0.1, 1.0, 10))
    log(f"realism to {dock.session.realism:g}")
    log.picture(window, "realism")
    dock.sections["image"].auto.setChecked(False)
    _drag(window, dock.sections["image"].rate, np.linspace(0.9, 0.1, 9))
    log(f"rate to {dock.session.rate:g}: {dock.session.state.outcome}")
    log.picture(window, "rate")
    dock.sections["image"].auto.setChecked(True)
    dock.sections["image"].realism.setValue(0.2)
    dims = window.viewer.dims
    for step in range(1, min(6, dims.nsteps[0])):
        dims.set_current_step(0, step)
        window.rest(0.1)
    dock.wait()
    log(f"rate auto again, {step} steps on: {dock.session.state.outcome}")


def readouts(window: Window, reference: Any, log: Log) -> None:
    """Compare, and measure against the reference."""
    dock = window.dock
    dock.open_tab("check")
    window.rest(1.0)
    box = dock.sections["check"].readouts
    box._reference.choose(reference)
    box.measure_plane()
    window.rest(0.1)
    window.wait(lambda: not box._cancel.isEnabled(), "measurement")
    table = box._table
    for row in range(table.rowCount()):
        cells = [table.item(row, column) for column in range(table.columnCount())]
        head = table.verticalHeaderItem(row)
        log("  " + " | ".join(x.text() for x in (head, *cells) if x is not None))
    log.picture(window, "readouts")


def runs(window: Window, folder: Path, log: Log) -> None:
    """To OME-Zarr; cancelled; again."""
    dock, target = window.dock, folder / "denoised.ome.zarr"
    dock.run(target)
    window.wait(lambda: dock.session.state.done > 0, "first tiles of the run")
    log(f"run: {dock.session.state.status}")
    dock.session.cancel()
    took = window.wait(window.idle, "cancelled run")
    log(
        f"cancelled within {took:.2f} s: {dock.session.state.status}; "
        f"{sorted(p.name for p in folder.glob('*.zarr*'))}"
    )
    dock.run(target, overwrite=target.exists())
    took = window.wait(window.idle, "run", 1200)
    log(f"run again, {took:.1f} s: {' '.join(dock.session.state.status.split())}")
    log(
        f"  layers: {[layer.name for layer in window.viewer.layers]}; "
        f"shape {window.viewer.layers[-1].data.shape}"
    )
    window.rest(0.5)
    log.picture(window, "result")


def close(window: Window, log: Log) -> None:
    """In the middle of a run to memory."""
    dock = window.dock
    dock.run()
    window.wait(lambda: dock.session.state.done > 0, "first tiles of the run")
    log(f"closing the window at: {dock.session.state.status}")
    began = time.perf_counter()
    window.close()
    from qtpy.QtCore import QThreadPool

    while QThreadPool.globalInstance().activeThreadCount() and time.perf_counter() - began < 60:
        window.rest(0.01)
    names = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    log(f"closed and the run ended within {time.perf_counter() - began:.2f} s; threads left: {names}")


def main() -> int:
    """The whole session, where there is a display."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("stack", type=Path)
    options.add_argument("--out", type=Path)
    given = options.parse_args()
    if (reason := display_missing()) is not None:
        print(f"no session, {reason}", file=sys.stderr)
        return 1
    folder = given.out or Path(mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    log = Log(folder)
    window = Window((1400, 1000))
    log(f"window; load {load_words()}")
    window.open_dock()
    log("dock")
    window.wait(lambda: window.dock.session.state.realism_note is None, "a model with realism")
    log("model loaded")
    noisy, reference = open_stack(window, given.stack)
    log(f"opened {given.stack.name}: {noisy.data.shape}")
    with Heartbeat() as beat:
        preview(window, noisy, log)
        sliders(window, log)
        readouts(window, reference, log)
        runs(window, folder, log)
    figures = beat.figures()
    log(f"event loop: {', '.join(f'{k} {v}' for k, v in figures.items() if k != 'places')}")
    close(window, log)
    log(f"load {load_words()}; pictures in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
