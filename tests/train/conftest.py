"""A folder of small training images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from skimage.io import imsave

from napari_rdpdenoise.nn.config import NetworkConfig
from napari_rdpdenoise.train.settings import TrainSettings


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`clean/*.png`, and `noisy/*.tif` with partners in `truth/*.png`; stems a0 to a4."""
    root = tmp_path_factory.mktemp("training")
    for name in ("clean", "noisy", "truth"):
        (root / name).mkdir()
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:96, :80]
    for k in range(5):
        clean = 40 + 150 * (np.sin(y / (5 + k)) * np.cos(x / 9) > 0.2)
        imsave(root / "clean" / f"a{k}.png", clean.astype(np.uint8), check_contrast=False)
        imsave(root / "truth" / f"a{k}.png", clean.astype(np.uint8), check_contrast=False)
        imsave(
            root / "noisy" / f"a{k}.tif",
            (100 + 2 * rng.poisson(clean)).astype(np.uint16),
            check_contrast=False,
        )
    return root


@pytest.fixture(scope="session")
def settings() -> TrainSettings:
    """Twenty steps at all rates of a tiny network on both kinds of sources."""
    small = {"quarter_channels": 32, "eighth_channels": 32, "latent_channels": 16, "hyper_channels": 16}
    return TrainSettings(
        name="tiny",
        network=NetworkConfig(**small, encoder_blocks=(1, 1), decoder_blocks=(1, 1)),
        sources=(
            {"kind": "clean", "folder": "clean", "downscale": (1.0, 0.5), "hold_out": ("a4",)},
            {"kind": "pairs", "folder": "noisy", "clean_folder": "truth", "hold_out": ("a3", "a4")},
        ),
        stages=({"kind": "all-rates", "steps": 20, "warm_up": 3, "learning_rate": 2e-3, "ema": 0.9},),
        batch=2,
        crop=64,
        validate_every=5,
    )
