"""Images, quick settings and what a generator yields and returns."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import pytest

from napari_rdpdenoise.settings import RunSettings


@pytest.fixture
def counts() -> Callable[..., np.ndarray]:
    """Noisy counts: ``counts(shape, dtype)``."""
    return lambda shape, dtype=np.uint8: np.random.default_rng(0).poisson(40, shape).astype(dtype)


@pytest.fixture
def fast() -> RunSettings:
    """Settings of a quick run."""
    return RunSettings(device="cpu", rate=0.4, tile=64, halo=64, batch=1)


@pytest.fixture
def drain() -> Callable[[Generator[Any, None, Any]], tuple[list[Any], Any]]:
    """Run a generator to its end: ``events, value = drain(generator)``."""

    def to_the_end(running: Generator[Any, None, Any]) -> tuple[list[Any], Any]:
        events = []
        while True:
            try:
                events.append(next(running))
            except StopIteration as end:
                return events, end.value

    return to_the_end
