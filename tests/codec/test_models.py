"""Models on disk: found by name or folder, refused when they are not what their card says."""

from __future__ import annotations

import hashlib
import shutil

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from napari_rdpdenoise.codec import choose_device, list_models, load_model
from napari_rdpdenoise.codec.card import read_card
from napari_rdpdenoise.codec.library import DEFAULT_MODEL, FORMAT_VERSION


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
    change(folder, format_version=FORMAT_VERSION + 1)
    words = f"needs format {FORMAT_VERSION + 1}, this version reads up to {FORMAT_VERSION}"
    with pytest.raises(ValueError, match=words):
        load_model(folder, "cpu")
    change(folder, format_version=1, colour="red")
    with pytest.raises(ValueError, match="colour"):
        load_model(folder, "cpu")
    (folder / "card.yaml").write_text("{name: [")
    with pytest.raises(ValueError, match="is not a valid card"):
        load_model(folder, "cpu")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        *(
            (name, [-32, 0, 2**40, 10**9, 1.5, "many", None])
            for name in ("quarter_channels", "eighth_channels", "latent_channels", "hyper_channels")
        ),
        ("detail_channels", [-8, 2**40, 12]),
        ("gain_anchors", [-1, 1, 2**40]),
        ("grain_channels", [-1, 2**40]),
        ("encoder_blocks", [[-1, 1], [10**9, 1], [1], [], 3]),
        ("decoder_blocks", [[1, -1], [1, 10**9]]),
        ("planes", [0, 2, 10**9]),
    ],
)
def test_networks_out_of_bounds_are_refused_by_name(folder, name, values):
    network = yaml.safe_load((folder / "card.yaml").read_text())["network"]
    for value in values:
        change(folder, network={**network, name: value})
        with pytest.raises(ValueError, match=rf"card.yaml is not a valid card: (.|\n)*network.{name}"):
            load_model(folder, "cpu")


def test_a_network_that_the_weights_do_not_fit_is_not_built(folder):
    """As large as the card may say: two gigabytes."""
    resource = pytest.importorskip("resource")
    largest = {"quarter_channels": 512, "eighth_channels": 512, "latent_channels": 512, "hyper_channels": 512}
    network = yaml.safe_load((folder / "card.yaml").read_text())["network"]
    change(folder, network={**network, **largest, "encoder_blocks": [16, 16], "decoder_blocks": [16, 16]})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="do not fit the card's network"):
        load_model(folder, "cpu")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


@pytest.mark.parametrize("content", ["", "5", "[]", "name: tiny", "\xff", "[" * 100_000, "#" * 2**21])
def test_damaged_cards_are_refused_by_name(folder, content):
    (folder / "card.yaml").write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match="card"):
        load_model(folder, "cpu")


@pytest.mark.parametrize("kept", [0, 4, 100, 0.5, -1, "other"])
def test_weights_that_are_a_part_or_something_else_are_refused_by_name(folder, kept):
    """With the digest of the card, as whoever makes a model may write it."""
    data = (folder / "model.safetensors").read_bytes()
    size = int(kept * len(data)) if isinstance(kept, float) else kept
    data = b"something else" * 9 if kept == "other" else data[:size]
    (folder / "model.safetensors").write_bytes(data)
    change(folder, sha256=hashlib.sha256(data).hexdigest())
    with pytest.raises(
        ValueError, match=r"expected weights in .*model.safetensors, found another file or a part"
    ):
        load_model(folder, "cpu")


def test_weights_that_are_no_numbers_are_refused(folder):
    tensors = load_file(folder / "model.safetensors")
    name = next(iter(tensors))
    tensors[name].view(-1)[0] = float("nan")
    save_file(tensors, folder / "model.safetensors")
    change(folder, sha256=hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest())
    with pytest.raises(ValueError, match=f"found NaN or infinity in {name}"):
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
