"""Targets from a trained model, for noisy images that have no clean partner: JDC's strategy UD."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.codec.models import load_model
from napari_rdpdenoise.nn.decoder_names import FIDELITY
from napari_rdpdenoise.noise import NoiseModel


class Teacher:
    """A trained model as denoiser: rate 1, realism 0, whole planes on the CPU.

    A plane is not tiled: measured, that takes 0.1 GB of memory per megapixel, and training images are small.
    It is a model of the library, or one in a folder relative to ``root``.

    Raises:
        FileNotFoundError: If there is no such model.
        ValueError: If it is damaged.
    """

    def __init__(self, name: str, root: Path) -> None:
        folder = root / name
        try:
            self._codec = load_model(folder if (folder / "card.yaml").is_file() else name, "cpu")
        except (FileNotFoundError, ValueError) as error:
            raise type(error)(f"teacher: {name!r} cannot be loaded: {error}") from error

    def denoised(self, plane: NDArray[np.generic], noise: NoiseModel) -> NDArray[np.float32]:
        """The plane (2-D, counts) denoised, in counts."""
        normalization = self._codec.fit([plane], noise)
        return self._codec.decode(self._codec.encode([plane], normalization, 1.0))[0][FIDELITY]
