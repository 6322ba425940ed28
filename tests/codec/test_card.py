"""Cards: written whole, for the weights that lie beside them."""

from __future__ import annotations

import hashlib

import pytest

from napari_rdpdenoise.codec.card import read_card, write_card
from napari_rdpdenoise.nn.config import NetworkConfig

FIELDS = {"name": "mine", "description": "of a test", "licence": "none", "network": NetworkConfig()}


def test_a_card_names_its_weights_the_day_and_the_software(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    written = write_card(tmp_path, {"steps": 3}, **FIELDS)
    assert read_card(tmp_path) == written
    assert written.sha256 == hashlib.sha256(b"weights").hexdigest()
    assert written.training["steps"] == 3
    assert set(written.training["software"]) == {"napari-rdpdenoise", "torch"}
    assert len(written.training["finished"]) == len("2026-01-31")


def test_a_card_that_is_not_as_described_leaves_the_old_one(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    written = write_card(tmp_path, {}, **FIELDS)
    with pytest.raises(ValueError, match="colour"):
        write_card(tmp_path, {}, **FIELDS, colour="red")
    assert read_card(tmp_path) == written
    assert sorted(path.name for path in tmp_path.iterdir()) == ["card.yaml", "model.safetensors"]


def test_a_card_needs_weights(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        write_card(tmp_path, {}, **FIELDS)
