"""Simulated exposures of references: their noise, their brightness, and how decodes of them are judged."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy import ndimage

from napari_rdpdenoise.finetune.planners import plan_unpaired
from napari_rdpdenoise.finetune.references import display_range
from napari_rdpdenoise.finetune.run import run_plan
from napari_rdpdenoise.finetune.settings import UnpairedSettings
from napari_rdpdenoise.finetune.simulated import SimulatedSource
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.train.data.sources import Pair
from napari_rdpdenoise.train.settings import AdaptStage, SourceSettings

SETTINGS = SourceSettings(kind="self", folder="noisy")
NOISE = NoiseModel(gain=4.0, offset=100.0, read_noise=6.0)


def scene(seed, top=900.0):
    rng = np.random.default_rng(seed)
    image = ndimage.gaussian_filter((rng.random((160, 192)) > 0.99).astype(float), 3)
    return (100 + top * image / image.max()).astype(np.float32)


def real_pair(correlated=0.0, kind=np.uint16):
    clean, rng = scene(1), np.random.default_rng(2)
    z = rng.standard_normal(clean.shape)
    if correlated:
        z = ndimage.gaussian_filter(z, correlated)
        z /= z.std()
    noisy = clean + z * np.sqrt(NOISE.variance(clean))
    return Pair(np.round(noisy).astype(kind), clean, NOISE, 0.7)


def samples(pairs, references, count=40, size=64):
    source, rng = SimulatedSource(SETTINGS, references, pairs), np.random.default_rng(3)
    return [source.draw(size, rng) for _ in range(count)]


def standardised(sample):
    exposure = sample.exposure
    return (exposure.noisy - exposure.clean) / np.sqrt(NOISE.variance(exposure.clean))


def test_noise_is_as_strong_at_every_brightness_as_the_model_says():
    found = samples([real_pair()], [scene(k) for k in (5, 6)])
    z = np.concatenate([standardised(s).ravel() for s in found])
    clean = np.concatenate([s.exposure.clean.ravel() for s in found])
    assert z.mean() == pytest.approx(0, abs=0.03)
    for part in (clean < np.median(clean), clean > np.percentile(clean, 90)):
        assert z[part].std() == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("correlated", [0.0, 0.8])
def test_neighbours_share_what_they_share_in_the_real_images(correlated):
    found = samples([real_pair(correlated)], [scene(5)])
    z = np.stack([standardised(s) for s in found])
    shared = float(np.mean(z[:, :, 1:] * z[:, :, :-1]) / np.mean(z**2))
    expected = np.exp(-1 / (4 * correlated**2)) if correlated else 0.0
    assert shared == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize("scale", [1.0, 250.0])
def test_references_of_any_scale_get_the_brightness_of_the_denoised_planes(scale):
    pair = real_pair()
    found = samples([pair], [scale * scene(5)], count=200)
    dark, bright = display_range(pair.clean)
    assert {sample.span[0] for sample in found} == {dark}
    assert np.median([sample.span[1] for sample in found]) == pytest.approx(bright, rel=0.15)
    assert min(sample.exposure.clean.min() for sample in found) == pytest.approx(
        dark, abs=0.1 * (bright - dark)
    )


def test_exposures_stay_within_the_type_of_the_real_images():
    pair = real_pair()
    eight = Pair(
        np.clip(pair.noisy // 4, 0, 255).astype(np.uint8), pair.clean / 4, NoiseModel(1.0, 25.0, 1.5)
    )
    for sample in samples([eight], [scene(5)]):
        noisy = sample.exposure.noisy
        assert noisy.min() >= 0
        assert noisy.max() <= 255
        assert np.array_equal(noisy, np.round(noisy))


@pytest.mark.parametrize("wrong", [{"decoder": "fidelity"}, {"decoder": "realism", "learns": "all"}])
@pytest.mark.parametrize("given", [{"target": "decoded"}, {"simulated": 8.0}])
def test_a_fidelity_decoder_that_learns_is_no_measure(wrong, given):
    with pytest.raises(ValueError, match="decoder 'realism'"):
        AdaptStage(kind="adapt", **wrong, **given)


class Absolute(torch.nn.Module):
    """In the place of LPIPS, whose backbone is not on every machine."""

    def forward(self, image, reference):
        return (image - reference).abs().mean((1, 2, 3))


@pytest.fixture
def stand_in(monkeypatch):
    for module in ("finetune.planners", "train.stages.adapt"):
        monkeypatch.setattr(f"napari_rdpdenoise.{module}.load_lpips", lambda *_a, **_k: Absolute())
    distance = lambda image, clean: float(np.abs(image - clean).mean())  # noqa: E731
    monkeypatch.setattr("napari_rdpdenoise.finetune.simulated.lpips", distance)


def plan(model, encoder="frozen"):
    noisy = np.stack([real_pair().noisy, real_pair(0.5).noisy])
    settings = UnpairedSettings(
        model=str(model), steps=8, batch=1, crop=64, validate_every=4, rate=0.8, encoder=encoder
    )
    return plan_unpaired(noisy, np.stack([10 * scene(k) for k in (5, 6, 7)]), settings)


def finish(running):
    rows = []
    while True:
        try:
            rows.append(next(running))
        except StopIteration as end:
            return rows, end.value


def test_what_is_judged_is_the_distance_from_the_truth_of_exposures_never_learned_from(
    stand_in, tiny_model, tmp_path
):
    found = plan(tiny_model)
    assert found.goal == "lpips"
    rows, result = finish(run_plan(found, tmp_path / "o", "cpu", 1))
    assert set(result.verdict.before) == {
        "error",
        "residual",
        "mean",
        "background",
        "lpips",
        "exposed",
        "lattice",
    }
    assert all(np.isfinite(row.values["lpips"]) for row in rows)
    assert "simulated exposures" in result.verdict.words[0]
    before, after = (load_file(p / "model.safetensors") for p in (tiny_model, tmp_path / "o" / "training"))
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items() if "realism" not in name)


@pytest.mark.slow
def test_a_run_that_is_broken_off_has_the_same_curve(stand_in, tiny_model, tmp_path):
    whole, _ = finish(run_plan(plan(tiny_model), tmp_path / "whole", "cpu", 1))
    running = run_plan(plan(tiny_model), tmp_path / "broken", "cpu", 1)
    first = [next(running) for _ in range(5)]
    running.close()
    second, _ = finish(run_plan(plan(tiny_model), tmp_path / "broken", "cpu", 1))
    joined = [(row.step, row.values, row.validation) for row in (*first, *second)]
    assert joined == [(row.step, row.values, row.validation) for row in whole]


def test_with_an_encoder_that_learns_nothing_is_simulated(stand_in, tiny_model):
    (stage,) = plan(tiny_model, "trained").train.stages
    assert (stage.simulated, stage.target, stage.learns) == (0, "recorrupted", "all")
