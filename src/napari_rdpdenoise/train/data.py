"""Training data: folders of clean images and of noisy-clean pairs, mixed by weight, as ready batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from napari_rdpdenoise.codec.normalization import Normalization, fit_normalization
from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.io.source import planes as plane_indices
from napari_rdpdenoise.noise import NoiseModel, estimate_noise, expected_stabilized
from napari_rdpdenoise.train.display import tone_curve
from napari_rdpdenoise.train.settings import SourceSettings, TrainSettings
from napari_rdpdenoise.train.synth import Exposure, expose

_SUFFIXES = (".png", ".tif", ".tiff")
# Noise standard deviations: tiles of one image differ in level, and the network must not care.
_CENTER_JITTER = 2.0


@dataclass(frozen=True)
class Batch:
    """Network input and target (b, 1, crop, crop), pixel weights alike, and curves to display them.

    Attributes:
        tone: (b, 2 + ``display.POINTS``), see ``display.tone_curve``.
    """

    noisy: Tensor
    target: Tensor
    weight: Tensor
    tone: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        parts = (self.noisy, self.target, self.weight, self.tone)
        return Batch(*(part.to(device, non_blocking=True) for part in parts))


@dataclass(frozen=True)
class ValidationImage:
    """A held-out image: noisy and clean in counts (2-D), and how to normalise it."""

    source: str
    noisy: NDArray[np.float32]
    clean: NDArray[np.float32]
    normalization: Normalization


@dataclass(frozen=True)
class _Pair:
    noisy: NDArray[np.generic]
    clean: NDArray[np.float32]
    noise: NoiseModel


def read_plane(path: Path) -> NDArray[np.generic]:
    """The first plane of an image file (2-D)."""
    if path.suffix.lower() == ".png":
        from skimage.io import imread

        image = imread(path)
        return image if image.ndim == 2 else image[..., :3].mean(-1)
    source = open_image(path)
    try:
        return source.read(plane_indices(source)[0], slice(0, source.shape[-2]), slice(0, source.shape[-1]))
    finally:
        source.close()


class TrainingData:
    """All sources of a run, in memory, split into training and held-out images.

    Raises:
        FileNotFoundError: if a folder is missing or holds no image.
        ValueError: if a pair's images differ in shape or nothing is left to train on.
    """

    def __init__(self, settings: TrainSettings, folder: Path) -> None:
        self.settings = settings
        self._clean: list[list[NDArray[np.generic]]] = []
        self._pairs: list[list[_Pair]] = []
        self._held: list[tuple[SourceSettings, Path]] = []
        self.root = folder
        for source in settings.sources:
            files = _files(folder / source.folder)
            held = [f for f in files if f.stem.startswith(source.hold_out)] if source.hold_out else []
            self._held += [(source, f) for f in held]
            used = [f for f in files if f not in held]
            if not used:
                raise ValueError(f"hold_out: nothing of {source.folder} is left to train on; hold out less")
            self._clean.append([read_plane(f) for f in used] if source.kind == "clean" else [])
            self._pairs.append([self._pair(source, f) for f in used] if source.kind == "pairs" else [])

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
        noisy, target, weight, tone = (torch.from_numpy(np.stack(part)) for part in zip(*rows, strict=True))
        return Batch(noisy[:, None], target[:, None], weight[:, None], tone)

    def validation(self, per_source: int = 4) -> list[ValidationImage]:
        """Held-out images, the same ones and the same noise every time."""
        out = []
        for source in self.settings.sources:
            held = [f for s, f in self._held if s is source][:per_source]
            for number, file in enumerate(held):
                rng = np.random.default_rng([self.settings.seed, 7, number])
                if source.kind == "pairs":
                    pair = self._pair(source, file)
                    exposure = Exposure(pair.noisy.astype(np.float32), pair.clean, pair.noise)
                else:
                    exposure = expose(read_plane(file).astype(np.float32), self.settings.noise, rng)
                if min(exposure.noisy.shape) < 16:
                    continue  # less than the network's stride
                noise = estimate_noise([exposure.noisy])
                out.append(
                    ValidationImage(
                        source.folder,
                        exposure.noisy,
                        exposure.clean,
                        fit_normalization([exposure.noisy], noise),
                    )
                )
        return out

    def _range(self) -> range:
        return range(self.settings.batch)

    def _pair(self, source: SourceSettings, file: Path) -> _Pair:
        assert source.clean_folder is not None
        noisy = read_plane(file)
        clean = read_plane(_partner(self.root / source.clean_folder, file)).astype(np.float64)
        if noisy.shape != clean.shape:
            raise ValueError(
                f"pair {file.name}: noisy is {noisy.shape}, clean {clean.shape}; they must be equal"
            )
        slope, level = np.polyfit(clean.ravel(), noisy.ravel().astype(np.float64), 1)
        return _Pair(noisy, (slope * clean + level).astype(np.float32), estimate_noise([noisy]))

    def _sample(self, number: int, rng: np.random.Generator) -> tuple[NDArray, ...]:
        source, size = self.settings.sources[number], self.settings.crop
        if source.kind == "pairs":
            pair = self._pairs[number][rng.integers(len(self._pairs[number]))]
            noisy, clean = _crop([pair.noisy, pair.clean], size, rng)
            exposure = Exposure(noisy.astype(np.float32), clean, pair.noise)
        else:
            image = self._clean[number][rng.integers(len(self._clean[number]))]
            factor = float(rng.choice(source.downscale))
            (patch,) = _crop([image], round(size / factor), rng)
            exposure = expose(_shrink(patch.astype(np.float32), size), self.settings.noise, rng)
        return self._normalized(exposure, rng)

    def _normalized(self, exposure: Exposure, rng: np.random.Generator) -> tuple[NDArray, ...]:
        fitted = fit_normalization([exposure.noisy], exposure.noise)
        center = fitted.center + float(rng.normal(0.0, _CENTER_JITTER))
        normalization = Normalization(fitted.noise, center, fitted.scale)
        slope = np.ones_like(exposure.clean)
        if exposure.noise.gain > 0:  # d counts / d t grows with t, so errors of bright pixels weigh more
            slope = expected_stabilized(exposure.clean, exposure.noise) ** 2
            slope = np.minimum(slope / max(float(slope.mean()), 1e-6), 8.0)
        share = self.settings.counts_share
        weight = (1 - share + share * slope).astype(np.float32)
        parts = [normalization.forward(exposure.noisy), normalization.target(exposure.clean), weight]
        turn, flip = int(rng.integers(4)), bool(rng.integers(2))
        parts = [np.rot90(p, turn) for p in parts]
        noisy, target, weight = (np.ascontiguousarray(p[:, ::-1] if flip else p) for p in parts)
        tone = tone_curve(normalization, target, exposure.clean, float(rng.random()))
        return noisy, target, weight, tone


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


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise FileNotFoundError(f"sources: no folder {folder}; check --data and the config's folder names")
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in _SUFFIXES)
    if not files:
        raise FileNotFoundError(f"sources: {folder} holds no image ({', '.join(_SUFFIXES)})")
    return files


def _partner(folder: Path, file: Path) -> Path:
    for suffix in (file.suffix, *_SUFFIXES):
        if (folder / (file.stem + suffix)).is_file():
            return folder / (file.stem + suffix)
    raise FileNotFoundError(f"clean_folder: {folder} has no image named {file.stem}, the partner of {file}")


def _crop(images: list[NDArray], size: int, rng: np.random.Generator) -> list[NDArray]:
    """The same random window of all images, of two the livelier one; padded where an image is smaller."""
    need = [max(0, size - n) for n in images[0].shape]
    if any(need):
        images = [np.pad(i, [(0, n) for n in need], mode="symmetric") for i in images]
    best: tuple[float, int, int] | None = None
    for _ in range(2):
        y, x = (int(rng.integers(n - size + 1)) for n in images[0].shape)
        lively = float(images[-1][y : y + size : 4, x : x + size : 4].std())
        best = max(best, (lively, y, x)) if best else (lively, y, x)
    assert best is not None
    _, y, x = best
    return [i[y : y + size, x : x + size] for i in images]


def _shrink(image: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    if image.shape[0] == size:
        return image
    tensor = torch.from_numpy(np.ascontiguousarray(image))[None, None]
    return torch.nn.functional.interpolate(tensor, (size, size), mode="area")[0, 0].numpy()
