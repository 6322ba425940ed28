"""Training data: the sources of a run, mixed by weight, as ready batches in network units."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from napari_rdpdenoise.codec.network_input import ALONE, Neighbours, normalized_neighbours
from napari_rdpdenoise.codec.normalization import Normalization, fit_normalization
from napari_rdpdenoise.nn.network import Frames
from napari_rdpdenoise.noise import estimate_noise, expected_stabilized
from napari_rdpdenoise.train.data.camera import Exposure
from napari_rdpdenoise.train.data.images import image_files
from napari_rdpdenoise.train.data.opening import open_source
from napari_rdpdenoise.train.data.sources import Sample, Source
from napari_rdpdenoise.train.losses.display import tone_curve
from napari_rdpdenoise.train.settings import SourceSettings, TrainSettings

__all__ = ["Batch", "Row", "TrainingData", "ValidationImage", "stacked"]

# Noise standard deviations: tiles of one image differ in level, and the network must not care.
_CENTER_JITTER = 2.0
_HELD_OUT_SCENES = 4  # simulated ones that validation looks at


@dataclass(frozen=True)
class Batch:
    """What a network is given and what it should make of it, network units.

    Attributes:
        planes: Noisy planes (b, 1, crop, crop), or previous, current and next (b, 3, crop, crop).
        target: Target of the current plane (b, 1, crop, crop).
        weight: Weight of each pixel's error, of the target's shape.
        tone: Curves to display the images, (b, 2 + ``display.POINTS``), see ``display.tone_curve``.
        presence: Whether previous and next plane are there, (b, 2); None with single planes.
    """

    planes: Tensor
    target: Tensor
    weight: Tensor
    tone: Tensor
    presence: Tensor | None = None

    @property
    def noisy(self) -> Tensor:
        """The current plane, (b, 1, crop, crop)."""
        middle = self.planes.shape[1] // 2
        return self.planes[:, middle : middle + 1]

    @property
    def frames(self) -> Frames:
        """What the encoder is given, in the memory layout that it works in."""
        return Frames(self.planes.contiguous(memory_format=torch.channels_last), self.presence)

    def with_noisy(self, noisy: Tensor) -> Batch:
        """The same with another current plane."""
        planes, middle = self.planes.clone(), self.planes.shape[1] // 2
        planes[:, middle : middle + 1] = noisy
        return replace(self, planes=planes)

    def to(self, device: torch.device) -> Batch:
        """The batch on another device."""

        def there(part: Tensor) -> Tensor:
            return part.to(device, non_blocking=True)

        presence = None if self.presence is None else there(self.presence)
        return Batch(there(self.planes), there(self.target), there(self.weight), there(self.tone), presence)


class Row(NamedTuple):
    """One sample of a batch, float32; shapes as there without the first axis, images without the channel.

    Attributes:
        planes: Noisy planes (1 or 3, crop, crop).
        target: Target of the current plane (crop, crop).
        weight: Weights of the pixels' errors (crop, crop).
        tone: Curve to display the images.
        presence: Whether previous and next plane are there, (2,); None with a single plane.
    """

    planes: NDArray[np.float32]
    target: NDArray[np.float32]
    weight: NDArray[np.float32]
    tone: NDArray[np.float32]
    presence: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class ValidationImage:
    """A held-out image.

    Attributes:
        source: Name of its source.
        noisy: Noisy image (rows, columns), counts.
        clean: Clean image of the same shape, counts.
        normalization: Normalisation of the noisy image.
        neighbours: Noisy planes before and after it, counts; None where there is none.
    """

    source: str
    noisy: NDArray[np.float32]
    clean: NDArray[np.float32]
    normalization: Normalization
    neighbours: Neighbours = ALONE


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
            used, held = _split(source, folder)
            motion = settings.motion if self.planes > 1 else None
            opened = open_source(source, used, folder, settings.noise, motion)
            opened.check_similarity(settings.crop, settings.seed)
            self._sources.append(opened)
            self._held += [(opened, f) for f in held]

    @property
    def planes(self) -> int:
        """Planes of a sample: 1, or 3 with neighbours."""
        return self.settings.network.planes

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
                        fit_normalization([exposure.noisy], noise, self.settings.network.bounded),
                        exposure.neighbours,
                    )
                )
        return out

    def _range(self) -> range:
        return range(self.settings.batch)

    def _sample(self, number: int, rng: np.random.Generator) -> Row:
        return self._normalized(self._sources[number].draw(self.settings.crop, rng), rng)

    def _normalized(self, sample: Sample, rng: np.random.Generator) -> Row:
        exposure, bounded = sample.exposure, self.settings.network.bounded
        fitted = fit_normalization([exposure.noisy], exposure.noise, bounded)
        center = fitted.center + float(rng.normal(0.0, _CENTER_JITTER))
        scale = sample.scale if bounded and sample.scale is not None else fitted.scale
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
        planes, presence = self._with_neighbours(exposure, normalization)
        turn, flip = int(rng.integers(4)), bool(rng.integers(2))
        parts = [np.rot90(p, turn, (-2, -1)) for p in (planes, target, weight)]
        planes, target, weight = (np.ascontiguousarray(p[..., ::-1] if flip else p) for p in parts)
        tone = tone_curve(normalization, target, exposure.clean, float(rng.random()), sample.display_range)
        return Row(planes, target, weight, tone, presence)

    def _with_neighbours(
        self, exposure: Exposure, normalization: Normalization
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Planes of a sample, as the codec would give them to its network, and which neighbours are there."""
        noisy = normalization.forward(exposure.noisy)
        if self.planes == 1:
            return noisy[None], None
        beside = normalized_neighbours(exposure.noisy, exposure.neighbours, normalization)
        before, after = (np.zeros_like(noisy) if other is None else other for other in beside)
        presence = np.array([other is not None for other in beside], np.float32)
        return np.stack([before, noisy, after]), presence


def stacked(rows: Sequence[Row]) -> Batch:
    """Rows as a batch."""
    planes, target, weight, tone = (
        torch.from_numpy(np.stack(part)) for part in zip(*(row[:4] for row in rows), strict=True)
    )
    there = [row.presence for row in rows if row.presence is not None]
    presence = torch.from_numpy(np.stack(there)) if there else None
    return Batch(planes, target[:, None], weight[:, None], tone, presence)


def _split(source: SourceSettings, folder: Path) -> tuple[list[Path], list[Path]]:
    """Files to train on and those that are held out; for scenes that are drawn names in their place."""
    if source.kind == "simulated":
        return [], [Path(f"scene-{number}") for number in range(_HELD_OUT_SCENES)]
    files = _chosen(image_files(folder / source.folder), source)
    held = [f for f in files if f.stem.startswith(source.hold_out)] if source.hold_out else []
    used = [f for f in files if f not in held]
    if not used:
        raise ValueError(f"hold_out: nothing of {source.folder} is left to train on; hold out less")
    return used, held


def _chosen(files: Sequence[Path], source: SourceSettings) -> list[Path]:
    """Files of a source's folder that it uses, held-out ones included."""
    found = [f for f in files if f.stem.startswith(source.only)] if source.only else list(files)
    return [f for f in found if not f.stem.startswith(source.leave_out)] if source.leave_out else found


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
