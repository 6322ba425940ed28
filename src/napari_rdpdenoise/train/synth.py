"""Synthetic camera: a clean image becomes photo-electrons, then counts, with a noise model to match."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.train.settings import NoiseRange

# Read noise in photo-electrons is drawn from a fixed grid, because each value costs a table of the inverse
# transform.
_READ_GRID = 40


@dataclass(frozen=True)
class Exposure:
    """One simulated exposure: counts, noise-free counts, and the noise as an estimator would see it."""

    noisy: NDArray[np.float32]
    clean: NDArray[np.float32]
    noise: NoiseModel


def expose(image: NDArray[np.float32], settings: NoiseRange, rng: np.random.Generator) -> Exposure:
    """Simulate a camera on ``image`` (2-D, any positive scale; its 99.9th percentile is the bright end)."""
    low, high = np.percentile(image, [0.5, 99.9])
    scene = np.maximum((image - low) / max(high - low, 1e-6), 0.0) ** np.exp(rng.normal(0.0, 0.25))
    background = rng.uniform(0.0, settings.background) ** 2 / max(settings.background, 1e-6)
    photons = _log_uniform(settings.photons, rng)
    light = photons * (scene * (1 - background) + background)
    read = _log_uniform(settings.read_electrons, rng)
    electrons = rng.poisson(light).astype(np.float64)
    factor = 1.0
    if rng.random() < settings.excess:  # multiplication register: gamma-distributed gain doubles the variance
        electrons = np.where(electrons > 0, rng.gamma(np.maximum(electrons, 1e-9)), 0.0)
        factor = 2.0
    electrons += rng.normal(0.0, read, image.shape)
    if rng.random() < settings.correlated:
        electrons = light + _share_with_neighbours(electrons - light, rng.uniform(*settings.correlation))
    eight_bit = bool(rng.random() < settings.eight_bit)
    counts, offset = _stretched(electrons, rng) if eight_bit else _camera(rng)
    # 8-bit files are stretched until some pixels clip; cameras have room for any light that is drawn here
    noisy = np.clip(np.round(electrons * counts + offset), 0, 255 if eight_bit else 65535)
    gain = factor * counts
    read_counts = np.sqrt((read * counts) ** 2 + 1 / 12)
    return Exposure(
        noisy.astype(np.float32),
        (light * counts + offset).astype(np.float32),
        _as_estimated(gain, offset, read_counts, settings, rng),
    )


def _share_with_neighbours(noise: NDArray, sigma: float) -> NDArray:
    """Noise after a Gaussian blur of ``sigma`` px, with the variance it had, as in resampled images."""
    impulse = np.zeros(33)
    impulse[16] = 1.0
    kept = float(np.square(ndimage.gaussian_filter1d(impulse, sigma)).sum())
    return ndimage.gaussian_filter(noise, sigma) / kept


def _camera(rng: np.random.Generator) -> tuple[float, float]:
    """Counts per photo-electron and offset of a 16-bit camera."""
    return float(_log_uniform((0.5, 8.0), rng)), float(rng.uniform(0, 500))


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


def _log_uniform(bounds: tuple[float, float], rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(bounds[0]), np.log(bounds[1]))))
