"""Images, quick settings and what a generator yields and returns."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_rdpdenoise.codec import library
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


@pytest.fixture
def two_models(
    tmp_path: Path, tiny_series_model: Path, tiny_realism_model: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A library of two shipped models, small ones: the usual default, and that of pictures in colour."""
    folder = tmp_path / "shipped"
    models = {library.DEFAULT_MODEL: tiny_series_model, library.COLOUR_MODEL: tiny_realism_model}
    for name, model in models.items():
        card = shutil.copytree(model, folder / name) / "card.yaml"
        card.write_text(re.sub("(?m)^name: .*", f"name: {name}", card.read_text()))
    monkeypatch.setattr(library, "MODELS_FOLDER", folder)
    return folder
