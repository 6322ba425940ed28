"""Poisson-Gaussian noise of one channel, and the symbols in which the package speaks of it.

Used throughout:

* ``z``  raw value of a pixel, in counts (whatever unit the file holds)
* ``gain`` counts per photo-electron, ``offset`` counts at zero light, ``read_noise`` counts rms
* ``p = (z - offset) / gain``  photo-electrons, ``s = read_noise / gain``  read noise in photo-electrons
* ``var(z) = gain * max(mean - offset, 0) + read_noise**2``
* ``t = 2 * sqrt(max(p + 3/8 + s**2, 0))``  generalised Anscombe transform; the noise of ``t`` has variance 1

``gain == 0`` means purely Gaussian noise; then ``t = (z - offset) / read_noise``.

Source: Foi et al., "Practical Poissonian-Gaussian noise modeling and fitting for single-image raw-data", IEEE
TIP 2008 (the variance line). The transform is in ``noise.stabilized``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class NoiseModel:
    """Poisson-Gaussian noise of one channel of one series.

    Attributes:
        gain: Counts per photo-electron, >= 0; 0 means Gaussian noise only.
        offset: Counts at zero light.
        read_noise: Signal-independent noise, counts rms, > 0.
        notes: Sentences for the user on what the estimator had to do differently.
        doubt: Share of what looks like noise that may be the sample itself, [0, 1], see `doubt`.
    """

    gain: float
    offset: float
    read_noise: float
    notes: tuple[str, ...] = field(default=(), compare=False)
    doubt: float = field(default=0.0, compare=False)

    def __post_init__(self) -> None:
        for name in ("gain", "offset", "read_noise"):
            if not np.isfinite(getattr(self, name)):
                raise ValueError(f"{name} must be a finite number, found {getattr(self, name)}")
        if self.gain < 0:
            raise ValueError(f"gain must be at least 0 counts per photo-electron, found {self.gain}")
        if not 0 <= self.doubt <= 1:
            raise ValueError(f"doubt must be a share from 0 to 1, found {self.doubt}")
        if self.read_noise <= 0:
            raise ValueError(f"read_noise must be above 0 counts, found {self.read_noise}; use a small value")

    def variance(self, mean: NDArray[np.floating] | float) -> NDArray[np.float64]:
        """Noise variance, in counts squared, at the noise-free value ``mean`` (counts)."""
        light = np.maximum(np.asarray(mean, dtype=np.float64) - self.offset, 0.0)
        return np.asarray(self.gain * light + self.read_noise**2)

    @property
    def read_electrons(self) -> float:
        """Read noise in photo-electrons rms; infinite for Gaussian noise."""
        return self.read_noise / self.gain if self.gain > 0 else float("inf")
