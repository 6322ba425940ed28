"""The user's own models: where they lie, which are found, and what stands in a folder."""

from __future__ import annotations

import pytest

from napari_rdpdenoise.codec import load_model
from napari_rdpdenoise.ui.finetune.models import folder_hint, model_name, tuned_folder, tuned_models


def test_finished_models_are_found_by_the_name_of_their_folder(tiny_model, tmp_path, monkeypatch):
    import shutil

    monkeypatch.setenv("RDPDENOISE_MODELS", str(tmp_path / "mine"))
    assert tuned_folder() == tmp_path / "mine"
    assert tuned_models() == {}
    shutil.copytree(tiny_model, tmp_path / "mine" / "b")
    shutil.copytree(tiny_model, tmp_path / "mine" / "a")
    (tmp_path / "mine" / "unfinished" / "training").mkdir(parents=True)
    (tmp_path / "mine" / "broken").mkdir()
    (tmp_path / "mine" / "broken" / "card.yaml").write_text("name: broken")
    found = tuned_models()
    assert list(found) == ["a", "b"]
    assert load_model(str(found["a"]), "cpu").card.name == "tiny"


def test_without_the_variable_they_lie_with_the_users_data(monkeypatch):
    from platformdirs import user_data_path

    monkeypatch.delenv("RDPDENOISE_MODELS")
    assert user_data_path("napari-rdpdenoise", appauthor=False) in tuned_folder().parents


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        ("cells", "cells-pairs"),
        ("a/b: c*", "a-b-c-pairs"),
        ("..", "images-pairs"),
        ("", "images-pairs"),
        ("x" * 90, None),
    ],
)
def test_names_are_names_of_folders(layer, name, tmp_path):
    made = model_name(layer, "pairs")
    assert name is None or made == name
    assert len(made) <= 50
    (tmp_path / made).mkdir()
    assert [path.name for path in tmp_path.iterdir()] == [made]


def test_hints_tell_what_a_start_would_do(tmp_path):
    assert folder_hint(tmp_path / "new") == ""
    (tmp_path / "training").mkdir()
    assert folder_hint(tmp_path) == ""
    (tmp_path / "training" / "run.json").write_text("{}")
    assert "unfinished" in folder_hint(tmp_path)
    (tmp_path / "report.txt").write_text("no")
    assert "no better" in folder_hint(tmp_path)
    (tmp_path / "card.yaml").write_text("x")
    assert "There is a model of this name" in folder_hint(tmp_path)
    (tmp_path / "training" / "run.json").unlink()
    assert "another model" in folder_hint(tmp_path)
