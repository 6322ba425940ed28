from __future__ import annotations

import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_rdpdenoise.metrics import check_residual, judge_residual, psnr
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.samples import SimulatedSample, napari_sample, simulate_timelapse


@pytest.fixture(scope="module")
def movie() -> SimulatedSample:
    return simulate_timelapse((3, 2, 256, 256))


def test_what_the_default_is() -> None:
    start = time.perf_counter()
    sample = simulate_timelapse()
    assert time.perf_counter() - start < 20  # under a second on an idle machine
    assert sample.noisy.shape == sample.clean.shape == (5, 2, 512, 512)
    assert (sample.noisy.dtype, sample.clean.dtype) == (np.uint16, np.float32)
    assert sample.axes == "TCYX"
    assert sample.channel_names == ("nuclei", "filaments + mitochondria")
    assert sample.scale.keys() == sample.units.keys() == {"T", "Y", "X"}


def test_noise_is_what_the_camera_says(movie: SimulatedSample) -> None:
    camera = NoiseModel(movie.gain, movie.offset, movie.read_noise)
    for c in range(2):
        report = check_residual(movie.noisy[:, c], movie.clean[:, c], camera)
        assert report.noise_ratio == pytest.approx(1.0, abs=0.02)  # rounding adds 1/12 count squared
        assert judge_residual(movie.noisy[:, c], movie.clean[:, c], camera).fine


def test_truth_is_the_expectation_in_every_brightness(movie: SimulatedSample) -> None:
    clean, noisy = movie.clean.ravel().astype(np.float64), movie.noisy.ravel().astype(np.float64)
    edges = np.quantile(clean, np.linspace(0, 1, 9))
    for low, high in pairwise(edges):
        inside = (clean >= low) & (clean <= high)
        error = (noisy[inside] - clean[inside]).mean()
        assert abs(error) < 5 * noisy[inside].std() / np.sqrt(inside.sum())


def test_denoising_visibly_matters(movie: SimulatedSample) -> None:
    for c in range(2):
        noisy, clean = movie.noisy[:, c], movie.clean[:, c]
        top = float(clean.max())
        assert 22 < psnr(noisy, clean, top) < 29
        assert psnr(gaussian_filter(noisy.astype(float), (0, 1, 1)), clean, top) > psnr(noisy, clean, top) + 6


def test_structures_fill_the_field_and_move(movie: SimulatedSample) -> None:
    light = movie.clean - movie.offset
    for c in range(2):
        first, last = light[0, c], light[-1, c]
        assert first.max() > 5 * np.median(first)
        quarters = [q for half in np.split(first, 2) for q in np.split(half, 2, axis=1)]
        assert min(q.max() for q in quarters) > 0.3 * first.max()
        assert 0.2 < np.corrcoef(first.ravel(), last.ravel())[0, 1] < 0.97


def test_nothing_is_clipped(movie: SimulatedSample) -> None:
    assert movie.noisy.min() > 0
    assert movie.noisy.max() < np.iinfo(np.uint16).max
    assert movie.clean.min() > movie.offset


def test_a_seed_is_a_movie() -> None:
    one, same, other = (simulate_timelapse((2, 40, 50), seed=s) for s in (3, 3, 4))
    np.testing.assert_array_equal(one.noisy, same.noisy)
    np.testing.assert_array_equal(one.clean, same.clean)
    assert (one.clean != other.clean).any()


def test_light_changes_the_noise_and_not_the_scene() -> None:
    dim, bright = (simulate_timelapse((1, 64, 64), photons=p) for p in (10, 1000))
    np.testing.assert_allclose((bright.clean - 100) / 100, dim.clean - 100, rtol=1e-4, atol=1e-3)
    relative = [np.std(s.noisy - s.clean) / np.ptp(s.clean) for s in (dim, bright)]
    assert relative[0] > 5 * relative[1]


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 3), (1, 1, 5, 2), (1, 3, 33, 17), (4, 2, 31, 64)])
def test_any_size_works(shape: tuple[int, ...]) -> None:
    sample = simulate_timelapse(shape)
    assert sample.noisy.shape == sample.clean.shape == shape
    assert np.isfinite(sample.clean).all()
    assert len(sample.axes) == len(shape)
    assert len(sample.channel_names) == (shape[1] if len(shape) == 4 else 1)


def test_refusals_name_what_was_found() -> None:
    with pytest.raises(ValueError, match=r"found \(4, 4\)"):
        simulate_timelapse((4, 4))
    with pytest.raises(ValueError, match=r"found \(0, 4, 4\)"):
        simulate_timelapse((0, 4, 4))
    with pytest.raises(ValueError, match="1, 2 or 3 channels on its second axis, found 4"):
        simulate_timelapse((1, 4, 8, 8))
    with pytest.raises(ValueError, match="photons must be above 0 and below 10000 per pixel, found 0"):
        simulate_timelapse((1, 8, 8), photons=0)


def test_viewer_layers() -> None:
    layers = napari_sample()
    assert len(layers) == 2
    for data, options, kind in layers:
        assert kind == "image"
        assert data.ndim == len(options["scale"]) == len(options["units"]) == len(options["axis_labels"]) == 3
        low, high = options["contrast_limits"]
        assert 0 < low < high


def test_simulating_loads_neither_torch_nor_qt() -> None:
    code = (
        "import sys, napari_rdpdenoise.samples; "
        "sys.exit(any(m.partition('.')[0] in {'torch', 'qtpy', 'PyQt6', 'napari'} for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
