"""How far what looks like noise may be the sample itself.

A single image does not tell noise from grain that the sample has. Two things make it likely that grain is
the sample's own:

* **It is not white.** The patches' spectrum has no plateau (see `spectrum`), and neighbouring pixels do not
  share noise either: texture as fine as the pixels, as in electron micrographs. The noise below it cannot be
  seen, and every estimate is too high.
* **There is too much light for noise to matter.** The range is tens of noise standard deviations, and the
  variance line is that of a camera that counted thousands of photo-electrons at the bright end. The noise is
  then below 2 % of the bright end: leaving it costs little, and what looks like it may be texture. With less
  light the noise is taken for noise, as it is in what a camera gives. Clean references (means of many
  exposures, 8-bit images) have grain of 300 to 5000 photo-electrons, which is removed from them: who knows
  the camera can tell of it (setting ``camera``), and nothing is then in doubt.

In between the doubt grows from 0 to 1. The limits of the spectrum were chosen on simulated exposures of clean
training images, see ``benchmarks/light.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.noise.model import NoiseModel
from napari_rdpdenoise.noise.spectrum import blocks_of, patch_spectrum, slope
from napari_rdpdenoise.noise.stabilized import stabilize

_COLOUR = (1.13, 1.43)  # slope of the spectrum
_LIGHT = (3000.0, 6000.0)  # photo-electrons at the bright end, the read noise's variance among them
_RANGE = (30.0, 40.0)  # noise standard deviations from the dark to the bright end
_FEW = 4  # blocks below which nothing is known


def measure_doubt(planes: Sequence[NDArray[Any]], noise: NoiseModel, shared: bool) -> float:
    """Share of the residual that stays in the image whatever it looks like, 0 to 1.

    Args:
        planes: Arrays (rows, columns) of one channel, raw counts; blocks with missing values are left out.
        noise: Estimate of their noise.
        shared: Whether neighbouring pixels share their noise, which then cannot be white.
    """
    blocks = np.concatenate([blocks_of(stabilize(plane, noise)) for plane in planes])
    blocks = blocks[np.isfinite(blocks).all((1, 2))]
    blocks = blocks[np.ptp(blocks, axis=(1, 2)) > 0]  # not padding, nor saturated areas
    if len(blocks) < _FEW:
        return 0.0
    doubt = _of_light(blocks, noise)
    return doubt if shared else max(doubt, _ramp(slope(patch_spectrum(blocks), len(blocks)), _COLOUR))


def _of_light(blocks: NDArray[np.float32], noise: NoiseModel) -> float:
    low, high = np.percentile(blocks, [0.1, 99.9])
    # (high / 2)**2 is the bright end in photo-electrons and the variance of the read noise, but for 3/8
    photons = (float(high) / 2) ** 2 if noise.gain > 0 else np.inf
    return min(_ramp(photons, _LIGHT), _ramp(float(high - low), _RANGE))


def _ramp(value: float, limits: tuple[float, float]) -> float:
    low, high = limits
    return float(np.clip((value - low) / (high - low), 0.0, 1.0))
