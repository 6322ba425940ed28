"""What tests of the preview and of the session share; the engine is imported when it is asked for."""

from __future__ import annotations

import numpy as np
import pytest


def _movie(shape=(3, 130, 140), seed=0, dtype=np.uint16):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[-2], : shape[-1]]
    light = 30 + 100 * (np.sin(y / 11) * np.cos(x / 8) > 0.4)
    return (100 + 2 * rng.poisson(np.broadcast_to(light, shape))).astype(dtype)


def _run(array, settings, codec, axes=None, cache=None):
    from napari_rdpdenoise.io import ArraySink, open_image
    from napari_rdpdenoise.stream import denoise_stream, output_spec

    source = open_image(array, axes)
    sink = ArraySink(output_spec(source, settings, codec))
    stream = denoise_stream(source, sink, settings, codec=codec, cache=cache)
    while True:
        try:
            next(stream)
        except StopIteration as end:
            return sink.array, end.value


@pytest.fixture
def movie():
    """Makes a noisy stack of a shape, a seed and a dtype."""
    return _movie


@pytest.fixture
def run():
    """Denoises a whole array as a run does; the result and the report."""
    return _run
