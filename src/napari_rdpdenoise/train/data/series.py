"""Kinds "series" and "colours": planes that are exposed together with their real neighbours.

Of a stack, z or time, these are the planes before and after; of a colour of a picture the two other colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.codec.network_input import ALONE, Neighbours
from napari_rdpdenoise.train.data.camera import Exposure, expose
from napari_rdpdenoise.train.data.images import random_crop, read_colours, read_stack, resized
from napari_rdpdenoise.train.data.motion import draw_presence
from napari_rdpdenoise.train.data.sources import Sample, Source
from napari_rdpdenoise.train.settings import MotionRange, NoiseRange, SourceSettings


class SeriesSource(Source):
    """Every crop of a plane gets a simulated exposure, and so do the planes before and after it.

    Neighbours are missing as often as those of images in motion, and at the ends of a series.

    Args:
        settings: Settings of the source.
        files: Stacks to train on.
        noise: Noise of the run; the source's own comes first.
        motion: Range of the motion, for the share of missing neighbours; None: no crop has any.
    """

    def __init__(
        self,
        settings: SourceSettings,
        files: Sequence[Path],
        noise: NoiseRange,
        motion: MotionRange | None = None,
    ) -> None:
        super().__init__(settings)
        self._noise, self._motion = settings.noise or noise, motion
        self._stacks = [self._read(file) for file in files]

    def _read(self, file: Path) -> NDArray[np.float32]:
        """Planes of a file (planes, rows, columns)."""
        return read_stack(file)

    def _beside(self, stack: NDArray[np.float32], at: int) -> Neighbours:
        """Neighbours of a plane of a stack."""
        if self._motion is None:
            return ALONE
        before, after = at - 1, at + 1
        return stack[before] if before >= 0 else None, stack[after] if after < len(stack) else None

    def __len__(self) -> int:
        return len(self._stacks)

    def sample(self, number: int, size: int, rng: np.random.Generator) -> Sample:
        """A crop (size, size) of a random plane, with neighbours in the order of the stack or against it."""
        stack, factor = self._stacks[number], float(rng.choice(self.settings.downscale))
        at = int(rng.integers(len(stack)))
        beside = self._beside(stack, at)
        if self._motion is not None:
            there = draw_presence(self._motion, rng)
            before, after = beside if rng.random() < 0.5 else beside[::-1]
            beside = (before if there[0] else None, after if there[1] else None)
        # all from one window; the plane itself comes last, since that one decides which window is lively
        planes = [*(plane for plane in beside if plane is not None), stack[at]]
        *others, scene = (
            resized(crop, (size, size)) for crop in random_crop(planes, round(size / factor), rng)
        )
        before, after = (None if plane is None else others.pop(0) for plane in beside)
        exposure = expose(scene, self._noise, rng, neighbours=(before, after))
        return Sample(exposure, (float(exposure.clean.min()), float(exposure.clean.max())))

    def held_out(self, file: Path, rng: np.random.Generator) -> Exposure:
        """An exposure of the plane in the middle; its truth is the clean plane."""
        stack = self._read(file)
        at = len(stack) // 2
        return expose(stack[at], self._noise, rng, neighbours=self._beside(stack, at))


class ColourSource(SeriesSource):
    """Every crop of a colour of a picture gets a simulated exposure, and so do the two other colours."""

    def _read(self, file: Path) -> NDArray[np.float32]:
        return read_colours(file)

    def _beside(self, stack: NDArray[np.float32], at: int) -> Neighbours:
        return ALONE if self._motion is None else (stack[at - 1], stack[(at + 1) % len(stack)])
