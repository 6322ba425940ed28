from __future__ import annotations

import sys

import pytest
from typer.testing import CliRunner

from napari_rdpdenoise.cli import app


def export(*arguments):
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def test_without_the_extra_it_says_which(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bioimageio.core", None)
    done = export(tiny_model, tmp_path / "m.zip", "--camera", 4.5, 100, 7.5, "--rate", 0.5)
    assert done.exit_code == 1
    assert "napari-rdpdenoise[bioimageio]" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_wrong_values_are_named(tiny_model, tmp_path):
    done = export(tiny_model, tmp_path / "m.zip", "--camera", 4.5, 100, 0, "--realism", 2)
    assert done.exit_code == 2
    assert "camera: expected a gain" in done.stderr
    assert "realism: " in done.stderr


@pytest.mark.filterwarnings("ignore")
def test_a_package_is_written(tiny_model, tmp_path):
    pytest.importorskip("bioimageio.core", reason="the extra bioimageio is not installed")
    done = export(tiny_model, tmp_path / "m.zip", "--camera", 4.5, 100, 7.5, "--rate", 0.5)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "m.zip")
    assert (tmp_path / "m.zip").is_file()
