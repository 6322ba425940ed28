"""Windows of a series that stand for all of it, where statistics are taken and choices are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.codec.network_input import Neighbours
from napari_rdpdenoise.io import ImageSource, Index, planes
from napari_rdpdenoise.noise import NoiseModel, estimate_noise
from napari_rdpdenoise.noise.enlarged import Enlargement, find_enlargement
from napari_rdpdenoise.noise.fading import find_fading
from napari_rdpdenoise.noise.halves import Halves, find_halves
from napari_rdpdenoise.noise.invalid import MISSING_ONLY, InvalidRule, Screened
from napari_rdpdenoise.noise.invalid_sample import screen_planes, screen_sample
from napari_rdpdenoise.noise.lines import LinePattern, find_lines
from napari_rdpdenoise.noise.trend import Trend, evened, find_trend, unsteady_words
from napari_rdpdenoise.noise.wrapped import is_wrapped
from napari_rdpdenoise.stream.neighbours import Brightness
from napari_rdpdenoise.stream.report import percent_words
from napari_rdpdenoise.stream.screen import FilledSource, read_screened

__all__ = ["Sample", "Window", "sample_channel", "sample_windows"]

_WINDOW = 512  # px, edge of a sample window
_SAMPLE_PLANES = 8  # per channel, spread over the series
_LARGEST = 1e30  # counts
_SAMPLE_PIXELS = 2_000_000  # per channel
_CORNERS = 8  # windows of a channel in corners of its planes, beside the sample


class Window(NamedTuple):
    """A block of one plane.

    Attributes:
        plane: Index of the plane.
        y: Rows, px.
        x: Columns, px.
        pixels: Raw counts, 2-D, finite; masked where they are not image, and filled from their surroundings.
    """

    plane: Index
    y: slice
    x: slice
    pixels: NDArray[Any]


@dataclass(frozen=True)
class Grid:
    """What the pixels of a channel went through that no camera's noise model tells.

    Attributes:
        enlarged: How the image was enlarged; None for not at all.
        lines: Pattern of its rows or columns; None for none.
        wrapped: Number type that the counts seem to be of, "int16" or the like, where signed ones are read as
            unsigned or the reverse; empty where not.
        halves: Which half of its frame has more noise; None for neither.
    """

    enlarged: Enlargement | None = None
    lines: LinePattern | None = None
    wrapped: str = ""
    halves: Halves | None = None

    @property
    def words(self) -> list[str]:
        """What it is and what to do, in words; empty for a plain image."""
        found = [pattern.words for pattern in (self.enlarged, self.lines, self.halves) if pattern is not None]
        if meant := self.wrapped:
            found.insert(
                0,
                f"counts near the smallest and the largest number lie side by side: numbers of type {meant} "
                f"seem to have been stored as another type; read them as {meant} before "
                f"(in NumPy: array.view('{meant}'))",
            )
        return found


@dataclass(frozen=True)
class Sample:
    """Windows of one channel, and the series that they are of.

    ``rule`` is how invalid pixels of the channel are told from image, ``highlights`` the share of pixels that
    are too bright and rare for the codec, ``missing`` the share of those that are NaN or infinite.
    """

    source: ImageSource
    windows: tuple[Window, ...]
    rule: InvalidRule = MISSING_ONLY
    highlights: float = 0.0
    missing: float = 0.0
    _raw: tuple[Window, ...] = field(default=(), compare=False)
    _screened: tuple[NDArray[Any], ...] = field(default=(), compare=False)
    _brightness: Brightness = field(default_factory=Brightness, compare=False)
    _trends: dict[NoiseModel, Trend | None] = field(default_factory=dict, compare=False)

    @property
    def pixels(self) -> list[NDArray[Any]]:
        """Raw counts of the windows."""
        return [window.pixels for window in self.windows]

    @cached_property
    def grid(self) -> Grid:
        """What the pixels went through; looked for when asked for: no pixel of a result depends on it."""
        return _grid_of(self._raw, self._screened, self.rule, self.source.shape) if self._raw else Grid()

    def left_alone(self) -> list[str]:
        """What of the channel is not image, and what only looks so, in words; empty where all is plain."""
        if self.rule.drawn:
            return [
                "the sample holds no noise (it is blank, or drawn: masks, labels): such parts of the image "
                "come out as they went in"
            ]
        if self.missing == 1:
            return [
                "all of the sample is missing (NaN or infinite): nothing is denoised, and it comes out "
                "as it went in"
            ]
        return [
            *self.grid.words,
            *self._missing_left(),
            *self._values_left(),
            *self._fading_left(),
            *self._highlights_left(),
            *self._pixels_spared(),
        ]

    def _missing_left(self) -> list[str]:
        if not self.missing:
            return []
        return [
            f"{percent_words(self.missing)} of the sample is missing (NaN or infinite): such pixels are left "
            "as they are and count nowhere"
        ]

    def _fading_left(self) -> list[str]:
        if not self.rule.fading:
            return []
        return [
            f"{percent_words(self.rule.fading)} of the sample fades softly to its darkest value, and its "
            "noise with it, as where an image was multiplied by a mask with soft edges: the noise is "
            "measured without that part"
        ]

    def _highlights_left(self) -> list[str]:
        if not self.highlights:
            return []
        return [
            f"{percent_words(self.highlights)} of the sample is far brighter than all the rest (beads, "
            "debris, labels): it is left as it is, so that it does not disturb what is around it"
        ]

    def _pixels_spared(self) -> list[str]:
        spared = self.rule.outliers.spared
        if not spared or self.grid.enlarged is not None:
            return []
        pixels = "1 pixel of the sample stands" if spared == 1 else f"{spared} pixels of the sample stand"
        return [
            f"{pixels} out singly, but pixels nearly like them are common here "
            "(grain of the sample, or an electron-multiplying camera): they are taken for image, and only "
            "what is far beyond them for hot pixels"
        ]

    def _values_left(self) -> list[str]:
        values = [_written(fill.value) for fill in self.rule.values]
        kinds = []
        if values:
            pixels = "pixels of value" if len(values) == 1 else "pixels of the values"
            kinds.append(f"{pixels} {' and '.join(values)}")
        if self.rule.repeated:
            kinds.append(
                "rows or columns that repeat the ones beside them (a border that was filled, or a "
                "calibration bar)"
            )
        if self.rule.ramps is not None:
            kinds.append("borders that were filled by straight ramps")
        if self.rule.constant is not None:
            kinds.append(
                "regions of exactly one value (borders that were filled, in each plane with its own)"
            )
        if not kinds:
            return []
        share = float(np.mean([np.ma.getmaskarray(window.pixels).mean() for window in self.windows]))
        part = f"{percent_words(share)} of the sample" if share else "near corners of the image"
        return [f"{', and '.join(kinds)} are not image ({part}): they are left as they are and count nowhere"]

    def only(self, windows: Sequence[Window]) -> Sample:
        """Some of the windows."""
        return replace(self, windows=tuple(windows))

    def trend(self, noise: NoiseModel) -> Trend | None:
        """How noise changes along the series beyond what a model says; None where it does not."""
        if noise not in self._trends:
            planes = [window.plane for window in self.windows]
            self._trends[noise] = find_trend(self._evenly, planes, noise, self._elsewhere)
        return self._trends[noise]

    def unsteady_words(self, noise: NoiseModel) -> str:
        """What to say where noise changes from plane to plane without a trend; empty where it does not."""
        if self.rule.noise is None or self.trend(noise) is not None:
            return ""
        return unsteady_words(self._evenly, [window.plane for window in self.windows], noise)

    def noise_of_planes(self, channel: int | None = None) -> NoiseModel | list[NoiseModel]:
        """Noise of the channel; of each of its planes, the last leading axis fastest, where that changes.

        Args:
            channel: Number of the channel on its axis; None where there is none.
        """
        noise = self.rule.noise or estimate_noise(self.pixels)
        trend = self.trend(noise)
        if trend is None:
            return noise
        return [trend.at(index) for index in planes(self.source, None if channel is None else (channel,))]

    def _elsewhere(self, number: int, axis: int, place: int) -> NDArray[Any]:
        """The window of a number, at another place along an axis, masked where it is not image."""
        window = self.windows[number]
        index = (*window.plane[:axis], place, *window.plane[axis + 1 :])
        return self._unfaded(
            read_screened(self.source, index, (window.y, window.x), self.rule)[1].masked, window
        )

    @cached_property
    def _evenly(self) -> list[NDArray[Any]]:
        """Raw counts of the windows, masked also where they fade to a mask with soft edges."""
        return [self._unfaded(window.pixels, window) for window in self.windows]

    def _unfaded(self, pixels: NDArray[Any], window: Window) -> NDArray[Any]:
        """Pixels at the place of a window, masked also where that fades to a mask."""
        faded = self._fading.get(_place(window))
        if faded is None:
            return pixels
        return np.ma.masked_array(np.asarray(pixels), np.ma.getmaskarray(pixels) | faded)

    @cached_property
    def _fading(self) -> dict[tuple[int, ...], NDArray[np.bool_]]:
        """Where the sample fades to a mask, by `_place`; empty where it does not."""
        found = find_fading([window.pixels for window in self._raw]) if self.rule.fading else None
        return {} if found is None else dict(zip(map(_place, self._raw), found, strict=True))

    def evened(self, noise: NoiseModel, trend: Trend) -> Sample:
        """The sample as if all planes had one noise: counts that stabilise to what they do by their own.

        Args:
            noise: Noise that they seem to have.
            trend: How it changes from plane to plane.
        """
        windows = [
            window._replace(pixels=evened(window.pixels, trend.at(window.plane), noise))
            for window in self.windows
        ]
        return self.only(windows)

    def neighbours(self, letter: str, noise: NoiseModel, trend: Trend | None = None) -> list[Neighbours]:
        """The same places of the planes before and after, at the brightness of each window's plane.

        Args:
            letter: Axis along which planes are neighbours.
            noise: Noise of the channel, counts.
            trend: How it changes from plane to plane; they are `evened` then. None for not at all.
        """
        source, found = FilledSource(self.source, self.rule), []
        for window in self.windows:
            place = (window.y, window.x)
            beside = self._brightness.neighbours(source, window.plane, place, letter, noise, trend)
            if trend is not None:
                own = trend.at(window.plane)
                before, after = (None if other is None else evened(other, own, noise) for other in beside)
                beside = (before, after)
            found.append(beside)
        return found


def _place(window: Window) -> tuple[int, ...]:
    return (*window.plane, window.y.start, window.x.start)


def sample_windows(source: ImageSource, channel: int | None = None) -> list[NDArray[Any]]:
    """Pixels of `sample_channel`."""
    return sample_channel(source, channel).pixels


def sample_channel(source: ImageSource, channel: int | None = None, invalid: float | str = "auto") -> Sample:
    """Blocks of up to 512x512 px spread over planes and places of one channel; all of it where small.

    Where all of them are blank (padded mosaics, a lamp that comes on late) more places are tried.

    Args:
        source: Whole series.
        channel: Number on the channel axis; None where there is none.
        invalid: Value that is not image, "auto" to look for such values and for defects, or "none"; beside a
            mask, which the source reads (its path is given here), they are looked for.
    """
    choice = invalid if invalid == "none" or not isinstance(invalid, str) else "auto"
    windows = _windows(source, channel, _SAMPLE_PLANES)
    for effort in (4, 16):
        if not all(_blank(window.pixels) for window in windows):
            break
        windows = _windows(source, channel, effort * _SAMPLE_PLANES)
    _check_range([window.pixels for window in windows])
    read_invalid = getattr(source, "read_invalid", None)
    given = None if read_invalid is None else [read_invalid(w.plane, w.y, w.x) for w in windows]
    corners = _corners(source, windows) if choice != "none" else ()
    rule, found = screen_sample([window.pixels for window in windows], choice, given, corners)
    sample = _screened_sample(source, windows, rule, found)
    trend = None if rule.noise is None else sample.trend(rule.noise)
    if trend is None:
        return sample
    places = [window.plane for window in windows]
    rule, found = screen_planes([window.pixels for window in windows], places, rule, trend, given)
    return replace(_screened_sample(source, windows, rule, found), _trends=sample._trends)


def _screened_sample(
    source: ImageSource, windows: Sequence[Window], rule: InvalidRule, found: Sequence[Screened]
) -> Sample:
    masked = tuple(part.masked for part in found)
    screened = tuple(w._replace(pixels=pixels) for w, pixels in zip(windows, masked, strict=True))
    bright = sum(int(part.highlights.sum()) for part in found if part.highlights is not None)
    pixels = sum(part.filled.size for part in found)
    missing = sum(int((~np.isfinite(w.pixels)).sum()) for w in windows if w.pixels.dtype.kind == "f")
    return Sample(source, screened, rule, bright / pixels, missing / pixels, tuple(windows), masked)


def _grid_of(
    windows: Sequence[Window], screened: Sequence[NDArray[Any]], rule: InvalidRule, shape: Sequence[int]
) -> Grid:
    raw = [window.pixels for window in windows]
    own = raw
    if (
        rule.repeated or rule.ramps is not None or rule.constant is not None
    ):  # which would be taken for pixels that are repeated everywhere
        own = [np.where(np.ma.getmaskarray(s), np.nan, w) for w, s in zip(raw, screened, strict=True)]
    corners = [(window.y.start, window.x.start) for window in windows]
    enlarged = find_enlargement(own, corners)
    if enlarged is not None:
        return Grid(enlarged, None, _meant_type(raw))
    one = rule.trend is None and rule.noise is not None  # else planes, or no noise at all, may make halves
    halves = find_halves(screened, corners, (shape[-2], shape[-1])) if one else None
    return Grid(None, find_lines(screened), _meant_type(raw), halves)


def _meant_type(raw: Sequence[NDArray[Any]]) -> str:
    """Type of the same size that the counts seem to be of; empty where they are of their own."""
    if not is_wrapped(raw):
        return ""
    name = raw[0].dtype.name
    return name.removeprefix("u") if name.startswith("u") else f"u{name}"


def _written(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else f"{value:.9g}"


def _check_range(windows: Sequence[NDArray[Any]]) -> None:
    """Refuse numbers whose squares, or the light they stand for, no float32 can hold."""
    for window in windows:
        if window.dtype.kind == "f":
            sizes = np.abs(window[np.isfinite(window)].astype(np.float64))
            if sizes.size and float(np.median(sizes)) > _LARGEST:
                raise ValueError(
                    f"image: expected counts of at most {_LARGEST:g}, found {np.median(sizes):.3g} as the "
                    "median of a window; divide the image by a constant first"
                )


def _blank(window: NDArray[Any]) -> bool:
    finite = window[np.isfinite(window)]
    return finite.size == 0 or bool(finite.min() == finite.max())


def _windows(source: ImageSource, channel: int | None, count: int) -> list[Window]:
    """At least ``count`` windows, on as many planes where there are."""
    indices = planes(source, None if channel is None else (channel,))
    height, width = source.shape[-2:]
    picked = [indices[i] for i in np.unique(np.linspace(0, len(indices) - 1, count).astype(int))]
    size = (min(height, _WINDOW), min(width, _WINDOW))
    area = size[0] * size[1]
    wanted = max(_SAMPLE_PIXELS // area, count) if count > _SAMPLE_PLANES else _SAMPLE_PIXELS // area
    per_plane = max(1, min(wanted // len(picked), height * width // area))
    windows = []
    for number, index in enumerate(picked):
        for k in range(per_plane):
            # a low-discrepancy walk (golden ratios) spreads the windows evenly, whatever their number
            step = number * per_plane + k + 0.5
            y = int((step * 0.7548776662) % 1 * (height - size[0] + 1))
            x = int((step * 0.5698402910) % 1 * (width - size[1] + 1))
            place = slice(y, y + size[0]), slice(x, x + size[1])
            windows.append(Window(index, *place, source.read(index, *place)))
    return windows


def _corners(source: ImageSource, windows: Sequence[Window]) -> list[NDArray[Any]]:
    """Corners of a sample's planes, in turn, where labels and borders are; none where planes are small."""
    height, width = source.shape[-2:]
    if max(height, width) <= _WINDOW:
        return []
    indices = list(dict.fromkeys(window.plane for window in windows))
    indices = indices[:: -(-len(indices) // _CORNERS)]
    each = min(4, -(-_CORNERS // len(indices)))
    rows = slice(0, min(height, _WINDOW)), slice(max(0, height - _WINDOW), height)
    columns = slice(0, min(width, _WINDOW)), slice(max(0, width - _WINDOW), width)
    places = [(y, x) for y in rows for x in columns]
    turns = [(index, places[(n * each + k) % 4]) for n, index in enumerate(indices) for k in range(each)]
    return [source.read(index, *place) for index, place in turns]
