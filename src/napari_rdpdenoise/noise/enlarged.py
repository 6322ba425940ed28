"""Images that were enlarged: pixels repeated, or interpolated between those that the camera had.

Enlarging adds no light. It spreads the noise of one pixel over its neighbours, and what is estimated then is
far too little: the noise is taken for the sample's grain. Two things tell enlarged images from all others.

* **Copies.** Whole columns (rows) are equal to the ones beside them, pixel by pixel.
* **A rhythm.** Interpolation makes some neighbours more alike than others, again and again at the same
  distance: the mean difference of neighbours, column by column, has a line in its spectrum where optics and
  cameras leave none. Source: Gallagher, "Detection of linear and cubic interpolation in JPEG compressed
  images", CRV 2005.

JPEG has a rhythm of eight pixels, of which every second is one that twice the size has, too. There the
differences are looked at inside its blocks: they are usual at the edges or in the middle of a block, whatever
was compressed, but only in enlarged images is every second one smaller, in block after block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

_WINDOWS, _LINES = 4, 256  # of a sample, and of a window, that are looked at
_EDGE = 32  # px, least of a window
_COPIES = 0.15  # share of columns that are equal to the next
_ALL, _AT_EDGES = 0.95, 0.75  # share of JPEG's blocks, and of columns at their edges over those inside
_CHANCE = 9.0  # differing pixels between columns that differ; fewer, and columns could be equal by chance
_LARGEST = 16.0  # factor
_LINE, _HEIGHT = 12.0, 0.05  # of a line in the spectrum: over the rest of it, and amplitude
_SLOWEST = 0.19  # cycles per px: structure is below, and factors above 5
_BLOCKS = 8  # px of JPEG's blocks, which have a rhythm too
_OF_BLOCKS = 0.3  # least height of its odd lines over the strongest
_INSIDE = 0.04  # of the mean difference, by which every second one inside blocks is smaller
_STEADY = 2.5  # the same over its spread from block to block
_LEAST_BLOCKS = 16
_SHARED = 2.0  # variance of 2 x 2 means over that of white noise
_FAR = 4.0  # times more variance at 4 x 4 than at 2 x 2, from which on pixels are spread over two or more


@dataclass(frozen=True)
class Enlargement:
    """How an image was enlarged.

    Attributes:
        rows: Factor along rows' direction (number of rows), 1 for not at all.
        columns: The same of the columns.
        copies: Whether pixels are repeated; else they are interpolated.
        compressed: Whether it was compressed as JPEG as well, so that copies and interpolation look alike.
    """

    rows: float
    columns: float
    copies: bool
    compressed: bool = False

    @property
    def words(self) -> str:
        """What it is, and what to do."""
        factor = " x ".join(f"{number:.2g}" for number in (self.rows, self.columns))
        how = "pixels are repeated" if self.copies else "pixels are interpolated"
        how = "and compressed as JPEG" if self.compressed else how
        return (
            f"the image was enlarged by about {factor} (rows x columns, {how}): neighbours share "
            "their noise, and little of it is removed; give the image that it was made from, or bin it back "
            "before"
        )


def find_enlargement(
    windows: Sequence[NDArray[Any]], corners: Sequence[tuple[int, int]] | None = None
) -> Enlargement | None:
    """Find out whether an image was enlarged; None where nothing speaks for it.

    Args:
        windows: 2-D arrays of raw counts of one channel, any real dtype, as they were read.
        corners: Row and column of the first pixel of each in its image; None where these are (0, 0).
    """
    places = [(0, 0)] * len(windows) if corners is None else corners
    pairs = [
        (w, place)
        for w, place in zip(windows, places, strict=True)
        if min(w.shape) >= _EDGE and np.isfinite(w).any()
    ]
    pairs = pairs[:: -(-len(pairs) // _WINDOWS)] if pairs else []
    live = [window for window, _ in pairs]
    if not live:
        return None
    rows, columns = (
        _copied([(w.T if axis else w, place[1 - axis]) for w, place in pairs]) for axis in (1, 0)
    )
    if max(rows, columns) > 1:
        return Enlargement(rows, columns, True)
    rows, columns = (_interpolated([w.T if axis else w for w in live]) for axis in (1, 0))
    known = max(rows, columns) > 1
    if known and min(rows, columns) > 1:
        return Enlargement(rows, columns, False)
    aligned = [w[-y % _BLOCKS :, -x % _BLOCKS :] for w, (y, x) in pairs]
    doubled = all(_doubled_in_blocks([w.T if axis else w for w in aligned]) for axis in (0, 1))
    if doubled and max(rows, columns) <= 2 and _at_scales(live)[0] >= _SHARED:
        return Enlargement(2, 2, False, True)
    return Enlargement(rows, columns, False) if known else None


def _copied(windows: Sequence[tuple[NDArray[Any], int]]) -> float:
    """Number of columns for each that differs from the one before; 1 where that is chance, or JPEG's doing.

    With each window the number of its first column is given.
    """
    equal, differing, shares = np.zeros(_BLOCKS, int), np.zeros(_BLOCKS, int), [np.empty(0)]
    for window, start in windows:
        known = np.isfinite(window)
        both = known[:, 1:] & known[:, :-1]
        differs = ((window[:, 1:] != window[:, :-1]) & both).sum(0)
        column = np.where(known, window, np.nan) if window.dtype.kind == "f" else window
        filled = known.sum(0) * 2 > len(window)
        spread = np.zeros(window.shape[1], bool)  # columns of one value, or of hardly any, say nothing
        spread[filled] = np.nanmax(column[:, filled], 0) > np.nanmin(column[:, filled], 0)
        changing = spread[1:] & spread[:-1] & (both.sum(0) * 2 > len(window))
        place = (start + np.arange(differs.size)) % _BLOCKS
        equal += np.bincount(place[(differs == 0) & changing], minlength=_BLOCKS)
        differing += np.bincount(place[(differs > 0) & changing], minlength=_BLOCKS)
        shares.append(differs[(differs > 0) & changing])
    same, other = int(equal.sum()), int(differing.sum())
    if same <= _COPIES * (same + other) or not other or _within_blocks(equal, differing):
        return 1.0
    factor = (same + other) / other
    return float(factor) if np.mean(np.concatenate(shares)) > _CHANCE and factor <= _LARGEST else 1.0


def _within_blocks(equal: NDArray[np.int_], differing: NDArray[np.int_]) -> bool:
    """Whether columns are equal in dark blocks of JPEG: anywhere but at edges, and not in all blocks."""
    edge = int(np.argmin(equal))
    inside = np.delete(equal, edge)
    all_of_them = inside.sum() > _ALL * (inside.sum() + np.delete(differing, edge).sum())
    everywhere = 4 * inside.min() > inside.max() and equal[edge] < _AT_EDGES * inside.min()
    return bool(everywhere) and not all_of_them


def _interpolated(windows: Sequence[NDArray[Any]]) -> float:
    """Factor by which columns were interpolated; 1 where differences of neighbours have no rhythm."""
    spectra = [np.mean([_spectrum(window, order) for window in windows], axis=0) for order in (1, 2)]
    length = min(len(spectrum) for spectrum in spectra)
    blocks = np.maximum(*(spectrum[:length] for spectrum in spectra))
    best, frequency = max(_line(spectrum, blocks) for spectrum in spectra)
    if not best:
        return 1.0
    middle, coarse = _at_scales(windows)
    if middle < _SHARED:
        return 1.0
    factor = 1 / frequency if coarse > _FAR * middle else 1 / (1 - frequency)
    nearest = round(factor)
    return float(nearest) if abs(factor / nearest - 1) < 0.03 else factor


def _doubled_in_blocks(windows: Sequence[NDArray[Any]]) -> bool:
    """Whether every second difference inside JPEG's blocks, which begin where windows do, is smaller."""
    places = np.arange(_BLOCKS - 1.0)
    forms = np.stack([np.ones_like(places), np.square(places - places.mean()), (-1) ** places], 1)
    found = [np.empty(0)]
    for window in windows:
        lines = window[:: -(-window.shape[0] // _LINES)].astype(np.float64)
        differences = np.abs(np.diff(np.where(np.isfinite(lines), lines, np.nan), axis=1))
        known = np.isfinite(differences)
        cap = 4 * float(np.median(differences[known])) if known.any() else 0.0
        total = np.minimum(np.where(known, differences, 0), max(cap, 1)).sum(0)
        profile = total / np.maximum(known.sum(0), 1)
        inside = profile[: profile.size // _BLOCKS * _BLOCKS].reshape(-1, _BLOCKS)[:, :-1]
        inside = inside[(inside > 0).all(1)]
        found.append((np.linalg.pinv(forms) @ inside.T)[2] / inside.mean(1))
    smaller = -np.concatenate(found)
    if smaller.size < _LEAST_BLOCKS:
        return False
    return bool(smaller.mean() >= max(_INSIDE, _STEADY * smaller.std()))


def _spectrum(window: NDArray[Any], order: int) -> NDArray[np.float64]:
    """Amplitudes, by frequency, of the mean difference of neighbours relative to what is usual around."""
    lines = window[:: -(-window.shape[0] // _LINES)].astype(np.float64)
    differences = np.abs(np.diff(np.where(np.isfinite(lines), lines, np.nan), order, axis=1))
    known = np.isfinite(differences)
    cap = 4 * float(np.median(differences[known])) if known.any() else 0.0
    total = np.minimum(np.where(known, differences, 0), cap).sum(0)
    profile = total / np.maximum(known.sum(0), 1)
    usual = scipy.ndimage.median_filter(profile, 9, mode="nearest")
    relative = np.clip(np.divide(profile, usual, out=np.ones_like(profile), where=usual > 0) - 1, -1, 1)
    weight = np.hanning(len(relative))
    wave = np.abs(np.fft.rfft((relative - relative.mean()) * weight, 2 * (window.shape[1] // 2)))
    return np.asarray(2 * wave / weight.sum())


def _line(spectrum: NDArray[np.float64], either: NDArray[np.float64]) -> tuple[float, float]:
    """How far the strongest line is above the rest, and its frequency, cycles per px; 0 for no line.

    ``either`` is the larger of the spectra of both orders, in which blocks show.
    """
    frequencies = np.linspace(0, 0.5, len(spectrum))
    quick = frequencies > _SLOWEST
    usual = max(float(np.median(spectrum[quick])), 1e-12)
    lines = np.where(quick & (spectrum >= max(_HEIGHT, _LINE * usual)), spectrum, 0)
    at = int(np.argmax(lines))
    if at >= len(spectrum) - 2:  # every other pixel: of four, the line at a quarter is the first
        middle = at // 2
        quarter = middle - 1 + int(np.argmax(lines[middle - 1 : middle + 2]))
        at = quarter if lines[quarter] and not _of_blocks(spectrum[quarter], either, quarter) else at
    if not lines[at] or _of_blocks(spectrum[at], either, at):
        return 0.0, 0.0
    return float(lines.max() / usual), float(frequencies[at])


def _of_blocks(height: float, spectrum: NDArray[np.float64], at: int) -> bool:
    """Whether a line is one of those that a rhythm of eight pixels has."""
    last = len(spectrum) - 1
    lines = [round(2 * last * k / _BLOCKS) for k in (1, 2, 3, 4)]
    if min(abs(at - line) for line in lines) > 1:
        return False
    odd = [spectrum[max(line - 1, 0) : line + 2].max() for line in (lines[0], lines[2])]
    return bool(max(odd) > _OF_BLOCKS * height)


def _at_scales(windows: Sequence[NDArray[Any]]) -> tuple[float, float]:
    """Variance of the finest structure of 2 x 2 and of 4 x 4 means over that of single pixels, white is 1."""
    found = []
    for window in windows:
        image = np.where(np.isfinite(window), window, 0).astype(np.float64)
        line = []
        for scale in (1, 2, 4):
            rows, columns = (n // 2 * 2 for n in image.shape)
            high = scipy.ndimage.convolve1d(
                scipy.ndimage.convolve1d(image, [1, -2, 1], axis=0), [1, -2, 1], axis=1
            )
            line.append(float(np.median(np.abs(high))) * scale)
            image = image[:rows, :columns].reshape(rows // 2, 2, columns // 2, 2).mean((1, 3))
        if line[0] > 0:
            found.append(np.square(line[1:]) / line[0] ** 2)
    middle, coarse = np.mean(found, axis=0) if found else (np.inf, np.inf)
    return float(middle), float(coarse)
