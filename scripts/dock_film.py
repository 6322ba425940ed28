"""Record the README's twenty seconds of the dock from a real window, as a GIF.

    xvfb-run -a -s '-screen 0 1600x1200x24' python scripts/dock_film.py [--out FILE] [--strip FILE]

What is shown happens in the window by its own buttons and sliders; waiting is cut short. A strip of still
pictures, of every fourth frame, can be written for a look at all of it at once.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from PIL import Image, ImageDraw, ImageFont  # noqa: E402

from benchmarks.window import Window, display_missing  # noqa: E402

SIZE = (920, 620)  # px, of the window
CAPTION = 30  # px below it
COLOURS = 96
MOST_BYTES = 1_500_000
SAMPLE = "napari-rdpdenoise", "timelapse"
ZOOM = 1.5  # of what napari shows first


class Film:
    """Frames of the window with how long they stay, and a line that says what is done.

    Args:
        window: Window that is recorded.
    """

    def __init__(self, window: Window) -> None:
        self.frames: list[Image.Image] = []
        self.seconds: list[float] = []
        self.line = ""
        self._window = window
        self._font = ImageFont.load_default(size=16)

    def take(self, seconds: float, at: Any = None, rest: float = 0.25) -> None:
        """One frame, with a pointer over a control."""
        self._window.rest(rest)
        picture = Image.fromarray(self._window.picture())
        frame = Image.new("RGB", (picture.width, picture.height + CAPTION), "white")
        frame.paste(picture)
        draw = ImageDraw.Draw(frame)
        draw.text((12, picture.height + 5), self.line, "black", self._font)
        if at is not None:
            _point(draw, *self._place(at))
        self.frames.append(frame)
        self.seconds.append(seconds)

    def write(self, path: Path) -> None:
        """One palette for all frames, so that only what changes is stored."""
        chosen = self.frames[:: max(1, len(self.frames) // 8)]
        board = Image.fromarray(np.vstack([np.asarray(frame) for frame in chosen]))
        palette = board.quantize(COLOURS, method=Image.Quantize.FASTOCTREE)  # median cut dims noise
        frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in self.frames]
        lengths = [round(1000 * seconds) for seconds in self.seconds]
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=lengths, loop=0, optimize=True)
        size = path.stat().st_size
        print(f"{path}: {size / 1000:.0f} kB, {len(frames)} frames, {sum(self.seconds):.1f} s")
        if size > MOST_BYTES:
            raise SystemExit(f"{path} has {size} bytes, more than the {MOST_BYTES} that a README should load")

    def strip(self, path: Path) -> None:
        """Every fourth frame below the other."""
        Image.fromarray(np.vstack([np.asarray(frame) for frame in self.frames[::4]])).save(path)

    def _place(self, part: Any) -> tuple[int, int]:
        """Where a control is in the picture."""
        from qtpy.QtCore import QPoint

        top = self._window.viewer.window._qt_window
        slider = getattr(part, "slider", None)
        if slider is not None:  # at its handle
            share = (slider.value() - slider.minimum()) / (slider.maximum() - slider.minimum())
            where = QPoint(round(8 + share * (slider.width() - 16)), slider.height() // 2)
            part = slider
        else:
            where = part.rect().center()
        place = part.mapTo(top, where)
        return place.x(), place.y()


def _point(draw: ImageDraw.ImageDraw, x: int, y: int) -> None:
    """A mouse pointer."""
    arrow = [(0, 0), (0, 17), (4, 13), (7, 19), (10, 18), (7, 12), (12, 12)]
    draw.polygon([(x + dx, y + dy) for dx, dy in arrow], "white", "black")


def open_sample(window: Window, film: Film) -> None:
    """The noisy sample, and the preview as it comes."""
    viewer, dock = window.viewer, window.dock
    film.line = "Open a noisy image: it is denoised where you look."
    viewer.open_sample(*SAMPLE)
    getattr(viewer, "scene", viewer).camera.zoom *= ZOOM  # napari 0.9 has moved it
    film.take(1.6, rest=0.6)
    window.wait(lambda: dock.session.state.shown > 0 or bool(dock.session.state.outcome), "first part")
    film.take(0.5)
    dock.wait()
    window.rest(2.0)  # until the verdict is there
    film.take(1.8)


def compare(window: Window, film: Film) -> None:
    """Noisy, denoised, and both beside each other."""
    box = window.dock.sections["view"]
    buttons = {view.value: button for view, button in box.views.buttons.items()}
    film.line = "Compare: noisy, denoised, or both beside each other."
    for name, seconds in (("Noisy", 0.9), ("Denoised", 0.9), ("Split", 0.5)):
        buttons[name].click()
        film.take(seconds, buttons[name], rest=0.5)
    for percent in (30, 70):
        box.divider.setValue(percent)
        film.take(0.35, box.divider)
    buttons["Denoised"].click()
    film.take(0.5, buttons["Denoised"], rest=0.5)


def sliders(window: Window, film: Film) -> None:
    """Rate and realism, and what the verdict says of them."""
    dock, box = window.dock, window.dock.sections["image"]
    film.line = "Rate: how strongly. Auto chooses it by the noise that it measures."
    box.rate.setValue(0.1)
    dock.wait()
    film.take(1.2, box.rate, rest=1.5)
    box.auto.click()
    dock.wait()
    film.take(1.0, box.auto, rest=1.5)
    film.line = "Realism: from the measured to the natural image, at once."
    for value in (0.35, 0.7, 1.0):
        box.realism.setValue(value)
        film.take(0.4, box.realism, rest=0.6)
    film.take(1.0, box.realism, rest=1.5)
    box.realism.setValue(0.0)
    window.wait(lambda: "expected error" in dock.sections["verdict"].line.text(), "verdict", 30)
    film.take(0.4, box.realism, rest=1.5)


def trust(window: Window, film: Film) -> None:
    """The reasons of the verdict, and what was removed."""
    dock = window.dock
    film.line = "Trust: the checks behind the verdict, and what was removed, in units of the noise."
    why = dock.sections["verdict"].why
    why.click()
    film.take(1.8, why, rest=0.6)
    why.click()
    removed = next(iter(dock.sections["check"].views.buttons.values()))
    removed.click()
    film.take(1.4, removed, rest=1.0)
    removed.click()
    window.rest(0.3)


def run(window: Window, film: Film) -> None:
    """The whole series."""
    dock, box = window.dock, window.dock.sections["run"]
    film.line = "Denoise the whole series, into a layer or a file."
    film.take(0.5, box.denoise)
    box.denoise.click()
    window.wait(lambda: dock.session.state.done > 0, "first blocks of the run")
    film.take(0.8, rest=0.0)
    window.wait(lambda: window.idle() and not box._queue, "run", 1200)
    dock.wait()
    film.take(2.0, rest=1.0)


def main() -> int:
    """Record it, where there is a display."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, default=ROOT / "examples" / "images" / "dock.gif")
    options.add_argument("--strip", type=Path, help="PNG of every fourth frame")
    given = options.parse_args()
    if (reason := display_missing()) is not None:
        print(f"no film, {reason}", file=sys.stderr)
        return 1
    window = Window(SIZE)
    window.open_dock()
    window.viewer.window._qt_viewer.dockLayerControls.setVisible(False)
    window.wait(lambda: window.dock.session.state.realism_note is None, "a model with realism")
    film = Film(window)
    for part in (open_sample, compare, sliders, trust, run):
        part(window, film)
    window.close()
    if given.strip is not None:
        film.strip(given.strip)
    film.write(given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
