from __future__ import annotations

import shutil

import pytest

from napari_rdpdenoise.codec import library


@pytest.fixture
def shipped(tmp_path, tiny_model, monkeypatch):
    """A models folder with the tiny model in it."""
    folder = tmp_path / "models"
    shutil.copytree(tiny_model, folder / "tiny")
    monkeypatch.setattr(library, "MODELS_FOLDER", folder)
    monkeypatch.setattr(library, "DEFAULT_MODEL", "tiny")
    return folder


def test_models(run, shipped):
    answer = run("models")
    assert answer.exit_code == 0, answer.stderr
    (model,) = library.list_models()
    for words in (
        "tiny (default)",
        "random weights, for tests",
        "BSD-3-Clause",
        model.card.sha256,
        "no realism",
        "decoders",
    ):
        assert words in answer.stdout


def test_the_default_of_pictures_in_colour_is_told(run, shipped, tiny_model, tmp_path, monkeypatch):
    monkeypatch.setenv("RDPDENOISE_MODELS", str(tmp_path / "mine"))
    shutil.copytree(tiny_model, tmp_path / "mine" / library.COLOUR_MODEL)
    assert f"{library.COLOUR_MODEL} (yours)" in run("models").stdout
    shutil.copytree(tiny_model, shipped / library.COLOUR_MODEL)
    assert f"{library.COLOUR_MODEL} (default for pictures in colour)" in run("models").stdout


def test_no_model_is_a_failure(run, tmp_path, monkeypatch):
    monkeypatch.setattr(library, "MODELS_FOLDER", tmp_path)
    answer = run("models")
    assert answer.exit_code == 1
    assert "no model is shipped" in answer.stderr


def test_a_tuned_model_is_found_by_its_name(run, shipped, tiny_model, tmp_path, monkeypatch, stack):
    monkeypatch.setenv("RDPDENOISE_MODELS", str(tmp_path / "mine"))
    shutil.copytree(tiny_model, tmp_path / "mine" / "cells-pairs")
    shutil.copytree(tiny_model, tmp_path / "mine" / "tiny")
    (tmp_path / "mine" / "broken").mkdir()
    (tmp_path / "mine" / "broken" / "card.yaml").write_text("name: broken")
    answer = run("models")
    assert answer.exit_code == 0, answer.stderr
    assert "cells-pairs (yours)" in answer.stdout
    assert f"{tmp_path / 'mine' / 'tiny'} (the name alone is a shipped model)" in answer.stdout
    assert "broken (yours) cannot be used" in answer.stderr
    assert str(tmp_path / "mine") in answer.stderr
    out = tmp_path / "out.ome.tif"
    answer = run("denoise", stack, out, "--model", "cells-pairs", "--device", "cpu", "--rate", "0.5")
    assert answer.exit_code == 0, answer.stderr
    assert out.is_file()
