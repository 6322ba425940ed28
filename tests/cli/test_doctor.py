from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest

from napari_rdpdenoise.cli import checks
from napari_rdpdenoise.cli.checks import Check
from napari_rdpdenoise.codec import library


@pytest.fixture
def shipped(tmp_path, tiny_model, monkeypatch):
    folder = tmp_path / "models"
    shutil.copytree(tiny_model, folder / "tiny")
    monkeypatch.setattr(library, "MODELS_FOLDER", folder)
    monkeypatch.setattr(library, "DEFAULT_MODEL", "tiny")
    return folder


def test_a_working_machine(run, shipped, tmp_path, monkeypatch):
    monkeypatch.setenv("RDPDENOISE_BACKBONES", str(tmp_path))
    answer = run("doctor")
    assert answer.exit_code == 0, answer.stdout + answer.stderr
    for words in ("python", "numpy", "zarr", "torch", "torchvision", "compressai", "napari", "model tiny"):
        assert words in answer.stdout
    assert "BROKEN" not in answer.stdout
    assert "everything that is needed works" in answer.stderr


def test_a_damaged_model_is_broken_with_a_remedy(run, shipped):
    weights = shipped / "tiny" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    answer = run("doctor")
    assert answer.exit_code == 1
    assert "BROKEN" in answer.stdout
    assert "model tiny: install the package again" in answer.stdout


def test_notes_do_not_fail(run, monkeypatch):
    found = [Check("a", "ok", "1"), Check("b", "note", "absent", "get it")]
    monkeypatch.setattr(checks, "all_checks", lambda: iter(found))
    answer = run("doctor")
    assert answer.exit_code == 0
    assert "b: get it" in answer.stdout


@pytest.mark.parametrize(
    ("torch", "torchvision", "wanted", "state"),
    [
        ("2.6.0", "0.21.0", "2.6.0", "ok"),
        ("2.6.0+cpu", "0.21.0+cpu", "2.6.0", "ok"),
        ("2.6.0+cpu", "0.21.0", "2.6.0", "ok"),  # only the import can tell; check_codec_import does
        ("2.7.0", "0.21.0", "2.6.0", "broken"),
        ("2.6.0+cpu", "0.21.0+cu124", "2.6.0", "broken"),
        ("2.6.0", None, None, "broken"),
        (None, "0.21.0", "2.6.0", "broken"),
    ],
)
def test_pair(torch, torchvision, wanted, state):
    found = checks.check_pair(torch, torchvision, wanted)
    assert found.state == state
    assert ("pip install" in found.remedy) == (state == "broken")


def test_cpu_torch_beside_cuda_torchvision_is_explained():
    found = checks.explain_import(RuntimeError("operator torchvision::nms does not exist"))
    assert found.state == "broken"
    assert "CPU-only torch" in found.found
    assert "--index-url" in found.remedy


def test_other_import_errors_are_shown():
    found = checks.explain_import(ImportError("libcudart.so.12"))
    assert (found.state, "libcudart.so.12" in found.found) == ("broken", True)


@pytest.mark.parametrize(
    ("version", "state"),
    [((3, 11, 0), "ok"), ((3, 12, 9), "ok"), ((3, 13, 0), "broken"), ((3, 10, 1), "broken")],
)
def test_python(version, state):
    assert checks.check_python(version).state == state


@pytest.mark.parametrize(
    ("environment", "xvfb", "state"),
    [
        ({"DISPLAY": ":0"}, None, "ok"),
        ({"WAYLAND_DISPLAY": "w"}, None, "ok"),
        ({}, "/Xvfb", "ok"),
        ({}, None, "note"),
    ],
)
def test_display(monkeypatch, environment, xvfb, state):
    monkeypatch.setattr(checks.shutil, "which", lambda _: xvfb)
    assert checks.check_display("linux", environment).state == state
    assert checks.check_display("darwin", {}).state == "ok"


def devices(cuda=False, built=None):
    gpu = SimpleNamespace(name="Big GPU", total_memory=2**35)
    return SimpleNamespace(
        get_num_threads=lambda: 2,
        cuda=SimpleNamespace(is_available=lambda: cuda, get_device_properties=lambda _: gpu),
        version=SimpleNamespace(cuda=built),
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: False)),
    )


@pytest.mark.parametrize(
    ("torch", "driver", "state", "words"),
    [
        (devices(), None, "ok", "the CPU is used"),
        (devices(), "/nvidia-smi", "note", "CPU-only build"),
        (devices(built="12.4"), "/nvidia-smi", "note", "cannot use it"),
        (devices(cuda=True, built="12.4"), "/nvidia-smi", "ok", "Big GPU, 32 GiB, CUDA 12.4"),
    ],
)
def test_devices(monkeypatch, torch, driver, state, words):
    monkeypatch.setattr(checks.shutil, "which", lambda _: driver)
    found = {check.name: check for check in checks.check_devices(torch)}
    assert found["cuda"].state == state
    assert words in found["cuda"].found
    assert bool(found["cuda"].remedy) == (state == "note")


def test_it_tells_which_precision_auto_takes(monkeypatch):
    import torch

    monkeypatch.delenv("RDPDENOISE_PRECISION")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    for amx, expected in ((True, "bfloat16 on cpu"), (False, "float32 on cpu")):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda amx=amx: amx)
        found = checks.check_precision()
        assert (found.name, found.state) == ("precision", "ok")
        assert found.found.endswith(expected)


def test_a_cache_that_cannot_be_written_is_a_note(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("RDPDENOISE_CACHE", str(tmp_path / "file" / "cache"))
    found = checks.check_cache()
    assert found.state == "note"
    assert "RDPDENOISE_CACHE" in found.remedy


def test_the_probe_of_the_cache_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("RDPDENOISE_CACHE", str(tmp_path / "cache"))
    assert checks.check_cache().state == "ok"
    assert list((tmp_path / "cache").iterdir()) == []


def test_missing_packages(monkeypatch):
    monkeypatch.setattr(checks, "_version", lambda name: None if name == "compressai" else "1.0")
    found = {check.name: check for check in checks.check_packages()}
    assert found["compressai"].state == "broken"
    assert found["compressai"].remedy == "pip install compressai"
    assert found["numpy"].state == "ok"
