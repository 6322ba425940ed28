"""The numbers of a training over its steps, thinned to what a small plot can show."""

from __future__ import annotations

from collections.abc import Iterable

from napari_rdpdenoise.ui.finetune.events import Progress

__all__ = ["Curve", "Curves"]

_MOST = 240  # points of a curve
_HELD_OUT = {
    "texture": "distance to the references' texture, less is better",
    "lpips": "LPIPS to clean images, less is better",
    "error": "estimated error, as a share of the noise (variances), less is better",
    "pairs": "PSNR against the partners, dB, more is better",
}
_TITLES = {"loss": "training error", "critic": "distance to clean", "bpp": "bits per pixel"}
_WORDS = {
    "loss": "What each step of the training lessens, on the images that it learns from; less is better.",
    "critic": "How surely a second network tells the results from the clean examples; less is better.",
    "bpp": "What the results take; it may change while the model learns.",
}


class Curve:
    """Means over ever longer stretches, so that a curve of any length keeps at most 240 points.

    A plot of it has the title, and a line to compare with at the level, where there is one. What its values
    are is said in words.
    """

    def __init__(self, title: str, words: str = "") -> None:
        self.title, self.words = title, words
        self.level: float | None = None
        self._points: list[tuple[float, float, int]] = []  # mean step, mean value, how many
        self._width = 1

    def add(self, step: float, value: float) -> None:
        """Add a value of a step later than all before."""
        if self._points and self._points[-1][2] < self._width:
            self._points[-1] = _joined([self._points[-1], (step, value, 1)])
        else:
            self._points.append((step, value, 1))
        if len(self._points) > _MOST:
            self._width *= 2
            self._points = [_joined(self._points[k : k + 2]) for k in range(0, len(self._points), 2)]

    def __bool__(self) -> bool:
        return bool(self._points) or self.level is not None

    @property
    def steps(self) -> list[float]:
        """Middle of each point's stretch."""
        return [point[0] for point in self._points]

    @property
    def values(self) -> list[float]:
        """Mean of each point's stretch."""
        return [point[1] for point in self._points]

    @property
    def last(self) -> float | None:
        """The latest point's value; None for none."""
        return self._points[-1][1] if self._points else None


class Curves:
    """The four curves of a training; those without values are not offered.

    ``held_out_words`` say what the figure on held-out images is that decides, the goal of `Checked`.
    """

    def __init__(self, goal: str = "error") -> None:
        self._curves = {name: Curve(title, _WORDS[name]) for name, title in _TITLES.items()}
        self.held_out_words = (
            f"On images kept apart: {_HELD_OUT.get(goal, goal)}; ┄ the model it started from."
        )
        self._curves["held_out"] = Curve("images kept apart", self.held_out_words)
        self._last_step = 0.0

    def add(self, progress: Progress) -> None:
        """Take the values of a step."""
        self._last_step = max(self._last_step, float(progress.step))
        for name in _TITLES:
            if (value := progress.values.get(name)) is not None:
                self._curves[name].add(progress.step, value)
        held = self._curves["held_out"]
        if progress.before is not None:
            held.level = progress.before
        if progress.held_out is not None:
            held.add(progress.step, progress.held_out)

    def extend(self, rows: Iterable[Progress]) -> None:
        """Take several."""
        for row in rows:
            self.add(row)

    @property
    def last_step(self) -> float:
        """The latest step of which anything is known; 0 for none."""
        return self._last_step

    @property
    def shown(self) -> list[Curve]:
        """Curves that have something to show, the held-out figure first."""
        order = ("held_out", "loss", "critic", "bpp")
        return [self._curves[name] for name in order if self._curves[name]]


def _joined(points: list[tuple[float, float, int]]) -> tuple[float, float, int]:
    count = sum(n for _, _, n in points)
    return sum(s * n for s, _, n in points) / count, sum(v * n for _, v, n in points) / count, count
