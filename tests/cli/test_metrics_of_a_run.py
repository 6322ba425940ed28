"""`metrics --bound` and `metrics --idempotence`, on a result with its job file."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_rdpdenoise.jobs.record import read_report, record_path
from napari_rdpdenoise.metrics import affine_match, noise_distance
from napari_rdpdenoise.samples import simulate_timelapse
from napari_rdpdenoise.theory import error_bound


@pytest.fixture(scope="module")
def sample():
    return simulate_timelapse((2, 64, 72))


@pytest.fixture
def result(sample, tmp_path, denoise):
    paths = [tmp_path / "noisy.tif", tmp_path / "clean.tif", tmp_path / "result.ome.tif"]
    for path, image in zip(paths, (sample.noisy, sample.clean), strict=False):
        tifffile.imwrite(path, image, metadata={"axes": "TYX"})
    answer = denoise(paths[0], paths[2])
    assert answer.exit_code == 0, answer.stderr
    return paths[2]


def cells(text, name):
    (line,) = [line for line in text.splitlines() if name in line and line.startswith("│")]
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_errors_stand_beside_the_bound_of_the_bits_that_were_spent(run, result, sample):
    noisy, clean = result.with_name("noisy.tif"), result.with_name("clean.tif")
    answer = run("metrics", result, clean, "--input", noisy, "--bound")
    assert answer.exit_code == 0, answer.stderr
    report = read_report(record_path(result))
    truth, noise = affine_match(sample.clean, sample.noisy), report.channels[0].noise
    expected = [
        noise_distance(tifffile.imread(result), truth, noise),
        noise_distance(sample.noisy, truth, noise, noisy=True),
        error_bound(report.bpp * truth.size, truth.size),
    ]
    row = cells(answer.stdout, "bits per pixel")
    assert row[0] == f"{report.bpp:.3f} bits per pixel"
    assert [float(cell) for cell in row[1:]] == pytest.approx(expected, abs=6e-4)
    assert "It is no bound for a network." in answer.stdout
    assert "PSNR" in answer.stdout  # beside the scores, not in their place


def test_idempotence_takes_the_noisy_image_of_the_job_file(run, result):
    answer = run("metrics", result, "--idempotence")
    assert answer.exit_code == 0, answer.stderr
    row = cells(answer.stdout, result.name)
    assert 0 < float(row[1].rstrip("%")) <= float(row[2].rstrip("%")) <= 100
    assert float(row[3]) > 0
    moved = result.with_name("moved.tif")
    result.with_name("noisy.tif").rename(moved)
    gone = run("metrics", result, "--idempotence")
    assert gone.exit_code == 2
    assert "noisy.tif" in gone.stderr
    given = run("metrics", result, "--idempotence", "--input", moved)
    assert cells(given.stdout, result.name) == row
    assert "whiteness" not in given.stdout


def test_channels_are_told_one_by_one(run, denoise, sample, tmp_path):
    noisy, result = tmp_path / "noisy.ome.tif", tmp_path / "result.ome.zarr"
    image = np.stack([sample.noisy, sample.noisy // 2], axis=1)
    tifffile.imwrite(noisy, image, metadata={"axes": "TCYX"})
    tifffile.imwrite(
        tmp_path / "clean.ome.tif",
        np.stack([sample.clean, sample.clean / 2], axis=1).astype(np.float32),
        metadata={"axes": "TCYX"},
    )
    assert denoise(noisy, result).exit_code == 0
    answer = run("metrics", result, tmp_path / "clean.ome.tif", "--input", noisy, "--bound", "--idempotence")
    assert answer.exit_code == 0, answer.stderr
    for number in (0, 1):
        assert cells(answer.stdout, f"channel {number}: ")
        assert len(cells(answer.stdout, f"channel {number}  ")) == 4
    denoise(noisy, result, "--channels", "1", "--overwrite")
    chosen = run("metrics", result, "--idempotence")
    assert chosen.exit_code == 0, chosen.stderr


@pytest.mark.parametrize("option", ["--bound", "--idempotence"])
def test_without_a_job_file_it_says_what_is_missing(run, result, option):
    record_path(result).unlink()
    noisy, clean = result.with_name("noisy.tif"), result.with_name("clean.tif")
    answer = run("metrics", result, clean, "--input", noisy, option)
    assert answer.exit_code != 0
    assert (
        f"{option}: expected the job file that `denoise` writes beside a result, found none" in answer.stderr
    )
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(("extra", "missing"), [((), "no REFERENCE"), (("clean.tif",), "no --input")])
def test_the_bound_needs_both_images(run, result, extra, missing):
    answer = run("metrics", result, *(result.with_name(name) for name in extra), "--bound")
    assert answer.exit_code == 2
    assert missing in answer.stderr
