"""A noisy stack, a store of it, and the codec known to Zarr."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exposures import exposure, stored
from stores import make_store


@pytest.fixture(autouse=True)
def _known_to_zarr() -> None:
    """Zarr finds the codec of an installed package by itself; here the tree may be used without."""
    from napari_rdpdenoise.store.zarr_codec import register

    register()


@pytest.fixture
def stack() -> Callable[..., np.ndarray]:
    """Noisy counts: ``stack(shape, dtype)``, every plane of another scene."""

    def make(shape: tuple[int, ...] = (2, 96, 128), dtype: Any = np.uint16) -> np.ndarray:
        planes = [
            stored(exposure(number, shape[-2:])[0], dtype) for number in range(int(np.prod(shape[:-2])))
        ]
        return np.stack(planes).reshape(shape)

    return make


@pytest.fixture
def store(tmp_path: Path) -> Callable[..., Path]:
    """Make a store: ``store(image, residual, name=..., **settings)``; its path."""
    return lambda image, residual="1", **options: make_store(tmp_path, image, residual, **options)
