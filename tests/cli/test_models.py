from __future__ import annotations

import shutil

import pytest

from napari_rdpdenoise.codec import models as pretrained


@pytest.fixture
def shipped(tmp_path, tiny_model, monkeypatch):
    """A models folder with the tiny model in it."""
    folder = tmp_path / "models"
    shutil.copytree(tiny_model, folder / "tiny")
    monkeypatch.setattr(pretrained, "MODELS_FOLDER", folder)
    monkeypatch.setattr(pretrained, "DEFAULT_MODEL", "tiny")
    return folder


def test_models(run, shipped):
    answer = run("models")
    assert answer.exit_code == 0, answer.stderr
    (card,) = pretrained.list_models()
    for words in ("tiny (default)", "random weights, for tests", "BSD-3-Clause", card.sha256, "no realism"):
        assert words in answer.stdout


def test_no_model_is_a_failure(run, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "MODELS_FOLDER", tmp_path)
    answer = run("models")
    assert answer.exit_code == 1
    assert "no model is shipped" in answer.stderr
