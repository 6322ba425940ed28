"""The user's images in memory as training data: with themselves, a partner or a teacher as target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_rdpdenoise.codec import Codec, Normalization
from napari_rdpdenoise.finetune.references import ReferenceCrops, display_range
from napari_rdpdenoise.nn.decoder_names import FIDELITY
from napari_rdpdenoise.noise import NoiseModel, stabilized_variance
from napari_rdpdenoise.train.data.batches import Batch, Row, TrainingData, ValidationImage, stacked
from napari_rdpdenoise.train.data.camera import Exposure
from napari_rdpdenoise.train.data.images import random_crop
from napari_rdpdenoise.train.data.sources import KnownTargetSource, Pair, Sample, Source
from napari_rdpdenoise.train.settings import SourceSettings, TrainSettings


class PairSource(KnownTargetSource):
    """Kinds "pairs", "noisy" and "identity" of images in memory.

    Targets are the second exposures ``again``, if they are given (Noise2Noise), else the pairs' clean images.
    """

    def __init__(
        self, settings: SourceSettings, pairs: Sequence[Pair], again: Sequence[NDArray] | None = None
    ) -> None:
        super().__init__(settings)
        self._pairs, self._again = list(pairs), again

    def sample(self, number: int, size: int, rng: np.random.Generator) -> Sample:
        """A crop of one pair."""
        if self._again is None:
            return super().sample(number, size, rng)
        pair = self._pairs[number]
        crops = random_crop([pair.noisy, self._again[number], pair.clean], size, rng)
        noisy, second, clean = (part.astype(np.float32) for part in crops)
        exposure = Exposure(noisy, clean, pair.noise, second)
        return Sample(
            exposure, (float(clean.min()), float(clean.max())), pair.scale, display_range(pair.clean)
        )

    def held_out(self, file: Path, rng: np.random.Generator) -> None:
        """None: what is held out here is no file."""


class SelfSource(PairSource):
    """Kind "self": the target is the image itself; its pair is what the model to start from makes of it."""

    def __init__(self, settings: SourceSettings, pairs: Sequence[Pair]) -> None:
        super().__init__(settings, pairs, [pair.noisy for pair in pairs])


class InMemoryData(TrainingData):
    """Training data of sources in memory, one for each of the settings', with what is held out.

    ``held_out`` are pairs with a known truth, ``references`` clean images for a critic, ``simulated`` is a
    source of exposures with known truth, beside the others.
    """

    def __init__(
        self,
        settings: TrainSettings,
        sources: Sequence[Source],
        held_out: Sequence[ValidationImage] = (),
        references: Sequence[NDArray] = (),
        simulated: Source | None = None,
    ) -> None:
        self._simulated = simulated
        self.settings, self.root = settings, Path()
        self._sources, self._held, self._held_out = list(sources), [], list(held_out)
        for source in sources:
            source.check_similarity(settings.crop, settings.seed)
        self._crops = ReferenceCrops(list(references), settings.crop, settings.seed) if references else None

    def batches(self, start: int = 0, stage: int = 0) -> Iterator[Batch]:
        """Endless batches from step ``start``, made here: the crops are ready, and memory is the user's."""
        for step in count(start):
            yield self.batch(step, stage)

    def validation(self, per_source: int = 4) -> list[ValidationImage]:
        """Held-out pairs, at most so many."""
        return self._held_out[:per_source]

    def references(self, step: int, count: int) -> Tensor:
        """Random crops of the references as displayed, (count, 1, crop, crop), 0..1.

        Raises:
            ValueError: If there are no references.
        """
        if self._crops is None:
            raise ValueError("references: expected reference images, found none; set perception to 0")
        return torch.from_numpy(self._crops.draw(step, count))

    def simulated(self, step: int, count: int) -> Batch:
        """Simulated exposures with their truth, the same for the same step.

        Raises:
            ValueError: If there is no source of them.
        """
        if self._simulated is None:
            raise ValueError("simulated: expected a source of simulated exposures, found none; set it to 0")
        rng = np.random.default_rng([self.settings.seed, 13, step])
        samples = [self._simulated.draw(self.settings.crop, rng) for _ in range(count)]
        return stacked([self._normalized(sample, rng) for sample in samples])

    @property
    def planes(self) -> int:
        """One: what is learned from is single planes, whatever else the network can see."""
        return 1

    def _normalized(self, sample: Sample, rng: np.random.Generator) -> Row:
        row = super()._normalized(sample, rng)
        if sample.scale is not None and sample.exposure.second is not None:
            # so that an error of exactly the noise is 1, of clean and of dim images too
            expected = float(stabilized_variance(sample.exposure.clean, sample.exposure.noise).mean())
            weight = (row.weight / (sample.scale**2 * expected)).astype(np.float32)
            row = row._replace(weight=weight)
        return row


def denoised_pairs(
    planes: Sequence[NDArray[Any]], noise: NoiseModel, normalization: Normalization, codec: Codec, rate: float
) -> list[Pair]:
    """Noisy planes (rows, columns), counts, with what a codec makes of them at a rate and realism 0."""
    out = []
    for plane in planes:
        image = codec.decode(codec.encode([plane], normalization, rate))[0][FIDELITY]
        out.append(Pair(plane, image, noise, normalization.scale))
    return out
