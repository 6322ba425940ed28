"""The table of metrics: what dock, command line and benchmarks read."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from napari_rdpdenoise.metrics import METRICS, psnr
from napari_rdpdenoise.metrics.backbones import BACKBONES
from napari_rdpdenoise.metrics.download import NETWORKS
from napari_rdpdenoise.metrics.table import LPIPS, PSNR


def test_every_metric_has_a_name_of_its_own_and_a_network_that_can_be_fetched() -> None:
    assert len({metric.key for metric in METRICS}) == len({metric.name for metric in METRICS}) == len(METRICS)
    needed = {metric.network for metric in METRICS if metric.network}
    assert needed <= set(BACKBONES)
    assert needed <= {network.name for network in NETWORKS}
    quick = [not metric.network for metric in METRICS]
    assert quick == sorted(quick, reverse=True)  # those without a network come first
    assert all(metric.pixel_bytes for metric in METRICS if metric.network)


@pytest.mark.parametrize("metric", [m for m in METRICS if not m.network], ids=lambda m: m.key)
def test_the_nearer_image_has_the_better_number(metric) -> None:
    rng = np.random.default_rng(0)
    clean = rng.normal(size=(40, 50)).cumsum(0) + 100
    near, far = (clean + strength * rng.normal(size=clean.shape) for strength in (0.1, 2))
    better, worse = (metric.measure(image, clean, 100.0, None) for image in (near, far))
    assert (better > worse) == metric.higher_is_better


def test_numbers_are_written_with_the_digits_that_mean_something() -> None:
    clean = np.arange(12.0).reshape(3, 4)
    assert PSNR.measure(clean + 1, clean, 10.0, None) == psnr(clean + 1, clean, 10.0) == 20
    assert (PSNR.name, PSNR.text(20.0), PSNR.text(float("inf"))) == ("PSNR, dB", "20.00", "equal")
    assert (LPIPS.name, LPIPS.text(0.12345)) == ("LPIPS", "0.123")


def test_the_memory_of_a_network_is_that_of_one_plane(monkeypatch) -> None:
    free = 64 * 64 * LPIPS.pixel_bytes
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    stack = np.ones((9, 65, 64))
    with pytest.raises(MemoryError, match="a region of at most 64 x 64 px"):
        LPIPS.measure(stack, stack, 1.0, None)
    with pytest.raises(RuntimeError, match=r"not here|light"):  # the memory is enough
        LPIPS.measure(0 * stack[:, :64], 0 * stack[:, :64], 1.0, None)
