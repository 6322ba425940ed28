"""Raw counts <-> the units the network works in: unit noise, centred, bounded.

``u = (t - center) * scale / 4`` with ``t`` the stabilised value (noise variance 1, see ``noise.py``). One
network then serves every camera, gain and bit depth: it always meets noise of the same strength. ``scale``
is 1, and below 1 only for images so clean that their range exceeds 64 noise standard deviations, where a
model was not trained on such: those of format 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.noise import NoiseModel, counts_of, expected_stabilized, stabilize, unstabilize

UNIT = 4.0  # noise standard deviations per network unit
MAX_RANGE = 64.0  # noise standard deviations


@dataclass(frozen=True)
class Normalization:
    """Normalisation of one channel of one series.

    Attributes:
        noise: Noise model of the channel, counts.
        center: Stabilised value that maps to 0.
        scale: Factor on stabilised values, in (0, 1].
    """

    noise: NoiseModel
    center: float
    scale: float

    def forward(self, z: NDArray[Any]) -> NDArray[np.float32]:
        """Raw counts to network units, same shape."""
        return self._units(stabilize(z, self.noise))

    def target(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """Noise-free counts to the network output that :meth:`inverse` turns back into them."""
        return self._units(expected_stabilized(x, self.noise))

    def _units(self, t: NDArray[np.float32]) -> NDArray[np.float32]:
        """Stabilised values as network units, in their place."""
        t -= np.float32(self.center)
        t *= np.float32(self.scale / UNIT)
        return t

    def with_noise(self, noise: NoiseModel) -> Normalization:
        """The same of planes with other noise: the same counts are in the centre."""
        level = counts_of(np.array([self.center]), self.noise)
        center = float(stabilize(level, noise)[0])
        return Normalization(noise, center, self.scale)

    def inverse(self, u: NDArray[Any]) -> NDArray[np.float32]:
        """Denoised network units to unbiased counts (float32)."""
        t = np.asarray(u, dtype=np.float32) * np.float32(UNIT / self.scale)
        t += np.float32(self.center)
        return unstabilize(t, self.noise)


def fit_normalization(
    planes: Sequence[NDArray[Any]], noise: NoiseModel, bounded: bool = True
) -> Normalization:
    """Centre and scale from a sample of one channel's planes.

    Args:
        planes: 2-D arrays, raw counts; missing values may be NaN or masked.
        noise: Noise of the channel.
        bounded: Whether to scale a range of more than 64 noise standard deviations down to that, as models
            of format 1 need it: `Codec.bounded`.
    """
    step = max(1, int(sum(p.size for p in planes) // 1_000_000))
    values = np.concatenate([np.asarray(p)[~np.ma.getmaskarray(p)][::step] for p in planes])
    values = stabilize(values[np.isfinite(values)], noise)
    if values.size == 0:
        return Normalization(noise, 0.0, 1.0)
    low, center, high = np.percentile(values, [0.1, 50.0, 99.9])
    scale = min(1.0, MAX_RANGE / max(high - low, 1e-6)) if bounded else 1.0
    return Normalization(noise, float(center), float(scale))
