"""Sources: every strategy's crops have the targets it promises."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from skimage.io import imsave

from napari_rdpdenoise.codec import fit_normalization, load_model
from napari_rdpdenoise.codec.card import ModelCard
from napari_rdpdenoise.codec.models import network_tensors
from napari_rdpdenoise.codec.normalization import UNIT
from napari_rdpdenoise.nn.network import RdpNetwork
from napari_rdpdenoise.noise import estimate_noise, stabilize
from napari_rdpdenoise.train.data.batches import TrainingData
from napari_rdpdenoise.train.data.images import image_files, read_plane
from napari_rdpdenoise.train.settings import SourceSettings

IDENTITY = {"kind": "identity", "folder": "clean"}
PAIRS = {"kind": "pairs", "folder": "noisy", "clean_folder": "truth"}
CLEAN = {"kind": "clean", "folder": "clean"}
# Read noise enough for the transform to make all noise 1, and a camera that keeps to its model
FAINT = {
    "photons": (20, 40),
    "read_electrons": (2, 4),
    "mismatch": 0.0,
    "correlated": 0.0,
    "eight_bit": 0.0,
    "excess": 0.0,
}


@pytest.fixture(scope="module")
def opened(settings, folder):
    """Training data of one source."""

    def open_one(root: Path = folder, **source) -> TrainingData:
        return TrainingData(settings.model_copy(update={"sources": (SourceSettings(**source),)}), root)

    return open_one


@pytest.fixture(scope="module")
def teacher(settings, folder) -> Path:
    """A folder with an untrained model, and the noisy images beside it."""
    torch.manual_seed(0)
    root = folder / "taught"
    (root / "model").mkdir(parents=True)
    weights = root / "model" / "model.safetensors"
    save_file(network_tensors(RdpNetwork(settings.network)), weights)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    card = ModelCard(name="t", description="", licence="", sha256=digest, network=settings.network)
    (root / "model" / "card.yaml").write_text(card.model_dump_json(), encoding="utf-8")
    for name in ("noisy", "truth"):
        shutil.copytree(folder / name, root / name)
    return root


def drawn(data, count, size=64):
    return [data._sources[0].draw(size, np.random.default_rng(seed)) for seed in range(count)]


@pytest.mark.parametrize(
    "source",
    [
        {**IDENTITY, "downscale": (1.0, 0.5)},
        {**PAIRS, "min_ms_ssim": 0.5},
        {**CLEAN, "noisy_target": True, "noise": FAINT},
    ],
)
def test_every_strategy_is_seeded_by_the_step(opened, folder, tmp_path, source):
    root = with_little_noise(tmp_path, 2.0) if source["kind"] == "identity" else folder
    one, other = (opened(root, **source).batch(7) for _ in range(2))
    for name in ("noisy", "target", "weight", "tone"):
        assert torch.equal(getattr(one, name), getattr(other, name))
        assert torch.isfinite(getattr(one, name)).all()
    assert not torch.equal(one.noisy, opened(root, **source).batch(8).noisy)


def with_little_noise(root: Path, spread: float) -> Path:
    """A ramp with Poisson-like noise, as a folder ``clean`` with one image."""
    rng = np.random.default_rng(0)
    light = np.tile(np.linspace(100, 30000, 192), (192, 1))
    image = light + spread * np.sqrt(light) * rng.normal(size=light.shape)
    (root / "clean").mkdir(parents=True)
    imsave(root / "clean" / "a.png", image.clip(0).astype(np.uint16), check_contrast=False)
    return root


def test_identity_targets_are_the_inputs_but_for_less_than_the_noise(opened, tmp_path):
    for spread in (0.0, 2.0):
        data = opened(with_little_noise(tmp_path / str(spread), spread), **IDENTITY)
        for step in range(5):
            batch = data.batch(step)
            assert (batch.noisy - batch.target).abs().max() * UNIT < 0.3
            assert batch.target.std() > 0.01


def test_identity_crops_are_scaled_as_their_whole_image_is(opened, tmp_path):
    """By themselves crops have less range: scaled up, their noise would be that of a noisy image."""
    data = opened(with_little_noise(tmp_path, 2.0), **IDENTITY)
    image = read_plane(tmp_path / "clean" / "a.png")
    scale = fit_normalization([image], estimate_noise([image])).scale
    assert scale < 1
    for sample in drawn(data, 5):
        assert sample.scale == scale
        exposure = sample.exposure
        assert fit_normalization([exposure.noisy], exposure.noise).scale > scale
        noisy = data._normalized(sample, np.random.default_rng(0))[0]
        assert np.ptp(noisy) == pytest.approx(
            scale / UNIT * np.ptp(stabilize(exposure.noisy, exposure.noise))
        )


@pytest.mark.parametrize("name", ["a.jpg", "b.JPEG", "c.png"])
def test_pictures_in_colour_are_read_as_their_mean(tmp_path, name):
    rows, columns = np.indices((40, 56))
    picture = np.stack([60 + 2 * rows, 180 - columns, 90 + rows + columns], -1).astype(np.uint8)
    imsave(tmp_path / name, picture, check_contrast=False)
    (file,) = image_files(tmp_path)
    image = read_plane(file)
    assert image.shape == (40, 56)
    assert np.abs(image - picture.mean(-1)).mean() < 2, "as far as JPEG keeps it"


def test_identity_refuses_images_that_look_noisy_unless_averaged(opened, tmp_path):
    root = with_little_noise(tmp_path, 7.0)
    with pytest.raises(ValueError, match="range exceeds 64 standard deviations of their noise, found none"):
        opened(root, **IDENTITY)
    data = opened(root, **IDENTITY, downscale=(1.0, 0.5))
    assert len(data._sources[0]) == 1
    assert data._sources[0]._pairs[0].noisy.shape == (96, 96)


@pytest.mark.parametrize("source", [PAIRS, CLEAN])
def test_filtered_crops_reach_the_threshold_and_unfiltered_ones_do_not(opened, source):
    plain = [s.similarity for s in drawn(opened(**source), 15)]
    least = float(np.median(plain))
    found = [s.similarity for s in drawn(opened(**source, min_ms_ssim=least), 15)]
    assert min(plain) < least <= min(found)


def test_without_a_crop_that_reaches_the_threshold_the_best_is_taken(opened, monkeypatch):
    data = opened(**PAIRS, min_ms_ssim=0.05)
    plain = [s.similarity for s in drawn(data, 15)]
    source = data._sources[0]
    monkeypatch.setattr(source, "settings", source.settings.model_copy(update={"min_ms_ssim": 0.9999}))
    best = [s.similarity for s in drawn(data, 15)]
    assert max(best) < 0.9999
    assert all(b >= p for b, p in zip(best, plain, strict=True))
    assert np.mean(best) > np.mean(plain)


def test_a_threshold_out_of_reach_is_refused_when_the_data_are_loaded(opened):
    message = r"min_ms_ssim: expected crops of noisy that reach 0.9999, found at most 0\.\d+ in 20 crops"
    with pytest.raises(ValueError, match=message):
        opened(**PAIRS, min_ms_ssim=0.9999)


@pytest.mark.parametrize(
    "source", [{"kind": "noisy", "folder": "noisy"}, {"kind": "pairs", "folder": "noisy"}, PAIRS]
)
def test_the_teachers_output_is_the_target(opened, teacher, source):
    data = opened(teacher, **source, teacher="model", hold_out=("a4",))
    codec = load_model(teacher / "model", "cpu")
    outputs = []
    for name in ("a0", "a1", "a2", "a3"):
        noisy = read_plane(teacher / "noisy" / f"{name}.tif")
        normalization = fit_normalization([noisy], estimate_noise([noisy]))
        outputs.append(codec.decode(codec.encode([noisy], normalization, 1.0))[0]["fidelity"])
    targets = [pair.clean for pair in data._sources[0]._pairs]
    assert all(np.array_equal(a, b) for a, b in zip(targets, outputs, strict=True))
    sample = drawn(data, 1)[0].exposure
    windows = [np.lib.stride_tricks.sliding_window_view(t, (64, 64)) for t in targets]
    assert any((w == sample.clean).all((-2, -1)).any() for w in windows)


def test_a_teacher_is_never_the_truth_of_validation(opened, teacher):
    taught = {"teacher": "model", "hold_out": ("a4",)}
    assert opened(teacher, kind="noisy", folder="noisy", **taught).validation() == []
    assert opened(teacher, kind="pairs", folder="noisy", **taught).validation() == []
    (image,) = opened(teacher, **PAIRS, **taught).validation()
    truth = read_plane(teacher / "truth" / "a4.png")
    assert np.corrcoef(image.clean.ravel(), truth.ravel())[0, 1] == pytest.approx(1.0)


def test_a_missing_teacher_is_named(opened):
    with pytest.raises(FileNotFoundError, match="teacher: 'nobody' cannot be loaded: model: no model"):
        opened(kind="noisy", folder="noisy", teacher="nobody")


def test_noisy_targets_have_the_mean_of_clean_ones_and_noise_of_their_own(opened):
    """Both in network units: in them the mean of noisy values is what a perfect denoiser should answer."""
    source = {**CLEAN, "noise": FAINT}
    twice, once = opened(**source, noisy_target=True), opened(**source)
    differences = []
    for seed in range(30):
        two, one = (d._sources[0].draw(64, np.random.default_rng(seed)) for d in (twice, once))
        assert np.array_equal(two.exposure.noisy, one.exposure.noisy)
        pairs = [d._normalized(s, np.random.default_rng(0)) for d, s in ((twice, two), (once, one))]
        (noisy, target, weight, *_), (same, clean, same_weight, *_) = pairs
        assert np.array_equal(noisy, same)
        assert np.array_equal(weight, same_weight)
        first, second = ((z - clean).ravel() * UNIT for z in (noisy, target))
        assert abs(np.corrcoef(first, second)[0, 1]) < 0.08
        assert second.std() == pytest.approx(1.0, abs=0.15)
        differences.append(second.mean())
    assert abs(np.mean(differences)) < 0.01


def test_a_source_has_a_noise_of_its_own(opened):
    def electrons(photons):
        data = opened(**CLEAN, noise={**FAINT, "background": 0.01, "photons": photons})
        exposures = [sample.exposure for sample in drawn(data, 10)]
        return [float(np.ptp(e.clean)) / e.noise.gain for e in exposures]

    assert 15 < min(electrons((20, 40))) <= max(electrons((20, 40))) < 45
    assert 3500 < min(electrons((4000, 5000))) <= max(electrons((4000, 5000))) < 5500


def test_simulated_scenes_need_no_folder_and_are_new_for_every_crop(opened, tmp_path):
    data = opened(tmp_path / "nothing", kind="simulated", noise=FAINT)
    first, again, other = (drawn(data, count)[-1].exposure for count in (1, 1, 2))
    np.testing.assert_array_equal(first.noisy, again.noisy)
    assert not np.array_equal(first.clean, other.clean)
    assert first.noisy.shape == first.clean.shape == (64, 64)


def test_simulated_scenes_are_held_out_as_well(opened, tmp_path):
    held = opened(tmp_path, kind="simulated").validation()
    assert {image.source for image in held} == {"simulated"}
    assert len({image.clean.tobytes() for image in held}) == len(held) == 4


def test_simulated_scenes_are_set_in_motion_for_networks_of_three_planes(settings, tmp_path):
    network = settings.network.model_copy(update={"planes": 3})
    source = SourceSettings(kind="simulated")
    changed = settings.model_copy(update={"sources": (source,), "network": network, "batch": 16})
    batch = TrainingData(changed, tmp_path).batch(0)
    assert batch.planes.shape == (16, 3, 64, 64)
    there = batch.presence.numpy().astype(bool)
    assert 0 < there.sum() < there.size
    assert batch.planes[:, 0].numpy()[~there[:, 0]].any() == np.False_
