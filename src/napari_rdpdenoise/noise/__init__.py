"""Poisson-Gaussian noise: the model, the transform that makes it uniform, its estimate."""

from napari_rdpdenoise.noise.estimate import estimate_noise, shares_noise
from napari_rdpdenoise.noise.model import NoiseModel
from napari_rdpdenoise.noise.stabilized import (
    counts_of,
    expected_stabilized,
    stabilize,
    stabilized_moments,
    stabilized_variance,
    unstabilize,
)

__all__ = [
    "NoiseModel",
    "counts_of",
    "estimate_noise",
    "expected_stabilized",
    "shares_noise",
    "stabilize",
    "stabilized_moments",
    "stabilized_variance",
    "unstabilize",
]
