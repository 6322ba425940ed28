"""The published test images: pairs of a noisy and a clean plane, never used for training or tuning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import data_folder


@dataclass(frozen=True)
class TestSet:
    """Noisy and clean images of equal names.

    Attributes:
        name: as in the tables.
        noisy, clean: folders below ``data/test``.
        every: every so many images are enough for the slow comparisons.
        truth_noise: noise variance that is left in the clean images, means of many exposures, in those of
            the noisy ones.
    """

    name: str
    noisy: str
    clean: str
    every: int
    truth_noise: float = 0.0

    def names(self, limit: int | None = None) -> list[str]:
        """File names; ``limit`` of them spread over the set."""
        found = sorted(path.name for path in (folder_of("test") / self.noisy).glob("*.png"))
        if limit is None or limit >= len(found):
            return found
        return [found[int(i)] for i in np.linspace(0, len(found) - 1, limit)]

    def few(self) -> list[str]:
        """Every ``every``-th file name."""
        return self.names()[:: self.every]

    def pair(self, name: str) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
        """Noisy and clean plane as stored."""
        from skimage.io import imread

        return imread(folder_of("test") / self.noisy / name), imread(folder_of("test") / self.clean / name)

    def pairs(self, names: list[str]) -> Iterator[tuple[str, NDArray[np.generic], NDArray[np.generic]]]:
        """Name, noisy and clean plane of each image."""
        for name in names:
            yield (name, *self.pair(name))


SETS = (
    TestSet("FMD raw", "fmd/raw", "fmd/gt", 4, 1 / 50),
    TestSet("FMD avg4", "fmd/avg4", "fmd/gt", 4, 4 / 50),
    TestSet("W2S 081-100", "w2s/noisy", "w2s/clean", 5, 1 / 400),
)


def folder_of(part: str) -> Path:
    """The folder of the "train" or the "test" images.

    Raises:
        FileNotFoundError: if there are no images on this machine.
    """
    folder = data_folder()
    if folder is None:
        raise FileNotFoundError(
            f"images: expected data/{part} in the folder that RDPDENOISE_DATA names, found none; set it"
        )
    return folder / "data" / part
