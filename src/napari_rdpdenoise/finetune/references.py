"""Checks that unpaired clean images are of use for a noisy stack, and crops of them for a critic.

A critic learns every difference between references and output, wanted or not. So references must be cleaner
than the stack, of the same kind of contrast, and of structures of about the same size in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_rdpdenoise.finetune.images import Planes, filled
from napari_rdpdenoise.noise import NoiseModel, estimate_noise, stabilize
from napari_rdpdenoise.train.data.images import random_crop

_CLEANER = 2.0  # range over noise, references over noisy stack
_CLIPPED = 0.05  # share of pixels at the bright end
_COARSER, _FINER = 3.0, 1 / 3  # size of structures, references over noisy stack
_ODD = 1.8  # the same, from which on the user is told
_BLUR = 1.5  # px, before anything is measured of noisy images
_SEEN = 0.3  # times the noise that structure must have to be measured
_SKEWED = 0.3  # skewness beyond which a contrast counts as bright or dark on the other
_WHITE = (0.5, 99.9)  # percentiles that are displayed as black and white


@dataclass(frozen=True)
class PlaneStatistics:
    """What is measured of one plane.

    Attributes:
        depth: Range of the stabilised values, in standard deviations of the noise.
        size: Size of structures after a blur of 1.5 px, px: sqrt(2 * variance / mean square slope), noise
            taken off; 0 where the noise hides it.
        skewness: Skewness of the stabilised values after a light blur; above 0 bright on dark.
        clipped: Share of pixels at the largest value.
    """

    depth: float
    size: float
    skewness: float
    clipped: float


@dataclass(frozen=True)
class ReferenceReport:
    """Numbers of the references that are of use, names of the others with the reason, and remarks."""

    usable: tuple[int, ...]
    refused: tuple[str, ...]
    remarks: tuple[str, ...]


def plane_statistics(plane: NDArray[Any], noise: NoiseModel) -> PlaneStatistics:
    """Measure a plane (2-D, counts) given its noise."""
    t = stabilize(filled(plane), noise).astype(np.float64)
    smooth = ndimage.gaussian_filter(t, _BLUR)
    low, high = np.percentile(smooth, _WHITE)
    spread = max(float(smooth.std()), 1e-9)
    skewness = float(np.mean(((smooth - smooth.mean()) / spread) ** 3))
    clipped = float(np.mean(plane == plane.max())) if plane.dtype.kind in "ui" else 0.0
    return PlaneStatistics(float(high - low), _size(smooth), skewness, clipped)


def _size(smooth: NDArray[np.float64]) -> float:
    """Size of structures, px; the noise had variance 1 before the blur."""
    kept, steep = _noise_after_blur()
    variance = float(smooth.var()) - kept
    slope = sum(float(np.mean(np.square(np.diff(smooth, 1, axis)))) - steep for axis in (0, 1)) / 2
    # an estimate of the noise that is wrong by a fifth must not decide
    return float(np.sqrt(2 * variance / slope)) if min(variance / kept, slope / steep) > _SEEN else 0.0


@cache
def _noise_after_blur() -> tuple[float, float]:
    """Variance of white noise after the blur, and the mean square of its step to the next pixel."""
    impulse = np.zeros((33, 33))
    impulse[16, 16] = 1.0
    kernel = ndimage.gaussian_filter(impulse, _BLUR)
    return float(np.square(kernel).sum()), float(np.square(np.diff(kernel, 1, 0)).sum())


def check_references(references: Planes, noisy: Planes, crop_size: int) -> ReferenceReport:
    """Compare clean images of other places with the noisy stack; ``crop_size`` is the edge of a crop, px.

    Raises:
        ValueError: If no reference is of use; the message gives each reason.
    """
    noise = estimate_noise(noisy.planes)
    measured = [plane_statistics(plane, noise) for plane in noisy.planes]
    names = PlaneStatistics.__annotations__
    typical = PlaneStatistics(*(float(np.median([getattr(m, n) for m in measured])) for n in names))
    known, usable, refused, remarks = set(noisy.fingerprints()), [], [], []
    own = references.fingerprints()
    for number, (plane, name) in enumerate(zip(references.planes, references.names, strict=True)):
        if own[number] in known:
            refused.append(f"{name} is one of the noisy images")
            continue
        found = plane_statistics(plane, estimate_noise([filled(plane)]))
        if (reason := _useless(plane, found, typical, crop_size)) is not None:
            refused.append(f"{name} {reason}")
            continue
        usable.append(number)
        remarks += [f"{name} {words}" for words in _remarks(found, typical)]
    if not usable:
        raise ValueError(
            "references: expected clean images of the same kind of specimen, found none of use: "
            + "; ".join(refused[:5])
            + (f"; and {len(refused) - 5} more" if len(refused) > 5 else "")
        )
    return ReferenceReport(tuple(usable), tuple(refused), tuple(remarks[:10]))


def _useless(
    plane: NDArray[Any], image: PlaneStatistics, noisy: PlaneStatistics, crop_size: int
) -> str | None:
    if plane.max() == plane.min():
        return "is flat"
    if min(plane.shape) < crop_size:
        return f"is {plane.shape[0]}x{plane.shape[1]} px, smaller than the crops of {crop_size}"
    if image.clipped > _CLIPPED:
        return f"is saturated: {100 * image.clipped:.0f} % of its pixels have the largest value"
    if image.depth < _CLEANER * noisy.depth:
        return (
            f"is not clean enough: its values span {image.depth:.0f} standard deviations of its noise, those "
            f"of the noisy images {noisy.depth:.0f}; a reference needs {_CLEANER:g} times that"
        )
    if noisy.size > 0 and not _FINER <= image.size / noisy.size <= _COARSER:
        kind = "blurred or of higher" if image.size > noisy.size else "of lower"
        return (
            f"has structures of {image.size:.1f} px, the noisy images {noisy.size:.1f}: it is {kind} "
            "magnification; resample it to the same pixel size"
        )
    return None


def _remarks(image: PlaneStatistics, noisy: PlaneStatistics) -> list[str]:
    found = []
    if image.skewness * noisy.skewness < 0 and min(abs(image.skewness), abs(noisy.skewness)) > _SKEWED:
        found.append("has the opposite contrast (bright on dark against dark on bright)")
    if noisy.size > 0 and not 1 / _ODD <= image.size / noisy.size <= _ODD:
        found.append(f"has structures of {image.size:.1f} px, the noisy images {noisy.size:.1f}")
    return found


class ReferenceCrops:
    """Random crops of references as displayed: 0..1 between each image's black and white point.

    Planes are (rows, columns), counts, ``size`` is the edge of a crop in px; seed and step decide what is
    drawn.
    """

    def __init__(self, planes: list[NDArray[Any]], size: int, seed: int) -> None:
        self._planes = [filled(p).astype(np.float32) for p in planes]
        self._ranges = [display_range(p) for p in self._planes]
        self._size, self._seed = size, seed

    def draw(self, step: int, count: int) -> NDArray[np.float32]:
        """Random crops (count, 1, size, size), the same for the same step."""
        rng = np.random.default_rng([self._seed, 11, step])
        return np.stack([self._one(rng) for _ in range(count)])[:, None]

    def _one(self, rng: np.random.Generator) -> NDArray[np.float32]:
        number = int(rng.integers(len(self._planes)))
        (patch,) = random_crop([self._planes[number]], self._size, rng)
        low, white = self._ranges[number]
        floor = float(rng.random()) * max(low, 0.0)
        shown = turned(np.clip((patch - floor) / max(white - floor, 1e-3), 0, 1), rng)
        return np.ascontiguousarray(shown, dtype=np.float32)


def turned(patch: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """A crop (2-D) in one of its eight orientations, by chance."""
    patch = np.rot90(patch, int(rng.integers(4)))
    return patch[:, ::-1] if rng.integers(2) else patch


def display_range(plane: NDArray[Any]) -> tuple[float, float]:
    """Counts of a clean plane that are displayed as black and as white."""
    low, white = np.percentile(plane, _WHITE)
    return float(low), float(white)
