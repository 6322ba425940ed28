"""Simulated camera: a clean image becomes photo-electrons, then counts, with a noise model to match."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_rdpdenoise.codec.network_input import ALONE, Neighbours
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.train.settings import NoiseRange

# Read noise in photo-electrons is drawn from a fixed grid, because each value costs a table of the inverse
# transform.
_READ_GRID = 40
_ROOM = 50_000.0  # counts at the bright end, at most: some pixels are brighter


@dataclass(frozen=True)
class Exposure:
    """A noisy image, simulated or real, in counts (2-D), with what is known of it.

    Attributes:
        noisy: Noisy counts.
        clean: Noise-free counts, or the best that is known of them.
        noise: Noise as an estimator sees it.
        second: Second exposure of the same scene and camera, with noise of its own, counts; None for none.
        neighbours: Exposures of the planes before and after, counts; None where there is none.
    """

    noisy: NDArray[np.float32]
    clean: NDArray[np.float32]
    noise: NoiseModel
    second: NDArray[np.float32] | None = None
    neighbours: Neighbours = ALONE


def expose(
    image: NDArray[np.float32],
    settings: NoiseRange,
    rng: np.random.Generator,
    twice: bool = False,
    neighbours: Neighbours = ALONE,
) -> Exposure:
    """Simulate a camera on ``image``.

    Args:
        image: Scene (rows, columns) of any positive scale; its 99.9th percentile is the bright end.
        settings: Light and noise to draw from.
        rng: Generator; the first exposure is the same whether there are others or not.
        twice: Whether to make a second exposure of the same light, camera and stretching, with its own noise.
        neighbours: Scenes before and after, on the scale of ``image``, which are exposed alike.
    """
    low, high = np.percentile(image, [0.5, 99.9])
    gamma = np.exp(rng.normal(0.0, 0.25))
    background = rng.uniform(0.0, settings.background) ** 2 / max(settings.background, 1e-6)
    photons = _log_uniform(settings.photons, rng)

    def lit(scene: NDArray) -> NDArray:
        above = np.maximum((scene - low) / max(high - low, 1e-6), 0.0) ** gamma
        return photons * (above * (1 - background) + background)

    light = lit(image)
    read = _log_uniform(settings.read_electrons, rng)
    electrons = rng.poisson(light).astype(np.float64)
    excess = bool(rng.random() < settings.excess)
    electrons = _read_out(electrons, excess, read, rng)
    shared = rng.uniform(*settings.correlation) if rng.random() < settings.correlated else 0.0
    electrons = _blurred(electrons, light, shared)
    eight_bit = bool(rng.random() < settings.eight_bit)
    counts, offset = _stretched(electrons, rng) if eight_bit else _camera(rng, photons)
    # 8-bit files are stretched until some pixels clip; cameras have room for any light that is drawn here
    top = 255 if eight_bit else 65535
    read_counts = np.sqrt((read * counts) ** 2 + 1 / 12)
    noise = _as_estimated(2 * counts if excess else counts, offset, read_counts, settings, rng)

    def again(light: NDArray) -> NDArray[np.float32]:
        other = _read_out(rng.poisson(light).astype(np.float64), excess, read, rng)
        return _digitised(_blurred(other, light, shared), counts, offset, top)

    second = again(light) if twice else None
    before, after = (None if scene is None else again(lit(scene)) for scene in neighbours)
    return Exposure(
        _digitised(electrons, counts, offset, top),
        (light * counts + offset).astype(np.float32),
        noise,
        second,
        (before, after),
    )


def _read_out(electrons: NDArray, excess: bool, read: float, rng: np.random.Generator) -> NDArray:
    if excess:  # multiplication register: gamma-distributed gain doubles the variance
        electrons = np.where(electrons > 0, rng.gamma(np.maximum(electrons, 1e-9)), 0.0)
    return electrons + rng.normal(0.0, read, electrons.shape)


def _blurred(electrons: NDArray, light: NDArray, sigma: float) -> NDArray:
    return light + _share_with_neighbours(electrons - light, sigma) if sigma else electrons


def _digitised(electrons: NDArray, counts: float, offset: float, top: float) -> NDArray[np.float32]:
    return np.asarray(np.clip(np.round(electrons * counts + offset), 0, top), dtype=np.float32)


def _share_with_neighbours(noise: NDArray, sigma: float) -> NDArray:
    """Noise after a Gaussian blur of ``sigma`` px, with the variance it had, as in resampled images."""
    impulse = np.zeros(33)
    impulse[16] = 1.0
    kept = float(np.square(ndimage.gaussian_filter1d(impulse, sigma)).sum())
    return ndimage.gaussian_filter(noise, sigma) / kept


def _camera(rng: np.random.Generator, photons: float) -> tuple[float, float]:
    """Counts per photo-electron and offset of a 16-bit camera that does not saturate at this light."""
    return min(_log_uniform((0.5, 8.0), rng), _ROOM / photons), float(rng.uniform(0, 500))


def _stretched(electrons: NDArray, rng: np.random.Generator) -> tuple[float, float]:
    """Counts per photo-electron and offset that stretch the values to 8 bits, a few of them beyond."""
    low, high = np.percentile(electrons, [rng.uniform(0.0, 0.1), rng.uniform(99.5, 99.99)])
    counts = rng.uniform(180, 255) / max(high - low, 1e-3)
    return float(counts), float(-low * counts)


def _as_estimated(
    gain: float, offset: float, read: float, settings: NoiseRange, rng: np.random.Generator
) -> NoiseModel:
    gain *= float(np.exp(rng.normal(0.0, settings.mismatch)))
    read *= float(np.exp(rng.normal(0.0, settings.mismatch)))
    low, high = np.log(1e-2), np.log(40.0)
    place = np.clip(np.log(read / gain), low, high)
    ratio = np.exp(low + (high - low) * round((place - low) / (high - low) * _READ_GRID) / _READ_GRID)
    return NoiseModel(gain, offset, float(gain * ratio))


def _log_uniform(bounds: tuple[float, ...], rng: np.random.Generator) -> float:
    """A number from one of the stretches between neighbouring bounds, each as likely as any other."""
    stretch = int(rng.integers(len(bounds) - 1)) if len(bounds) > 2 else 0
    low, high = bounds[stretch : stretch + 2]
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
