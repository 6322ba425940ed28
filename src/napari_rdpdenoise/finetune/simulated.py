"""Unpaired references as pairs after all: simulated exposures of them, with the noise of the user's camera.

A reference is brought to the brightness of one of the denoised planes, and gets the noise that was removed
from one of them, as strong as the noise model says at each brightness. So the noise is the camera's own, with
whatever neighbouring pixels share. What a decoder should make of that exposure is then known, as it never is
of the real ones. Nothing of it is registered with a real image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_rdpdenoise.codec.network_input import reconstruct
from napari_rdpdenoise.codec.normalization import Normalization
from napari_rdpdenoise.finetune.images import filled
from napari_rdpdenoise.finetune.references import display_range, turned
from napari_rdpdenoise.metrics import lpips
from napari_rdpdenoise.nn.decoder_names import FIDELITY, PATH, REALISM
from napari_rdpdenoise.nn.network import RdpNetwork
from napari_rdpdenoise.train.data.camera import Exposure
from napari_rdpdenoise.train.data.images import random_crop
from napari_rdpdenoise.train.data.sources import Pair, Sample, Source
from napari_rdpdenoise.train.losses.lattice import repetition
from napari_rdpdenoise.train.settings import SourceSettings

_BRIGHTER = 0.3  # standard deviation of log brightness: specimens differ
_WINDOWS, _EDGE = 6, 256  # number of exposures that networks are compared on; px


class SimulatedSource(Source):
    """Exposures of references (2-D, counts of any scale) as the camera of ``pairs`` would take them.

    These are noisy planes with their denoised ones, counts; one noise model and scale for all.
    """

    def __init__(
        self, settings: SourceSettings, references: Sequence[NDArray[Any]], pairs: Sequence[Pair]
    ) -> None:
        super().__init__(settings)
        self._references = [filled(plane).astype(np.float32) for plane in references]
        self._own = [display_range(plane) for plane in self._references]
        self._wanted = [display_range(pair.clean) for pair in pairs]
        self._noise, self._scale = pairs[0].noise, pairs[0].scale
        self._removed = [_removed(pair) for pair in pairs]
        kinds = {pair.noisy.dtype for pair in pairs}
        whole = all(kind.kind in "ui" for kind in kinds)
        self._top = float(max(np.iinfo(str(kind)).max for kind in kinds)) if whole else None

    def __len__(self) -> int:
        return len(self._references)

    @property
    def smallest(self) -> tuple[int, int]:
        """Least height and least width of the references, px."""
        height, width = zip(*(plane.shape for plane in self._references), strict=True)
        return min(height), min(width)

    def sample(self, number: int, size: int, rng: np.random.Generator) -> Sample:
        """A crop with noise and brightness of its own."""
        (patch,) = random_crop([self._references[number]], size, rng)
        (low, white), (dark, bright) = self._own[number], self._wanted[int(rng.integers(len(self._wanted)))]
        bright = dark + (bright - dark) * float(np.exp(rng.normal(0.0, _BRIGHTER)))
        clean = dark + (patch - low) / max(white - low, 1e-6) * (bright - dark)
        if self._top is not None:
            clean = np.clip(clean, 0, self._top)
        noisy = clean + self._noise_of(size, rng) * np.sqrt(self._noise.variance(clean))
        if self._top is not None:
            noisy = np.clip(np.round(noisy), 0, self._top)
        exposure = Exposure(noisy.astype(np.float32), clean.astype(np.float32), self._noise)
        return Sample(exposure, (dark, bright), self._scale, (dark, bright))

    def held_out(self, file: Any, rng: np.random.Generator) -> None:
        """None: what is held out here is no file."""

    def _noise_of(self, size: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """What was removed from a random place of a noisy plane, in standard deviations of its noise."""
        removed = self._removed[int(rng.integers(len(self._removed)))]
        (patch,) = random_crop([removed], size, rng)
        return turned(patch, rng)


def _removed(pair: Pair) -> NDArray[np.float32]:
    deviation = np.sqrt(pair.noise.variance(pair.clean))
    return np.asarray((filled(pair.noisy) - pair.clean) / deviation, dtype=np.float32)


class SimulatedJudge:
    """A network's realism decode against the truth, on simulated exposures that are always the same.

    The source has references that were not learned from, where there are enough, with noise and brightness of
    held-out noisy planes. Networks are compared at one rate, 0 to 1.
    """

    def __init__(self, source: SimulatedSource, normalization: Normalization, rate: float) -> None:
        self._normalization, self._rate = normalization, rate
        rng = np.random.default_rng(17)
        size = min(_EDGE, *(n // 2 * 2 for n in source.smallest))
        numbers = [int(k) for k in np.linspace(0, len(source) - 1, _WINDOWS)]
        self._exposures = [source.sample(number, size, rng).exposure for number in numbers]

    def figures(self, network: RdpNetwork) -> dict[str, float]:
        """Means over the exposures.

        ``lpips``; ``exposed``, the mean square error of counts in mean noise variances; and ``lattice``, how
        much of the added texture repeats every 4 or 8 px (``train.losses.lattice``).
        """
        normalization, distances, errors, repeated = self._normalization, [], [], []
        for exposure in self._exposures:
            u = normalization.forward(exposure.noisy)
            images = reconstruct(network, u, self._rate, PATH)
            image, fidelity = images[REALISM], images[FIDELITY]
            repeated.append(float(repetition(torch.from_numpy(image - fidelity)[None, None]).mean()))
            counts, clean = normalization.inverse(image), exposure.clean
            distances.append(lpips(counts, clean))
            errors.append(np.mean(np.square(counts - clean)) / np.mean(normalization.noise.variance(clean)))
        found = {"lpips": distances, "exposed": errors, "lattice": repeated}
        return {name: float(np.mean(values)) for name, values in found.items()}
