from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from napari_rdpdenoise.cli.picture import contrast_limits, to_grey
from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.samples import simulate_timelapse


@pytest.fixture
def small_sample(monkeypatch):
    sample = simulate_timelapse((2, 2, 96, 112))
    monkeypatch.setattr("napari_rdpdenoise.samples.simulate_timelapse", lambda: sample)
    return sample


def test_demo(run, tmp_path, tiny_model, small_sample):
    out = tmp_path / "demo"
    command = ("demo", "--out", out, "--model", tiny_model, "--rate", 0.5, "--device", "cpu")
    answer = run(*command)
    assert answer.exit_code == 0, answer.stderr
    for words in ("noisy", "denoised", "PSNR", "SSIM", "bpp", "MP/s", str(out / "simulated-timelapse.png")):
        assert words in answer.stdout
    for kind in ("noisy", "denoised"):
        image = open_image(out / f"simulated-timelapse.{kind}.ome.zarr")
        assert image.shape == small_sample.noisy.shape
        assert image.metadata.channel_names == small_sample.channel_names
        assert image.metadata.scale == pytest.approx(small_sample.scale)
        if kind == "noisy":
            np.testing.assert_array_equal(
                image.read((1, 0), slice(0, 96), slice(0, 112)), small_sample.noisy[1, 0]
            )
        image.close()
    with Image.open(out / "simulated-timelapse.png") as picture:
        columns, rows = picture.size
    assert columns > 3 * 112
    assert rows > 2 * 96
    assert run(*command).exit_code == 0, "a second demo replaces the first"


def test_demo_leaves_a_folder_of_others_alone(run, tmp_path, tiny_model, small_sample):
    other = tmp_path / "simulated-timelapse.denoised.ome.zarr"
    other.mkdir()
    (other / "thesis.txt").write_text("precious")
    answer = run("demo", "--out", tmp_path, "--model", tiny_model, "--rate", 0.5, "--device", "cpu")
    assert answer.exit_code == 1
    assert (other / "thesis.txt").read_text() == "precious"


def test_grey_spans_the_truth_and_is_monotonic():
    truth = np.linspace(100, 500, 10_000).reshape(100, 100)
    grey = to_grey(truth, contrast_limits(truth))
    assert (grey.min(), grey.max()) == (0, 255)
    assert (np.diff(grey.ravel().astype(int)) >= 0).all()


def test_a_flat_truth_has_limits():
    low, high = contrast_limits(np.full((8, 8), 3.0))
    assert low < high
    assert to_grey(np.full((8, 8), 3.0), (low, high)).max() == 0
