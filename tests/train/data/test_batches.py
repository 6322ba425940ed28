"""Training data: seeded batches in network units, and held-out images that never change."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import torch
from skimage.io import imsave

from napari_rdpdenoise.train.data.batches import TrainingData
from napari_rdpdenoise.train.data.images import read_plane
from napari_rdpdenoise.train.settings import SourceSettings


@pytest.fixture(scope="module")
def data(settings, folder) -> TrainingData:
    return TrainingData(settings, folder)


def with_sources(settings, *sources):
    return settings.model_copy(update={"sources": tuple(SourceSettings(**s) for s in sources)})


def test_batches_are_seeded_by_their_step(settings, folder, data):
    again = TrainingData(settings, folder).batch(3)
    batch = data.batch(3)
    for name in ("noisy", "target", "weight"):
        tensor = getattr(batch, name)
        assert tensor.shape == (2, 1, 64, 64)
        assert tensor.dtype == torch.float32
        assert torch.isfinite(tensor).all()
        assert torch.equal(tensor, getattr(again, name))
    assert not torch.equal(batch.noisy, data.batch(4).noisy)


def test_the_worker_gives_the_same_batches(data):
    batches = data.batches(2)
    for step in (2, 3):
        assert torch.equal(next(batches).noisy, data.batch(step).noisy)
    batches.close()


def test_targets_differ_from_inputs_by_unit_noise(data):
    """0.25 network units rms; a stretched or mismatched sample may be off, the median may not."""
    found = [float((b.noisy - b.target).std() * 4) for b in (data.batch(k) for k in range(40))]
    assert 0.8 < np.median(found) < 1.25
    assert max(found) < 4


def test_weights_are_positive_and_mostly_one(data):
    weights = torch.stack([data.batch(k).weight for k in range(20)])
    assert (weights > 0).all()
    assert 0.6 < float(weights.mean()) < 1.4


def test_validation_images_never_change_and_are_never_trained_on(settings, folder, data):
    one, other = data.validation(), TrainingData(settings, folder).validation()
    assert [v.source for v in one] == ["clean", "noisy", "noisy"]
    for a, b in zip(one, other, strict=True):
        assert np.array_equal(a.noisy, b.noisy)
        assert np.array_equal(a.clean, b.clean)
        assert a.normalization == b.normalization
    assert [len(source) for source in data._sources] == [4, 3]


def test_clean_partners_are_put_on_the_noisy_scale(data):
    pair = data.validation()[1]
    assert pair.clean.mean() == pytest.approx(pair.noisy.mean(), rel=1e-3)
    slope = np.polyfit(pair.clean.ravel(), pair.noisy.ravel(), 1)[0]
    assert slope == pytest.approx(1.0, abs=1e-3)


def test_images_of_any_kind_become_planes(tmp_path):
    colour = np.full((5, 6, 3), (10, 20, 60), np.uint8)
    imsave(tmp_path / "colour.png", colour, check_contrast=False)
    assert read_plane(tmp_path / "colour.png").tolist() == np.full((5, 6), 30.0).tolist()
    stack = np.arange(60, dtype=np.uint16).reshape(2, 5, 6)
    tifffile.imwrite(tmp_path / "stack.tif", stack, imagej=True, metadata={"axes": "TYX"})
    assert read_plane(tmp_path / "stack.tif").shape == (5, 6)


def test_images_smaller_than_the_crop_are_padded(settings, tmp_path):
    (tmp_path / "small").mkdir()
    image = (np.random.default_rng(0).random((20, 30)) * 255).astype(np.uint8)
    imsave(tmp_path / "small" / "a.png", image, check_contrast=False)
    data = TrainingData(with_sources(settings, {"kind": "clean", "folder": "small"}), tmp_path)
    assert data.batch(0).noisy.shape == (2, 1, 64, 64)
    assert data.validation() == []


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ({"kind": "clean", "folder": "nowhere"}, FileNotFoundError, "no folder .*nowhere; check --data"),
        ({"kind": "clean", "folder": "."}, FileNotFoundError, "holds no image"),
        ({"kind": "clean", "folder": "clean", "hold_out": ("a",)}, ValueError, "nothing of clean is left"),
        (
            {"kind": "pairs", "folder": "noisy", "clean_folder": "missing"},
            FileNotFoundError,
            "no image named a0, the partner of",
        ),
    ],
)
def test_wrong_sources_are_refused(settings, folder, source, error, message):
    with pytest.raises(error, match=message):
        TrainingData(with_sources(settings, source), folder)


def test_pairs_of_other_shapes_are_refused(settings, folder, tmp_path):
    for name, shape in (("n", (32, 32)), ("c", (32, 33))):
        (tmp_path / name).mkdir()
        imsave(tmp_path / name / "a.png", np.eye(*shape, dtype=np.uint8), check_contrast=False)
    source = {"kind": "pairs", "folder": "n", "clean_folder": "c"}
    with pytest.raises(ValueError, match=r"pair a\.png: noisy is \(32, 32\), clean \(32, 33\)"):
        TrainingData(with_sources(settings, source), tmp_path)
