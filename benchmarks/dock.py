"""The dock in a real window: how soon it is there, how soon it answers, and how long the window stands still.

    xvfb-run -a -s '-screen 0 1600x1200x24' python -m benchmarks.dock [--threads 2] [--limit 3]

A preview's latency without a window is in `benchmarks.preview`; here everything goes through the dock's own
controls, and a time ends when vispy has drawn. Loading PyTorch and the model is measured apart: it happens
once, in a thread, and its imports still hold up the window.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.common import execute, load_codec, markdown, parser
from benchmarks.window import BEAT_MS, Gap, Heartbeat, Window, clock, display_missing, load_words
from napari_rdpdenoise.samples import SimulatedSample, simulate_timelapse

EDGE, LARGE = 1024, 2048  # px, of a view
FRAMES = 6  # planes of the stack that is run
SERIES = 5  # planes of a stack with neighbours
TRAINED = 6  # steps
ADDED = 4  # layers
DRAG_S, STEP_S = 3.0, 0.016  # a drag, and one step of it: what a mouse at 60 Hz does
_COLUMNS = {
    "longest": "longest_ms",
    "99th percentile": "p99_ms",
    "longest, core free": "longest_but_queued_ms",
    "99th, core free": "p99_but_queued_ms",
    "longest, computing": "longest_computing_ms",
}
LAYER = {"axis_labels": ("t", "y", "x"), "contrast_limits": (100, 220)}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All figures; see ``table``."""
    repeats = options.limit or 7
    small, large = simulate_timelapse((repeats, EDGE, EDGE)), simulate_timelapse((1, LARGE, LARGE))
    window, loads = Window((1500, 1100)), [load_words()]
    # What napari itself does once, with the first layer of a session, is not the dock's
    alone = dict(_alone(window, large))
    with Heartbeat() as loading:
        opened = _open(window)
        began = time.perf_counter()
        window.wait(lambda: window.dock.session.state.realism_note is None, "a model with realism")
        loaded = time.perf_counter() - began
    load_codec(options)  # sets the threads; the model is there
    first = [_first_tile(window, small.noisy[n : n + 1]) for n in range(repeats)]
    series = [simulate_timelapse((SERIES, EDGE, EDGE), seed=10 + n).noisy for n in range(repeats)]
    beside = [_first_tile(window, stack) for stack in series]
    window.wait(window.previewed, "preview")
    moves = _realism_moves(window, 10 * repeats if options.limit else 50)
    stalls = dict(_stalls(window, large, small))
    canvas = window.viewer.window._qt_viewer.canvas.size
    loads.append(load_words())
    window.close()
    return {
        "open_s": opened[0],
        "complete_s": opened[1],
        "load_s": loaded,
        "loading": loading.figures(),
        "first_tile_s": first,
        "first_tile_series_s": beside,
        "realism_ms": moves,
        "canvas": tuple(int(n) for n in canvas),
        "stalls": {**alone, **stalls},
        "load": loads,
    }


def _alone(window: Window, large: SimulatedSample) -> Iterator[tuple[str, Any]]:
    """What napari takes for it without the dock: a view of an image and its result, and a new layer."""
    for data in (large.noisy, large.noisy.astype(np.float32)):
        window.viewer.add_image(data, **LAYER)
    window.rest(2.0)
    words = "napari without the dock: pan and zoom, two 2048 x 2048 layers"
    yield words, _watched(lambda: _travel(window))
    window.viewer.layers.clear()
    stack = np.repeat(large.noisy[:, :512, :512], FRAMES, axis=0)
    window.viewer.add_image(stack, **LAYER)
    window.rest(1.0)
    yield "napari without the dock: adding such layers as a run does", _watched(lambda: _add(window, stack))
    yield "napari without the dock: removing them one by one", _watched(lambda: _remove(window))
    window.rest(1.0)


def _add(window: Window, stack: np.ndarray) -> None:
    """Layers one after the other, each drawn."""
    for number in range(ADDED):
        window.viewer.add_image(stack + number, **LAYER)
        window.rest(0.7)


def _remove(window: Window) -> None:
    """All layers one after the other, each time drawn anew."""
    while window.viewer.layers:
        window.viewer.layers.pop()
        window.rest(0.7)


def _open_others(window: Window, stack: np.ndarray) -> None:
    """Images that a user opens one after the other, each of which is previewed in the place of the last."""
    for number in range(ADDED):
        window.viewer.add_image(stack + number, name=f"image {number}", **LAYER)
        window.wait(window.previewed, "preview")
        window.rest(0.7)


