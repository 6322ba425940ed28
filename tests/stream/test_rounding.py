"""Whether whole counts are fine enough: told, and decided by dtype auto."""

from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise.io import ArraySink, open_image
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream import Plan, denoise_stream, make_plan, output_spec

PHOTONS = np.random.default_rng(0).poisson(0.2, (256, 256)).astype(np.uint8)
CAMERA = (100 + np.random.default_rng(0).normal(0, 6, (256, 256))).clip(0).astype(np.uint16)
BRIGHT = (2 * np.random.default_rng(0).poisson(60, (256, 256)) + 100).astype(np.uint16)


@pytest.mark.parametrize(
    ("image", "coarse"),
    [(PHOTONS, True), (CAMERA, False), (BRIGHT, False), (PHOTONS.astype(np.float32), False)],
)
def test_photon_counts_are_told_and_auto_takes_float32(image, coarse, tiny_codec):
    settings = RunSettings(rate=0.5, device="cpu")
    plan = next(step for step in make_plan(open_image(image), settings, tiny_codec) if isinstance(step, Plan))
    assert any("--dtype float32" in message for message in plan.messages) == coarse
    spec = output_spec(open_image(image), settings.replace(dtype="auto"), tiny_codec)
    assert spec.dtype == (np.float32 if coarse else image.dtype)


def test_auto_is_decided_by_the_channels_that_are_asked_for(tiny_codec):
    both = np.stack([PHOTONS.astype(np.uint16), CAMERA])
    for channels, dtype in ((None, "float32"), ((0,), "float32"), ((1,), "uint16")):
        settings = RunSettings(dtype="auto", channels=channels)
        assert output_spec(open_image(both, "CYX"), settings, tiny_codec).dtype == dtype


def test_photons_are_kept_through_a_whole_run_in_whole_counts(tiny_codec):
    y, x = np.mgrid[:256, :256]
    light = 0.05 + 0.4 * np.exp(-((y - 100) ** 2 + (x - 150) ** 2) / 800)
    image = np.random.default_rng(1).poisson(light).astype(np.uint8)
    source, settings = open_image(image), RunSettings(rate=0.5, device="cpu")
    sink = ArraySink(output_spec(source, settings, tiny_codec))
    for _ in denoise_stream(source, sink, settings, codec=tiny_codec):
        pass
    assert sink.array.dtype == np.uint8
    assert float(sink.array.sum()) == pytest.approx(float(image.sum()), rel=5e-3)
