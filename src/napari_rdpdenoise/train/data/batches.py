"""Training data: the sources of a run, mixed by weight, as ready batches in network units."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from napari_rdpdenoise.codec.normalization import Normalization, fit_normalization
from napari_rdpdenoise.noise import estimate_noise, expected_stabilized
from napari_rdpdenoise.train.data.images import image_files
from napari_rdpdenoise.train.data.sources import Sample, Source, open_source
from napari_rdpdenoise.train.losses.display import tone_curve
from napari_rdpdenoise.train.settings import TrainSettings

__all__ = ["Batch", "TrainingData", "ValidationImage", "stacked"]

# Noise standard deviations: tiles of one image differ in level, and the network must not care.
_CENTER_JITTER = 2.0


@dataclass(frozen=True)
class Batch:
    """A batch of crops in network units, all of shape (b, 1, crop, crop), and curves to display them.

    Attributes:
        noisy: Network input.
        target: Target of the decode.
        weight: Weights of the pixels' errors.
        tone: Curves (b, 2 + ``display.POINTS``), see ``display.tone_curve``.
    """

    noisy: Tensor
    target: Tensor
    weight: Tensor
    tone: Tensor

    def to(self, device: torch.device) -> Batch:
        """The batch on another device."""
        parts = (self.noisy, self.target, self.weight, self.tone)
        return Batch(*(part.to(device, non_blocking=True) for part in parts))


@dataclass(frozen=True)
class ValidationImage:
    """A held-out image.

    Attributes:
        source: Name of its source.
        noisy: Noisy image (rows, columns), counts.
        clean: Clean image of the same shape, counts.
        normalization: Normalisation of the noisy image.
    """

    source: str
    noisy: NDArray[np.float32]
    clean: NDArray[np.float32]
    normalization: Normalization


class TrainingData:
    """All sources of a run, in memory, split into training and held-out images.

    Args:
        settings: Settings of the run.
        folder: Data folder.

    Raises:
        FileNotFoundError: If a folder is missing or holds no image, or a partner or a teacher is missing.
        ValueError: If a pair's images differ in shape, nothing is left to train on, no image of an identity
            source is clean enough, or no crop reaches ``min_ms_ssim``.
    """

    def __init__(self, settings: TrainSettings, folder: Path) -> None:
        self.settings = settings
        self.root = folder
        self._sources: list[Source] = []
        self._held: list[tuple[Source, Path]] = []
        for source in settings.sources:
            files = image_files(folder / source.folder)
            held = [f for f in files if f.stem.startswith(source.hold_out)] if source.hold_out else []
            used = [f for f in files if f not in held]
            if not used:
                raise ValueError(f"hold_out: nothing of {source.folder} is left to train on; hold out less")
            opened = open_source(source, used, folder, settings.noise)
            opened.check_similarity(settings.crop, settings.seed)
            self._sources.append(opened)
            self._held += [(opened, f) for f in held]

    def batches(self, start: int = 0, stage: int = 0) -> Iterator[Batch]:
        """Endless batches from step ``start``, made ahead of time in processes of their own.

        A thread would fight the training loop for the interpreter lock: measured, half the speed.
        """
        loader = DataLoader(
            _Steps(self, start, stage),
            batch_size=None,
            num_workers=self.settings.workers,
            prefetch_factor=4,
            worker_init_fn=_one_thread,
        )
        yield from loader

    def batch(self, step: int, stage: int = 0) -> Batch:
        """The batch of one step."""
        rng = np.random.default_rng([self.settings.seed, stage, step])
        weights = np.array([s.weight for s in self.settings.sources])
        rows = [
            self._sample(int(rng.choice(len(weights), p=weights / weights.sum())), rng) for _ in self._range()
        ]
        return stacked(rows)

    def validation(self, per_source: int = 4) -> list[ValidationImage]:
        """Held-out images, the same ones and the same noise every time."""
        out = []
        for source in self._sources:
            held = [f for s, f in self._held if s is source][:per_source]
            for number, file in enumerate(held):
                rng = np.random.default_rng([self.settings.seed, 7, number])
                exposure = source.held_out(file, rng)
                if exposure is None or min(exposure.noisy.shape) < 16:
                    continue  # no truth, or less than the network's stride
                noise = estimate_noise([exposure.noisy])
                out.append(
                    ValidationImage(
                        source.name,
                        exposure.noisy,
                        exposure.clean,
                        fit_normalization([exposure.noisy], noise),
                    )
                )
        return out

    def _range(self) -> range:
        return range(self.settings.batch)

    def _sample(self, number: int, rng: np.random.Generator) -> tuple[NDArray, ...]:
        return self._normalized(self._sources[number].draw(self.settings.crop, rng), rng)

    def _normalized(self, sample: Sample, rng: np.random.Generator) -> tuple[NDArray, ...]:
        exposure = sample.exposure
        fitted = fit_normalization([exposure.noisy], exposure.noise)
        center = fitted.center + float(rng.normal(0.0, _CENTER_JITTER))
        scale = fitted.scale if sample.scale is None else sample.scale
        normalization = Normalization(fitted.noise, center, scale)
        slope = np.ones_like(exposure.clean)
        if exposure.noise.gain > 0:  # d counts / d t grows with t, so errors of bright pixels weigh more
            slope = expected_stabilized(exposure.clean, exposure.noise) ** 2
            slope = np.minimum(slope / max(float(slope.mean()), 1e-6), 8.0)
        share = self.settings.counts_share
        weight = (1 - share + share * slope).astype(np.float32)
        target = normalization.target(exposure.clean)
        if exposure.second is not None:
            # The mean of `forward` over the noise is `target` of the scene, so the best answer is the same;
            # `target` itself is for noise-free counts, and biased where it is given noisy ones.
            target = normalization.forward(exposure.second)
        parts = [normalization.forward(exposure.noisy), target, weight]
        turn, flip = int(rng.integers(4)), bool(rng.integers(2))
        parts = [np.rot90(p, turn) for p in parts]
        noisy, target, weight = (np.ascontiguousarray(p[:, ::-1] if flip else p) for p in parts)
        tone = tone_curve(normalization, target, exposure.clean, float(rng.random()), sample.display_range)
        return noisy, target, weight, tone


def stacked(rows: Sequence[tuple[NDArray, ...]]) -> Batch:
    """Rows of noisy, target, weight and tone as a batch."""
    noisy, target, weight, tone = (torch.from_numpy(np.stack(part)) for part in zip(*rows, strict=True))
    return Batch(noisy[:, None], target[:, None], weight[:, None], tone)


class _Steps(IterableDataset):
    """The batches of the steps from ``start`` on."""

    def __init__(self, data: TrainingData, start: int, stage: int) -> None:
        self._data, self._start, self._stage = data, start, stage

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()  # the loader takes from its workers in turn
        first, stride = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for step in count(self._start + first, stride):
            yield self._data.batch(step, self._stage)


def _one_thread(_worker: int) -> None:
    torch.set_num_threads(1)