def _open(window: Window) -> tuple[float, float]:
    """Seconds from the call to the dock's first painting, and until all of it is there."""
    from qtpy.QtCore import QEvent, QObject

    class Painted(QObject):
        seen = False

        def eventFilter(self, item: QObject, event: QEvent) -> bool:
            self.seen = self.seen or event.type() == QEvent.Type.Paint
            return False

    painted, began = Painted(), time.perf_counter()
    window.open_dock()
    window.dock.installEventFilter(painted)
    window.wait(lambda: painted.seen, "the dock")
    first = time.perf_counter() - began
    window.wait(lambda: window.dock.complete, "all of the dock")
    return first, time.perf_counter() - began


class Drawings:
    """A context that counts how often the image was drawn; each is waited for until the pixels are there."""

    def __init__(self, window: Window) -> None:
        self._events = window.viewer.window._qt_viewer.canvas._scene_canvas.events.draw
        self.count = 0

    def __enter__(self) -> Drawings:
        self._events.connect(self._drawn, position="last")
        return self

    def __exit__(self, *exception: object) -> None:
        self._events.disconnect(self._drawn)

    def _drawn(self, event: object) -> None:
        from vispy import gloo

        gloo.finish()
        self.count += 1


def _first_tile(window: Window, stack: np.ndarray) -> float:
    """Seconds from choosing a layer that nothing is known of to the first denoised tile drawn."""
    dock = window.dock
    window.viewer.layers.clear()
    window.rest(0.5)
    with Drawings(window) as drawings:
        began = time.perf_counter()
        dock.choose(window.viewer.add_image(stack, name="noisy", **LAYER))
        window.wait(lambda: dock.session.state.outcome != "", "first tile")
        before = drawings.count
        window.wait(lambda: drawings.count > before, "its drawing")
        return time.perf_counter() - began


def _realism_moves(window: Window, moves: int) -> dict[str, list[float]]:
    """Milliseconds from moving the slider to the layer's new pixels and to the view drawn."""
    found: dict[str, list[float]] = {"blended": [], "blended_ours": [], "drawn": [], "drawn_ours": []}
    with Drawings(window) as drawings:
        for number in range(moves):
            window.rest(0.1)
            before, start = drawings.count, clock()
            window.dock.sections["image"].realism.setValue((number % 20 + 1) / 20)
            blended = Gap.between(start, clock())
            while drawings.count == before:
                window.rest(0.0)
                if clock()[0] - start[0] > 5:
                    raise TimeoutError("nothing was drawn after the realism slider was moved")
            drawn = Gap.between(start, clock())
            for name, value in (
                ("blended", blended.length),
                ("blended_ours", blended.ours),
                ("drawn", drawn.length),
                ("drawn_ours", drawn.ours),
            ):
                found[name].append(round(1000 * value, 1))
    return found


def _stalls(window: Window, large: SimulatedSample, small: SimulatedSample) -> Iterator[tuple[str, Any]]:
    """Name and figures of each piece of use."""
    dock, viewer = window.dock, window.viewer
    viewer.layers.clear()
    layer = viewer.add_image(large.noisy, name="large", **LAYER)
    dock.choose(layer)
    yield "choosing a 2048 x 2048 layer, preview, pan and zoom", _watched(lambda: _travel(window))
    viewer.reset_view()
    window.wait(window.previewed, "preview")
    box = dock.sections["image"]
    yield "dragging realism, 2048 x 2048", _watched(lambda: _drag(window, box.realism))
    box.auto.setChecked(False)
    yield "dragging rate, 2048 x 2048", _watched(lambda: _drag(window, box.rate))
    window.rest(1.0)
    dock.open_tab("check")
    window.wait(window.previewed, "preview")
    yield (
        "dragging realism, compare and readouts open",
        _watched(lambda: _drag(window, box.realism)),
    )
    dock.open_tab("more")
    viewer.layers.clear()
    dock.choose(
        viewer.add_image(np.concatenate([small.noisy] * FRAMES)[:FRAMES, :512, :512], name="stack", **LAYER)
    )
    window.wait(window.previewed, "preview")
    yield "run to memory", _watched(lambda: _run(window, None))
    with TemporaryDirectory() as folder:
        yield "run to OME-Zarr", _watched(lambda: _run(window, Path(folder) / "stack.ome.zarr"))
        yield (
            "opening image after image, each previewed in place of the last",
            _watched(lambda: _open_others(window, small.noisy[:1, :512, :512])),
        )
        with _models_in(folder):
            yield f"training, {TRAINED} steps", _watched(lambda: _train(window))
        viewer.layers.clear()


