"""Models on disk: found by name or folder, refused when they are not what their card says."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
import yaml

from napari_rdpdenoise.codec import choose_device, list_models, load_model
from napari_rdpdenoise.codec.card import read_card
from napari_rdpdenoise.codec.library import DEFAULT_MODEL


@pytest.fixture
def folder(tiny_model, tmp_path):
    return shutil.copytree(tiny_model, tmp_path / "model")


def change(folder, **fields):
    path = folder / "card.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **fields}))


def test_the_default_model_is_shipped_and_small():
    assert DEFAULT_MODEL in [model.card.name for model in list_models()]
    codec = load_model("default", "cpu")
    assert codec.card.name == DEFAULT_MODEL
    assert codec.card.training
    assert codec.card.measured
    tile = np.random.default_rng(0).poisson(40, (64, 64)).astype(np.uint16)
    from napari_rdpdenoise.codec import fit_normalization
    from napari_rdpdenoise.noise import NoiseModel

    norm = fit_normalization([tile], NoiseModel(1.0, 0.0, 0.3))
    (decoded,) = codec.decode(codec.encode([tile], norm, 0.3))
    assert decoded["fidelity"].std() < 0.5 * tile.std()  # it denoises


def test_a_folder_is_a_model(folder):
    codec = load_model(folder, "cpu")
    assert codec.card.name == "tiny"
    assert load_model(str(folder), "cpu").digest == codec.digest
    assert codec.decoders == ("fidelity",)
    assert codec.card.network.decoders == ("fidelity",)


def test_unknown_models_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no model 'nothing'; expected one of the shipped ones"):
        load_model("nothing", "cpu")
    with pytest.raises(FileNotFoundError, match=r"card\.yaml"):
        read_card(tmp_path)


def test_missing_or_replaced_weights_are_refused(folder):
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:-1] + b"\0\1")
    with pytest.raises(ValueError, match="is not the file its card describes"):
        load_model(folder, "cpu")
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors is missing"):
        load_model(folder, "cpu")


def test_newer_and_wrong_cards_are_refused(folder):
    change(folder, format_version=3)
    with pytest.raises(ValueError, match="needs format 3, this version reads up to 2"):
        load_model(folder, "cpu")
    change(folder, format_version=1, colour="red")
    with pytest.raises(ValueError, match="colour"):
        load_model(folder, "cpu")
    (folder / "card.yaml").write_text("{name: [")
    with pytest.raises(ValueError, match="is not a valid card"):
        load_model(folder, "cpu")


def test_a_card_of_another_network_is_refused(folder):
    change(
        folder, network={**yaml.safe_load((folder / "card.yaml").read_text())["network"], "gain_anchors": 9}
    )
    with pytest.raises(ValueError, match="do not fit the card's network"):
        load_model(folder, "cpu")


def test_devices_are_resolved_or_refused(monkeypatch):
    assert choose_device("cpu") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == "cpu"
    for device in ("cuda", "mps", "tpu"):
        with pytest.raises(ValueError, match=f"device: '{device}' is not available here, found cpu"):
            choose_device(device)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == "cuda"
