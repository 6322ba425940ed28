"""Poisson-Gaussian noise: the model, the transform that makes it uniform, its estimate."""

from napari_rdpdenoise.noise.estimate import estimate_noise, shares_noise
from napari_rdpdenoise.noise.model import (
    NoiseModel,
    expected_stabilized,
    stabilize,
    stabilized_variance,
    unstabilize,
)

__all__ = [
    "NoiseModel",
    "estimate_noise",
    "expected_stabilized",
    "shares_noise",
    "stabilize",
    "stabilized_variance",
    "unstabilize",
]
