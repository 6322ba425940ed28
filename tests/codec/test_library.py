"""The library of models: shipped and the user's own, by name, by path, by digest; and damaged ones."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import napari_rdpdenoise as rdp
from napari_rdpdenoise.codec import library


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The user's folder of models, not made yet."""
    monkeypatch.setenv("RDPDENOISE_MODELS", str(tmp_path / "mine"))
    return tmp_path / "mine"


def own(models):
    return [model.name for model in models if model.where == "yours"]


def test_finished_models_are_found_by_the_name_of_their_folder(tiny_model, mine):
    assert own(library.list_models()) == []
    shutil.copytree(tiny_model, mine / "b")
    shutil.copytree(tiny_model, mine / "a")
    (mine / "unfinished" / "training").mkdir(parents=True)
    (mine / "a file").write_text("")
    found = rdp.list_models()
    assert own(found) == ["a", "b"]
    assert [model.where for model in found] == sorted(model.where for model in found)  # shipped ones first
    codec = rdp.load_model("a", "cpu")
    assert codec.card.name == "tiny"
    assert codec.digest.hex() == library.find("a").digest == library.model_digest("a")
    assert library.unusable_models() == ()


def test_damaged_folders_do_not_break_the_list_and_say_why(tiny_model, mine):
    shutil.copytree(tiny_model, mine / "good")
    for name in ("no card", "no weights", "newer", "other text"):
        shutil.copytree(tiny_model, mine / name)
    (mine / "no card" / "card.yaml").unlink()
    (mine / "no weights" / "model.safetensors").unlink()
    card = mine / "newer" / "card.yaml"
    card.write_text(card.read_text().replace("format_version: 1", "format_version: 7"))
    (mine / "other text" / "card.yaml").write_bytes(b"\xff\xfe\x00broken")
    assert own(library.list_models()) == ["good"]
    reasons = {bad.name: bad.reason for bad in library.unusable_models()}
    assert list(reasons) == ["newer", "no card", "no weights", "other text"]
    assert "has no card.yaml" in reasons["no card"]
    assert "model.safetensors is missing" in reasons["no weights"]
    assert "needs format 7, this version reads up to 3" in reasons["newer"]
    assert "is not a valid card" in reasons["other text"]
    with pytest.raises(ValueError, match="needs format 7"):
        library.find("newer")


def test_a_shipped_name_means_the_shipped_model(tiny_model, mine, monkeypatch):
    for name in (library.DEFAULT_MODEL, "default", "a"):
        shutil.copytree(tiny_model, mine / name)
    tiny = library.find(mine / "a").digest
    for name in (library.DEFAULT_MODEL, "default"):
        assert library.find(name).where == "shipped"
        assert library.find(name).digest != tiny
        assert library.find(str(mine / name)).digest == tiny
    keys = {model.name: model.key for model in library.list_models() if model.where == "yours"}
    assert keys == {name: str(mine / name) for name in (library.DEFAULT_MODEL, "default")} | {"a": "a"}
    for model in library.list_models():
        assert library.find(model.key) == model


def test_a_path_is_a_model_wherever_it_lies(tiny_model, mine, monkeypatch):
    shutil.copytree(tiny_model, mine / "a")
    assert library.find(tiny_model).where == "elsewhere"
    assert library.find(tiny_model).key == str(tiny_model)
    assert (library.find(mine / "a").where, library.find(mine / "a").key) == ("yours", "a")
    assert library.find(library.MODELS_FOLDER / library.DEFAULT_MODEL).key == library.DEFAULT_MODEL
    monkeypatch.chdir(tiny_model.parent)
    assert library.find(tiny_model.name).folder == tiny_model.resolve()
    monkeypatch.chdir(tiny_model)
    assert library.find(Path()).folder == tiny_model.resolve()


def test_unknown_names_are_refused_with_the_known_ones(tiny_model, mine):
    shutil.copytree(tiny_model, mine / "cells")
    with pytest.raises(FileNotFoundError, match=r"no model 'nothing'; .*fluo-light.* one of yours .*cells"):
        library.find("nothing")
    assert library.model_digest("nothing") == ""


def test_another_digest_is_refused_in_words(tiny_model, mine):
    shutil.copytree(tiny_model, mine / "cells")
    model, other = library.find("cells"), library.find("default")
    for digest in (model.digest, model.card.sha256, model.digest.upper(), None):
        assert library.find("cells", digest) == model
    with pytest.raises(
        ValueError, match=f"expected 'cells' with digest {'0' * 32}, found {model.digest} in .*get the one"
    ):
        library.find("cells", "0" * 64)
    for name, error in (("cells", ValueError), ("/of/another/machine", FileNotFoundError)):
        with pytest.raises(error, match=f"is here as '{other.key}': choose it"):
            library.find(name, other.digest)


def test_the_list_needs_no_torch():
    code = (
        "import sys, napari_rdpdenoise as rdp; from napari_rdpdenoise.codec.library import find\n"
        "assert rdp.list_models() and find('default'); print('torch' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


def test_own_models_are_renamed_and_deleted_and_shipped_ones_stay(tiny_model, mine):
    shutil.copytree(tiny_model, mine / "a")
    shutil.copytree(tiny_model, mine / "b")
    renamed = library.rename_model(library.find("a"), " cells ")
    assert (renamed.name, own(library.list_models())) == ("cells", ["b", "cells"])
    for name, words in (
        ("b", "already"),
        ("default", "already"),
        ("x/y", "name of a folder"),
        (" ", "name of"),
    ):
        with pytest.raises((FileExistsError, ValueError), match=words):
            library.rename_model(renamed, name)
    library.delete_model(library.find("b"))
    assert own(library.list_models()) == ["cells"]
    for change in (library.delete_model, lambda model: library.rename_model(model, "mine")):
        for model in (library.find("default"), library.find(tiny_model)):
            with pytest.raises(ValueError, match="it stays as it is"):
                change(model)
    assert library.find("default").folder.is_dir()
