"""Adapting a tiny model with random weights: what learns, what stays, what is written, what is refused."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy import ndimage

import napari_rdpdenoise
from napari_rdpdenoise.codec import load_model
from napari_rdpdenoise.codec.pretrained import MODELS_FOLDER
from napari_rdpdenoise.train.finetune import run_plan
from napari_rdpdenoise.train.plans import plan_pairs, plan_unpaired, plan_zeroshot
from napari_rdpdenoise.train.tuning import PairsSettings, UnpairedSettings, ZeroShotTuneSettings

QUICK = {"steps": 8, "batch": 1, "crop": 64, "validate_every": 4, "rate": 0.8, "learning_rate": 1e-3}


def cells(seed):
    rng = np.random.default_rng(seed)
    image = ndimage.gaussian_filter((rng.random((176, 96)) > 0.985).astype(float), 2)
    return 3000 * image / image.max() + 100


def camera(scene, light, seed=0):
    rng = np.random.default_rng(seed)
    return np.round(100 + 4 * rng.poisson((scene - 100) * light) + rng.normal(0, 2, scene.shape)).astype(
        np.uint16
    )


@pytest.fixture(scope="module")
def noisy():
    return np.stack([camera(cells(k), 0.01, k) for k in range(2)])


@pytest.fixture(scope="module")
def clean():
    return np.stack([camera(cells(k), 1.0, k) for k in (7, 8, 9)])


def finish(run):
    rows = []
    while True:
        try:
            rows.append(next(run))
        except StopIteration as end:
            return rows, end.value


def values(rows):
    return [(row.stage, row.step, row.values, row.validation) for row in rows]


def zeroshot(model, noisy, **changes):
    return plan_zeroshot(noisy, ZeroShotTuneSettings(model=str(model), **(QUICK | changes)))


def unpaired(model, noisy, clean, **changes):
    return plan_unpaired(
        noisy, clean, UnpairedSettings(model=str(model), critic_steps=2, **(QUICK | changes))
    )


def pairs(model, noisy, partners, **changes):
    return plan_pairs(noisy, partners, PairsSettings(model=str(model), realism_steps=0, **(QUICK | changes)))


def changed(before, after):
    """Top-level modules whose tensors differ."""
    return {n.split(".")[0] for n, v in after.items() if n not in before or not torch.equal(v, before[n])}


@pytest.mark.parametrize(
    ("learns", "modules"),
    [
        ("decoder", {"fidelity"}),
        ("gains", {"fidelity", "gains"}),
        ("all", {"fidelity", "gains", "analysis", "hyperprior"}),
    ],
)
def test_zeroshot_changes_what_it_is_told_to(tiny_realism_model, noisy, tmp_path, learns, modules):
    rows, _ = finish(run_plan(zeroshot(tiny_realism_model, noisy, learns=learns), tmp_path / "o", "cpu", 1))
    after = load_file(tmp_path / "o" / "training" / "model.safetensors")
    assert changed(load_file(tiny_realism_model / "model.safetensors"), after) == modules
    assert any(n.startswith("realism.") for n in after) == (learns == "decoder")
    assert ("price" in rows[-1].values) == (learns != "decoder")
    assert [row.step for row in rows if row.validation] == [4, 8]


@pytest.mark.parametrize(
    ("encoder", "modules"),
    [("frozen", {"realism"}), ("trained", {"realism", "fidelity", "gains", "analysis", "hyperprior"})],
)
def test_unpaired_learns_realism(tiny_model, noisy, clean, tmp_path, encoder, modules):
    """From a model without a realism decoder; with the encoder frozen, its realism 0 stays bit by bit."""
    plan = unpaired(tiny_model, noisy, clean, encoder=encoder)
    rows, result = finish(run_plan(plan, tmp_path / "o", "cpu", 1))
    after = load_file(tmp_path / "o" / "training" / "model.safetensors")
    assert changed(load_file(tiny_model / "model.safetensors"), after) == modules
    assert all(np.isfinite(row.values["critic"]) for row in rows)
    assert f"held-out texture@{plan.rate:g}" in rows[-1].validation
    assert set(result.verdict.before) == {"error", "residual", "mean", "background", "texture"}


def test_a_better_model_is_written_with_its_card_and_loads(tiny_model, noisy, tmp_path):
    out = tmp_path / "mine"
    result = napari_rdpdenoise.finetune_zeroshot(
        noisy, out, model=str(tiny_model), device="cpu", **(QUICK | {"steps": 40, "validate_every": 20})
    )
    assert result.verdict.better, result.words()
    assert result.model == str(out.resolve())
    codec = load_model(out, "cpu")
    card = codec.card
    assert card.name == "mine"
    assert card.training["start"]["model"] == "tiny"
    assert len(card.training["images"]["noisy"]) == 2
    assert card.training["steps"] == result.verdict.step
    assert (
        card.measured["held-out parts of the user's images, after"]["error"] < result.verdict.before["error"]
    )
    assert "is better" in (out / "report.txt").read_text()
    assert (out / "training.jsonl").is_file()
    image = napari_rdpdenoise.denoise(noisy, model=str(out), rate=0.8, device="cpu")
    assert image.shape == noisy.shape


def test_a_model_that_is_not_better_is_not_written(tiny_model, noisy, tmp_path):
    plan = zeroshot(tiny_model, noisy, learning_rate=1e-12)
    _, result = finish(run_plan(plan, tmp_path / "o"))
    assert not result.verdict.better
    assert result.model == str(tiny_model)
    assert not (tmp_path / "o" / "card.yaml").exists()
    assert "the old one is kept" in (tmp_path / "o" / "report.txt").read_text()


@pytest.mark.parametrize("kind", ["zeroshot", "unpaired", "pairs"])
def test_a_killed_run_repeats_the_curve(tiny_model, noisy, clean, tmp_path, kind):
    def plan():
        if kind == "zeroshot":
            return zeroshot(tiny_model, noisy, learns="all")
        if kind == "pairs":
            return pairs(tiny_model, noisy, np.stack([camera(cells(k), 1.0, k) for k in range(2)]))
        return unpaired(tiny_model, noisy, clean)

    run, first = run_plan(plan(), tmp_path / "o", "cpu", 1), []
    for row in run:
        first.append(row)
        if row.step == 4:  # what a SIGKILL after a checkpoint leaves
            shutil.copytree(tmp_path / "o", tmp_path / "killed")
        if row.step == 6:
            break
    rest, result = finish(run)
    again, same = finish(run_plan(plan(), tmp_path / "killed", "cpu", 1))
    assert values(again) == values([*first[4:], *rest])
    assert same.verdict == result.verdict
    guards = [json.loads((tmp_path / n / "training" / "guard.json").read_text()) for n in ("o", "killed")]
    assert guards[0] == guards[1]


def test_the_same_call_again_trains_no_more(tiny_model, noisy, tmp_path):
    _, result = finish(run_plan(zeroshot(tiny_model, noisy), tmp_path))
    again, same = finish(run_plan(zeroshot(tiny_model, noisy), tmp_path))
    assert again == []
    assert same.verdict == result.verdict


def test_pairs_lower_the_error_of_a_bad_model(tiny_model, noisy, tmp_path):
    partners = [camera(cells(k), 1.0, k) for k in range(2)]
    plan = pairs(tiny_model, noisy, partners, steps=40, validate_every=20)
    _, result = finish(run_plan(plan, tmp_path))
    assert result.verdict.better, result.words()
    assert "dB on held-out pairs" in result.verdict.words[0]


@pytest.mark.parametrize(
    ("strategy", "partner"), [("CN", "clean"), ("Cn.8", "clean"), ("UD", "clean"), ("N", "noisy")]
)
def test_strategies(tiny_model, clean, tmp_path, strategy, partner):
    scenes = [cells(k) for k in range(2)]
    noisy = [camera(s, 0.3, k) for k, s in enumerate(scenes)]
    partners = [3000 * s for s in scenes] if partner == "clean" else [camera(s, 0.3, 5) for s in scenes]
    plan = pairs(tiny_model, noisy, partners, strategy=strategy, partner=partner)
    kinds = [(s.kind, s.weight, s.min_ms_ssim) for s in plan.train.sources]
    least = 0.8 if strategy == "Cn.8" else None
    mixed = strategy in ("CN", "Cn.8")
    assert kinds == [("pairs", 4.0 if mixed else 1.0, least), *([("identity", 1.0, None)] if mixed else [])]
    batch = plan.data.batch(0)
    assert torch.isfinite(batch.noisy).all()
    assert not torch.equal(batch.noisy, batch.target)


def test_noisy_partners_have_no_identity(tiny_model, noisy):
    with pytest.raises(ValueError, match="strategy: expected N or UD with noisy partners"):
        pairs(tiny_model, noisy, noisy + 1, strategy="CN", partner="noisy")


def test_folders_that_are_not_ones_own_are_refused(tiny_model, noisy, tmp_path):
    plan = zeroshot(tiny_model, noisy)
    with pytest.raises(ValueError, match="shipped model's"):
        next(run_plan(plan, MODELS_FOLDER / "fluo-light"))
    other = shutil.copytree(tiny_model, tmp_path / "other")
    with pytest.raises(ValueError, match="another model's"):
        next(run_plan(plan, other))
    finish(run_plan(plan, tmp_path / "o"))
    with pytest.raises(ValueError, match="run of other settings"):
        next(run_plan(zeroshot(tiny_model, noisy, seed=3), tmp_path / "o"))
    with pytest.raises(ValueError, match="run of other images"):
        next(run_plan(zeroshot(tiny_model, noisy[::-1]), tmp_path / "o"))


def test_images_too_small_to_hold_a_part_out(tiny_model, noisy):
    with pytest.raises(ValueError, match="at least 144 rows"):
        zeroshot(tiny_model, noisy[:, :100])


def test_patches_give_the_plane(noisy, tmp_path):
    settings = {"kind": "mlp", "width": 16, "latents": 2, "steps": 4, "batch": 8, "check_every": 2}
    image = napari_rdpdenoise.finetune_zeroshot(
        noisy[0], tmp_path, method="patches", device="cpu", **settings
    )
    assert image.shape == noisy[0].shape
    with pytest.raises(ValueError, match="one plane"):
        napari_rdpdenoise.finetune_zeroshot(noisy, tmp_path, method="patches", device="cpu", **settings)


def test_recorrupted_input_and_target_share_no_noise():
    from napari_rdpdenoise.codec.normalization import UNIT
    from napari_rdpdenoise.train.adapt import TAU, recorrupted
    from napari_rdpdenoise.train.data import Batch

    torch.manual_seed(0)
    variance = 0.5  # of the noise, in squares of its usual unit
    noise = torch.randn(4, 1, 128, 128) * variance**0.5 / UNIT
    batch = Batch(noise, noise, torch.full_like(noise, 1 / variance), torch.zeros(4, 2))
    changed, added = recorrupted(batch)
    a, b = changed.noisy * UNIT / variance**0.5, changed.target * UNIT / variance**0.5
    assert float((a * b).mean()) == pytest.approx(0, abs=0.03)
    assert float(a.square().mean()) == pytest.approx(1 + TAU**2, rel=0.03)
    assert float(b.square().mean()) == pytest.approx(1 + added, rel=0.03)


def test_the_price_follows_the_residual():
    from napari_rdpdenoise.train.adapt import Price

    dear, cheap = Price(1.0), Price(1.0)
    for _ in range(200):
        dear.follow(0.8)
        cheap.follow(1.2)
    assert dear.value == pytest.approx(30)
    assert cheap.value == pytest.approx(1 / 30)
    again = Price(1.0)
    again.load_state_dict(dear.state_dict())
    assert again.value == dear.value


def test_the_critic_cannot_ask_for_brightness():
    from napari_rdpdenoise.train.adapt import with_means_of

    torch.manual_seed(1)
    noisy, image = torch.randn(2, 1, 96, 96), torch.randn(2, 1, 96, 96, requires_grad=True)
    changed = with_means_of(image, noisy)
    torch.testing.assert_close(changed, with_means_of(image + 3.0, noisy))
    assert abs(float((changed - noisy).detach().mean())) < 0.01
    changed.sum().backward()
    assert abs(float(image.grad.mean())) < 1e-5


def test_pairs_that_leave_realism_out_are_compared_without_it(tiny_realism_model, noisy, tmp_path):
    """Or the start would be charged for an LPIPS that the tuned model is not."""
    partners = [camera(cells(k), 1.0, k) for k in range(2)]
    _, result = finish(run_plan(pairs(tiny_realism_model, noisy, partners, learning_rate=1e-12), tmp_path))
    assert not any("realism" in name for name in result.verdict.before)
    assert set(result.verdict.before) == set(result.verdict.after)
    assert not result.verdict.better
