from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
import yaml

from napari_rdpdenoise.codec import load_model

CONFIG = {
    "name": "mine",
    "network": {
        "quarter_channels": 32, "eighth_channels": 32, "latent_channels": 16, "hyper_channels": 16,
        "encoder_blocks": [1, 1], "decoder_blocks": [1, 1],
    },
    "sources": [{"kind": "clean", "folder": "cells", "hold_out": ["b"]}],
    "stages": [{"kind": "high-rate", "steps": 3}], "batch": 2, "crop": 64, "validate_every": 2, "threads": 1,
}  # fmt: skip


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "train.yaml"
    path.write_text(yaml.safe_dump(CONFIG))
    return path


@pytest.fixture
def images(tmp_path):
    y, x = np.mgrid[:96, :96]
    (tmp_path / "data" / "cells").mkdir(parents=True)
    for name, phase in (("a", 0), ("b", 1)):
        wave = 1000 + 900 * np.sin(x / 5 + phase) * np.cos(y / 7)
        tifffile.imwrite(tmp_path / "data" / "cells" / f"{name}.tif", wave.astype(np.uint16))
    return tmp_path / "data"


@pytest.fixture
def train(run, config, images, tmp_path):
    out = tmp_path / "out"
    return lambda *more: run("train", config, "--data", images, "--out", out, "--device", "cpu", *more)


def test_ends_with_a_model_that_loads_and_goes_on_where_it_was(train, tmp_path):
    first = train("--steps", 2)
    assert first.exit_code == 0, first.stderr
    out = tmp_path / "out"
    assert first.stdout.strip() == str(out)
    card = yaml.safe_load((out / "card.yaml").read_text())
    assert card["training"]["steps"] == {"1-high-rate": 2}
    assert card["training"]["images"] == [{"kind": "clean", "folder": "cells", "hold_out": ["b"]}]
    assert any("psnr" in name for name in card["measured"]["held-out training images"])
    codec = load_model(out, "cpu")
    assert codec.card.name == "mine"

    card.update(description="cells of mine", licence="CC0-1.0", limitations=["one microscope"])
    (out / "card.yaml").write_text(yaml.safe_dump(card))
    second = train()
    assert second.exit_code == 0, second.stderr
    steps = [json.loads(line)["step"] for line in (out / "training.jsonl").read_text().splitlines()]
    assert steps == [2, 3]
    kept = load_model(out, "cpu").card
    assert kept.training["steps"] == {"1-high-rate": 3}
    assert (kept.description, kept.licence, kept.limitations) == (
        "cells of mine",
        "CC0-1.0",
        ("one microscope",),
    )
    assert kept.sha256 != codec.card.sha256
    assert "1-high-rate 3 of 3" in second.stderr


def test_interrupted_leaves_a_model_too(train, tmp_path, monkeypatch):
    from napari_rdpdenoise.train.stages.fidelity import FidelityLoop

    real = FidelityLoop.train_step

    def step(self, batch):
        if self.step == 1:
            raise KeyboardInterrupt
        return real(self, batch)

    monkeypatch.setattr(FidelityLoop, "train_step", step)
    answer = train()
    assert answer.exit_code == 130, answer.stderr
    assert load_model(tmp_path / "out", "cpu").card.training["steps"] == {"1-high-rate": 1}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stages": [{"kind": "high-rate", "steps": 0}]}, "steps"),
        ({"stages": []}, "stages"),
        ({"stepz": 3}, "stepz"),
        ({"sources": [{"kind": "clean", "folder": "nothing"}]}, "nothing"),
        ("a: [", "not valid YAML"),
        ("", "CONFIG"),
    ],
)
def test_wrong_configs(train, config, tmp_path, change, words):
    config.write_text(change if isinstance(change, str) else yaml.safe_dump({**CONFIG, **change}))
    answer = train()
    assert answer.exit_code == 2, answer.stderr
    assert words in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not (tmp_path / "out").exists()


def test_missing_paths(run, config, images, tmp_path):
    assert run("train", tmp_path / "no.yaml", "--data", images, "--out", tmp_path / "o").exit_code == 2
    answer = run("train", config, "--data", tmp_path / "no", "--out", tmp_path / "o")
    assert answer.exit_code == 2
    assert "--data" in answer.stderr
    assert run("train", config).exit_code == 2


def test_a_checkpoint_of_other_settings_is_wrong_use(train, config):
    assert train("--steps", 1).exit_code == 0
    config.write_text(yaml.safe_dump({**CONFIG, "crop": 32}))
    answer = train()
    assert answer.exit_code == 2
    assert "--out" in answer.stderr
