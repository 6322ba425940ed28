from __future__ import annotations

import re

import numpy as np
import pytest
import tifffile

from napari_rdpdenoise.metrics import affine_match, microssim, psnr, ssim
from napari_rdpdenoise.samples import simulate_timelapse


@pytest.fixture(scope="module")
def sample():
    return simulate_timelapse((2, 64, 72))


@pytest.fixture
def files(sample, tmp_path):
    paths = {name: tmp_path / f"{name}.tif" for name in ("clean", "noisy", "better")}
    better = (sample.clean + (sample.noisy - sample.clean) / 4).astype(np.float32)
    for name, image in (("clean", sample.clean), ("noisy", sample.noisy), ("better", better)):
        tifffile.imwrite(paths[name], image, metadata={"axes": "TYX"})
    return paths


@pytest.fixture
def nothing(tmp_path, monkeypatch):
    """An empty folder of backbones."""
    folder = tmp_path / "backbones"
    folder.mkdir()
    return folder


def row(text, name):
    (line,) = [line for line in text.splitlines() if name in line]
    return re.findall(r"unavailable|-?\d+\.\d+|inf", line.split(name)[1])


def test_figures_are_those_of_the_metrics(run, files, sample, nothing):
    answer = run("metrics", files["better"], files["clean"], "--backbones", nothing)
    assert answer.exit_code == 0, answer.stderr
    better = tifffile.imread(files["better"])
    top = float(sample.clean.max())
    assert float(row(answer.stdout, "PSNR")[0]) == pytest.approx(psnr(better, sample.clean, top), abs=1e-3)
    assert float(row(answer.stdout, "│ SSIM")[0]) == pytest.approx(ssim(better, sample.clean, top), abs=1e-3)
    expected = microssim(better, sample.clean)
    assert float(row(answer.stdout, "MicroSSIM")[0]) == pytest.approx(expected, abs=1e-3)


def test_absent_networks_are_unavailable_with_the_reason(run, files, nothing):
    answer = run("metrics", files["better"], files["clean"], "--backbones", nothing)
    assert row(answer.stdout, "LPIPS") == row(answer.stdout, "DISTS") == ["unavailable"]
    assert "LPIPS: unavailable: the published alexnet weights are not here" in answer.stderr
    assert "DISTS: unavailable: the published vgg16 weights are not here" in answer.stderr


def test_with_the_noisy_image_both_are_scored_on_its_scale(run, files, sample, nothing):
    stretched = files["clean"].with_name("stretched.tif")
    tifffile.imwrite(stretched, (0.3 * sample.clean + 7).astype(np.float32), metadata={"axes": "TYX"})
    answer = run("metrics", files["better"], stretched, "--noisy", files["noisy"], "--backbones", nothing)
    assert answer.exit_code == 0, answer.stderr
    result, noisy = (float(v) for v in row(answer.stdout, "PSNR"))
    truth = affine_match(sample.clean, sample.noisy)
    assert noisy == pytest.approx(psnr(sample.noisy, truth, truth.max()), abs=1e-3)
    assert result > noisy + 10


def test_lpips_with_its_published_network(run, files, data_folder):
    answer = run("metrics", files["better"], files["clean"], "--backbones", data_folder / "weights")
    assert answer.exit_code == 0
    assert 0 < float(row(answer.stdout, "LPIPS")[0]) < 0.5


@pytest.mark.parametrize("wrong", ["shape", "missing", "folder"])
def test_wrong_use(run, files, tmp_path, wrong):
    tifffile.imwrite(tmp_path / "other.tif", np.zeros((2, 50, 72), np.uint16), metadata={"axes": "TYX"})
    image = {"shape": tmp_path / "other.tif", "missing": tmp_path / "none.tif"}.get(wrong, files["better"])
    extra = ("--backbones", tmp_path / "none") if wrong == "folder" else ()
    answer = run("metrics", image, files["clean"], *extra)
    assert answer.exit_code == 2
    assert "expected" in answer.stderr
    assert "Traceback" not in answer.stderr
