from __future__ import annotations

import hashlib
import io
import re

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from napari_rdpdenoise.metrics import MetricUnavailable, affine_match, microssim, psnr, ssim
from napari_rdpdenoise.metrics.backbones import Backbone
from napari_rdpdenoise.samples import simulate_timelapse
from tests.support.exposures import GAIN, OFFSET, corrected, light


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
    """An empty folder of networks."""
    folder = tmp_path / "backbones"
    folder.mkdir()
    return folder


def row(text, name):
    (line,) = [line for line in text.splitlines() if name in line]
    return re.findall(r"unavailable|-?\d+\.\d+|inf", line.split(name)[1])


def test_figures_are_those_of_the_metrics(run, files, sample, nothing):
    answer = run("metrics", files["better"], files["clean"], "--networks", nothing)
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


def found(text):
    """The cells of the table of checks, by check."""
    rows = (line.strip("│").split("│") for line in text.splitlines() if line.startswith("│"))
    return {cells[0].strip(): cells[1].strip() for cells in rows}


def test_without_a_reference_the_checks_are_those_of_the_dock(run, files, sample, tmp_path):
    """Fault: what the dock says of a result without a reference could not be had without the dock."""
    from napari_rdpdenoise.io import open_image
    from napari_rdpdenoise.metrics.words import judge_residual
    from napari_rdpdenoise.stream.prepare import measure_channel
    from napari_rdpdenoise.stream.sample import sample_windows

    better = tifffile.imread(files["better"])
    tifffile.imwrite(tmp_path / "noisy plane.tif", sample.noisy[0], metadata={"axes": "YX"})
    tifffile.imwrite(tmp_path / "plane.tif", better[0], metadata={"axes": "YX"})
    answer = run("metrics", tmp_path / "plane.tif", "--input", tmp_path / "noisy plane.tif")
    assert answer.exit_code == 0, answer.stderr
    noise = measure_channel(sample_windows(open_image(sample.noisy[0]))).noise
    done = np.ones(better[0].shape, bool)
    marks = {True: "ok:", False: "!"}
    checks = judge_residual(sample.noisy[0], better[0], noise, done).checks  # as the dock's verdict asks
    dock = {check.name: f"{marks[check.fine]} {check.text}" for check in checks}
    assert len(dock) == 4
    assert found(answer.stdout) == dock
    for text in dock.values():  # fault: no result where the output's encoding has no tick
        text.encode("cp1252")


def test_every_channel_is_checked_with_its_own_noise(run, sample, tmp_path):
    clean = np.stack([sample.clean, 3 * sample.clean], axis=1)
    noisy = np.stack([sample.noisy, 3 * sample.noisy], axis=1).astype(np.float32)
    for name, image in (("noisy", noisy), ("clean", clean.astype(np.float32))):
        tifffile.imwrite(tmp_path / f"{name}.ome.tif", image, metadata={"axes": "TCYX"})
    answer = run("metrics", tmp_path / "clean.ome.tif", "--input", tmp_path / "noisy.ome.tif")
    assert answer.exit_code == 0, answer.stderr
    assert "channel 0" in answer.stdout
    assert "channel 1" in answer.stdout
    assert answer.stdout.count("of the expected noise was removed") == 2


def test_every_plane_is_checked_with_its_own_noise(run, tmp_path):
    noisy, truth = corrected(shape=(256, 256)), OFFSET + GAIN * light((256, 256))
    clean = np.broadcast_to(truth, noisy.shape).astype(np.float32)
    for name, image in (("noisy", noisy), ("clean", clean)):
        tifffile.imwrite(tmp_path / f"{name}.ome.tif", image, metadata={"axes": "TYX"})
    answer = run("metrics", tmp_path / "clean.ome.tif", "--input", tmp_path / "noisy.ome.tif")
    assert answer.exit_code == 0, answer.stderr
    assert all(text.startswith("ok:") for text in found(answer.stdout).values())


def test_a_result_alone_is_wrong_use(run, files):
    answer = run("metrics", files["better"])
    assert answer.exit_code == 2
    assert "REFERENCE: expected a clean image, or the noisy one as --input, found neither" in answer.stderr


def test_measuring_needs_no_word_but_can_have_one(run, files, nothing):
    short = run("metrics", files["better"], files["clean"], "--networks", nothing)
    long = run("metrics", "measure", files["better"], files["clean"], "--networks", nothing)
    assert (short.exit_code, short.stdout) == (0, long.stdout)
    first = run("metrics", "--networks", nothing, files["better"], files["clean"])  # options may come first
    assert first.stdout == long.stdout
    answer = run("metrics", "--help")
    assert answer.exit_code == 0
    assert "measure" in answer.stdout
    assert "fetch" in answer.stdout


@pytest.fixture
def server(monkeypatch):
    """Every network is a small file of its name, given by a server in the test; what was asked for."""
    from napari_rdpdenoise.metrics import backbones, download

    asked = []
    for name, known in list(backbones.BACKBONES.items()):
        digest = hashlib.sha256(known.checkpoint.encode()).hexdigest()
        small = Backbone(known.checkpoint, digest, known.bare, None, known.large)
        monkeypatch.setitem(backbones.BACKBONES, name, small)

    def answer(url):
        asked.append(url.rpartition("/")[2])
        content = io.BytesIO(asked[-1].encode())
        content.headers = {}
        return content

    monkeypatch.setattr(download, "_open", answer)
    return asked


def test_networks_are_fetched_with_consent_and_the_large_one_on_request(run, server, nothing):
    from napari_rdpdenoise.cli import app

    refused = CliRunner().invoke(app, ["metrics", "fetch", "--networks", str(nothing)], input="n\n")
    assert refused.exit_code == 0
    assert server == []
    for words in ("238 MiB", "ImageNet", str(nothing), "nothing was downloaded"):
        assert words in refused.stderr
    answer = run("metrics", "fetch", "--yes", "--networks", nothing)
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout.strip() == str(nothing)
    assert server == ["alexnet-owt-7be5be79.pth", "squeezenet1_1-b8a52dc0.pth"]
    assert sorted(path.name for path in nothing.iterdir()) == server
    assert "528 MiB" not in answer.stderr


def test_the_networks_go_where_they_are_looked_for(run, server, nothing, monkeypatch):
    monkeypatch.setenv("RDPDENOISE_BACKBONES", str(nothing))
    monkeypatch.setattr("napari_rdpdenoise.metrics.download.load_backbone", absent_unless(nothing))
    answer = run("metrics", "fetch", "--large", "--yes")
    assert answer.exit_code == 0, answer.stderr
    assert len(server) == len(list(nothing.iterdir())) == 3
    again = run("metrics", "fetch", "--large", "--yes")
    assert "all here" in again.stderr
    assert len(server) == 3


def absent_unless(folder):
    from napari_rdpdenoise.metrics.backbones import BACKBONES

    def load(name, _):
        if not (folder / BACKBONES[name].checkpoint).is_file():
            raise MetricUnavailable("not here")

    return load