@contextmanager
def _models_in(folder: str) -> Iterator[None]:
    """Have tuned models written there."""
    before = os.environ.get("RDPDENOISE_MODELS")
    os.environ["RDPDENOISE_MODELS"] = folder
    try:
        yield
    finally:
        del os.environ["RDPDENOISE_MODELS"]
        if before is not None:
            os.environ["RDPDENOISE_MODELS"] = before


def _train(window: Window) -> None:
    """A short training of the stack alone, by the controls of the dock."""
    box = window.dock.sections["train"]
    window.dock.open_tab("train")
    box.form.kind.setCurrentIndex(box.form.kind.findData("zeroshot"))
    box.form.unit.setCurrentText("steps")
    box.form.amount.setValue(TRAINED)
    box.start.click()
    window.wait(lambda: not box.busy, "training", 1200)
    window.rest(0.5)


def _watched(use: Callable[[], None]) -> dict[str, Any]:
    with Heartbeat() as beat:
        use()
    return beat.figures()


def _travel(window: Window) -> None:
    """Zoom and pan in small steps while the preview fills in."""
    camera = getattr(window.viewer, "scene", window.viewer).camera  # napari 0.9 has moved it
    zoom, (_, y, x) = camera.zoom, camera.center
    steps = round(2 * DRAG_S / STEP_S)
    for step in range(steps):
        turn = 2 * math.pi * step / steps
        camera.zoom = zoom * (2 - math.cos(2 * turn))
        camera.center = (0, y + 600 * math.sin(turn), x + 600 * math.sin(2 * turn))
        window.rest(STEP_S)


def _drag(window: Window, slider: Any) -> None:
    steps = round(DRAG_S / STEP_S)
    for step in range(steps):
        slider.setValue(0.5 + 0.45 * math.sin(4 * math.pi * step / steps))
        window.rest(STEP_S)
    window.rest(0.5)


def _run(window: Window, target: Path | None) -> None:
    window.dock.run(target)
    window.wait(window.idle, "run")
    window.rest(0.5)


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    r = record["result"]
    moves, first = r["realism_ms"], r["first_tile_s"]
    answers = [
        ("dock, from the call to its first painting", f"{r['open_s']:.2f} s"),
        ("first preview tile after a layer was chosen, median", f"{statistics.median(first):.2f} s"),
    ]
    if whole := r.get("complete_s"):
        answers.insert(1, ("all of the dock, from the call", f"{whole:.2f} s"))
    if beside := r.get("first_tile_series_s"):
        words = f"the same of {SERIES} planes, with neighbours, median"
        answers.append((words, f"{statistics.median(beside):.2f} s"))
    for words, key in (("the layer's new pixels", "blended"), ("the view drawn", "drawn")):
        for more, name in (("", key), (", core free", f"{key}_ours")):
            middle, high = statistics.median(moves[name]), np.percentile(moves[name], 95)
            answers.append((f"realism slider to {words}{more}: median, 95 %", f"{middle:.0f}, {high:.0f} ms"))
    watched = {"loading PyTorch and the model": r["loading"], **r["stalls"]}
    columns = {words: key for words, key in _COLUMNS.items() if all(key in row for row in watched.values())}
    rows = [(name, *(f"{row[key]:.0f} ms" for key in columns.values())) for name, row in watched.items()]
    own = "'computing' is CPU time of the window's thread. " if len(columns) == len(_COLUMNS) else ""
    return "\n\n".join(
        [
            markdown((f"one plane of {EDGE} x {EDGE}", "time"), answers),
            markdown(("the window stands still", *columns), rows),
            f"Software rendering, canvas of {r['canvas'][0]} x {r['canvas'][1]} pixels; a heartbeat every "
            f"{BEAT_MS} ms; 'core free' leaves out the time in which other processes held all cores. {own}"
            f"Processes that wanted a core, at the start and the end: {'; '.join(r['load'])}.",
        ]
    )


def main() -> int:
    """Measure and keep the result, where there is a display."""
    options = parser(__doc__).parse_args()
    if (reason := display_missing()) is not None:
        print(f"dock: not measured, {reason}", file=sys.stderr)
        return 1
    execute("dock", measure, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
