from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from napari_rdpdenoise.files import BACKBONES_VARIABLE
from napari_rdpdenoise.metrics import MetricUnavailable, backbones
from napari_rdpdenoise.metrics.backbones import Backbone, load_backbone, tensor_digest

TENSORS = {
    "10.weight": np.arange(6, dtype=np.float32).reshape(3, 2, 1, 1),
    "2.weight": np.ones((2, 1, 1, 1), np.float32),
    "2.bias": np.zeros(2, np.float32),
}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small network in both forms, known under the name "small"."""
    torch = pytest.importorskip("torch")
    folder = tmp_path / "networks"
    folder.mkdir()
    state = {f"features.{k}": torch.from_numpy(v) for k, v in TENSORS.items()}
    torch.save({**state, "classifier.1.weight": torch.ones(3)}, folder / "small.pth")
    np.savez(folder / "small_features.npz", **TENSORS)
    digest = hashlib.sha256((folder / "small.pth").read_bytes()).hexdigest()
    known = Backbone("small.pth", digest[:8], "small_features.npz", tensor_digest(TENSORS))
    monkeypatch.setattr(backbones, "BACKBONES", {"small": known})
    monkeypatch.delenv(BACKBONES_VARIABLE, raising=False)
    return folder


@pytest.mark.parametrize("absent", ["small.pth", "small_features.npz"])
def test_both_forms_give_the_same_tensors(small: Path, absent: str) -> None:
    (small / absent).unlink()
    found = load_backbone("small", small)
    assert found.keys() == TENSORS.keys()
    for key, value in TENSORS.items():
        np.testing.assert_array_equal(found[key], value)


def test_the_environment_names_the_folder(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BACKBONES_VARIABLE, str(small))
    assert load_backbone("small").keys() == TENSORS.keys()


def test_altered_tensors_are_refused(small: Path) -> None:
    np.savez(small / "small_features.npz", **{**TENSORS, "2.bias": np.full(2, 1e-6, np.float32)})
    with pytest.raises(MetricUnavailable, match="does not hold the published tensors"):
        load_backbone("small", small)


def test_an_altered_checkpoint_is_refused(small: Path) -> None:
    (small / "small_features.npz").unlink()
    path = small / "small.pth"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(MetricUnavailable, match="has SHA-256"):
        load_backbone("small", small)


def test_a_damaged_archive_is_refused(small: Path) -> None:
    for content in (b"", b"PK\x03\x04 no archive", b"text"):
        (small / "small_features.npz").write_bytes(content)
        with pytest.raises(MetricUnavailable, match="cannot be read"):
            load_backbone("small", small)


def test_tensors_nobody_vouches_for_are_not_taken(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (small / "small.pth").unlink()
    unknown = Backbone("small.pth", "00", "small_features.npz", None)
    monkeypatch.setattr(backbones, "BACKBONES", {"small": unknown})
    with pytest.raises(MetricUnavailable, match=r"small\.pth"):
        load_backbone("small", small)


def test_a_missing_network_says_what_helps(small: Path, tmp_path: Path) -> None:
    with pytest.raises(
        MetricUnavailable, match=r"put small\.pth from https://.* into .*empty.*RDPDENOISE_BACKBONES"
    ):
        load_backbone("small", tmp_path / "empty")


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="alexnet, squeezenet1_1, vgg16, found 'resnet'"):
        load_backbone("resnet")


def test_the_published_digests_hold_for_the_files_at_hand(data_folder: Path) -> None:
    folder = data_folder / "weights"
    if not folder.is_dir():
        pytest.skip(f"no backbones at {folder}")
    assert len(load_backbone("alexnet", folder)) == 10
    assert len(load_backbone("squeezenet1_1", folder)) == 50


def test_the_digest_sees_key_shape_and_value() -> None:
    base = tensor_digest({"0.weight": np.zeros((2, 3), np.float32)})
    others = [
        {"1.weight": np.zeros((2, 3), np.float32)},
        {"0.weight": np.zeros((3, 2), np.float32)},
        {"0.weight": np.full((2, 3), 1e-9, np.float32)},
    ]
    assert base not in {tensor_digest(o) for o in others}
    assert tensor_digest(dict(reversed(TENSORS.items()))) == tensor_digest(TENSORS)
