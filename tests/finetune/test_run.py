"""Adapting a tiny model with random weights: what learns, what stays, what is written, what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from simulated_cells import camera, cells

import napari_rdpdenoise
from napari_rdpdenoise.codec import load_model
from napari_rdpdenoise.codec.library import MODELS_FOLDER
from napari_rdpdenoise.files import InUseError
from napari_rdpdenoise.finetune.planners import plan_pairs, plan_unpaired, plan_zeroshot
from napari_rdpdenoise.finetune.run import run_patches, run_plan
from napari_rdpdenoise.finetune.settings import (
    PairsSettings,
    PatchSettings,
    UnpairedSettings,
    ZeroShotSettings,
)
from napari_rdpdenoise.train.settings import TrainSettings
from napari_rdpdenoise.train.stages.fidelity import FidelityLoop

QUICK = {"steps": 8, "batch": 1, "crop": 64, "validate_every": 4, "rate": 0.8, "learning_rate": 1e-3}


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
    return plan_zeroshot(noisy, ZeroShotSettings(model=str(model), **(QUICK | changes)))


def unpaired(model, noisy, clean, **changes):
    return plan_unpaired(
        noisy, clean, UnpairedSettings(model=str(model), critic_steps=2, **(QUICK | changes))
    )


def pairs(model, noisy, partners, **changes):
    return plan_pairs(noisy, partners, PairsSettings(model=str(model), realism_steps=0, **(QUICK | changes)))


def changed(before, after):
    """Top-level modules whose tensors differ."""
    return {n.split(".")[0] for n, v in after.items() if n not in before or not torch.equal(v, before[n])}


@pytest.mark.parametrize(("learns", "named"), [("decoder", "fidelity.detail"), ("all", "analysis.detail")])
def test_a_model_that_sees_neighbours_learns_from_single_planes(
    tiny_series_model, noisy, tmp_path, learns, named
):
    plan = zeroshot(tiny_series_model, noisy, learns=learns, steps=4)
    assert plan.data.batch(0).planes.shape[1] == 1
    _, result = finish(run_plan(plan, tmp_path / "run"))
    weights = tmp_path / "run" / "training" / "model.safetensors"
    before, after = load_file(tiny_series_model / "model.safetensors"), load_file(weights)
    assert set(before) == set(after)
    assert not torch.equal(before[f"{named}.weight"], after[f"{named}.weight"])
    assert result.verdict.words


def test_pairs_of_single_planes_teach_a_model_that_sees_neighbours(tiny_series_model, noisy, tmp_path):
    partners = np.stack([camera(cells(k), 1.0, k) for k in range(2)])
    plan = pairs(tiny_series_model, noisy, partners, steps=2)
    rows, _ = finish(run_plan(plan, tmp_path / "run"))
    assert np.isfinite(rows[-1].values["loss"])
    assert plan.train.network.planes == 3


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
    judged = {"error", "residual", "mean", "background", "texture"}
    if encoder == "trained":  # realism 0 learns as well
        judged |= {"fidelity error", "fidelity residual"}
    assert set(result.verdict.before) == judged


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


def two_stages(model, noisy, **changes):
    """Pairs with a realism stage whose loss needs no backbone that may be missing here."""
    plan = pairs(model, noisy, np.stack([camera(cells(k), 1.0, k) for k in range(2)]), **changes)
    realism = {"kind": "realism", "steps": 8, "warm_up": 1, "ema": 0.9, "lpips": 0.0, "adversarial": 0.0}
    given = plan.train.model_dump()
    network = {**given["network"], "realism": True}
    train = TrainSettings(**(given | {"network": network, "stages": [*given["stages"], realism]}))
    return replace(plan, train=train)


def weights_that_stage_two_has(out, but="realism."):
    found = load_file(out / "training" / "2-realism" / "model.safetensors")
    return {n: v for n, v in found.items() if not n.startswith(but)}


def test_the_second_stage_starts_from_the_best_of_the_first(tiny_realism_model, noisy, tmp_path, monkeypatch):
    """Its last weights are spoilt here: from step 16 on every step makes the decode brighter."""
    original = FidelityLoop.train_step

    def spoilt(self, batch):
        found = original(self, batch)
        if self.step >= 16:
            with torch.no_grad():
                for module in (self.network, self.average):
                    list(module.fidelity.parameters())[-1].add_(0.1)
        return found

    monkeypatch.setattr(FidelityLoop, "train_step", spoilt)
    plan = two_stages(tiny_realism_model, noisy, steps=60, validate_every=8, patience=2)
    rows, result = finish(run_plan(plan, tmp_path, "cpu", 1))
    (kept,) = (tmp_path / "training" / "1-all-rates").glob("best-*.safetensors")
    assert kept.name == "best-0000016.safetensors"
    best, has = load_file(kept), weights_that_stage_two_has(tmp_path)
    assert all(torch.equal(value, best[name]) for name, value in has.items())
    looks = [(row.stage, row.step) for row in rows if row.validation]
    first = [("1-all-rates", step) for step in (8, 16, 24, 32)]  # patience ends it
    assert looks == [*first, ("2-realism", 8)]
    assert result.verdict.better, result.words()
    assert "stage 1-all-rates went on to the next one with step 16 (no better since" in " ".join(
        result.verdict.words
    )


def test_a_first_stage_that_only_harms_is_left_out(tiny_realism_model, noisy, tmp_path, monkeypatch):
    def broken(self, batch):
        with torch.no_grad():
            for module in (self.network, self.average):
                for parameter in module.fidelity.parameters():
                    parameter.fill_(float("nan"))
        return {"loss": float("nan")}

    monkeypatch.setattr(FidelityLoop, "train_step", broken)
    plan = two_stages(tiny_realism_model, noisy, steps=12)
    rows, _ = finish(run_plan(plan, tmp_path, "cpu", 1))
    assert [row.step for row in rows if row.stage == "1-all-rates"] == [1, 2, 3, 4]
    start, has = load_file(tiny_realism_model / "model.safetensors"), weights_that_stage_two_has(tmp_path)
    assert all(torch.equal(value, start[name]) for name, value in has.items())


@pytest.mark.parametrize("killed", [("1-all-rates", 4), ("2-realism", 4)])
def test_a_killed_run_of_two_stages_repeats_the_curve(tiny_realism_model, noisy, tmp_path, killed):
    def plan():
        return two_stages(tiny_realism_model, noisy)

    rows, rest = [], []
    run = run_plan(plan(), tmp_path / "o", "cpu", 1)
    for row in run:
        rows.append(row)
        if (row.stage, row.step) == killed:
            shutil.copytree(tmp_path / "o", tmp_path / "killed")
            rest, result = finish(run)
            break
    again, same = finish(run_plan(plan(), tmp_path / "killed", "cpu", 1))
    assert values(again) == values(rest)
    assert same.verdict == result.verdict
    for part in ("", "1-all-rates"):
        guards = [(tmp_path / n / "training" / part / "guard.json").read_text() for n in ("o", "killed")]
        assert guards[0] == guards[1]
    last = [load_file(tmp_path / n / "training" / "model.safetensors") for n in ("o", "killed")]
    assert all(torch.equal(value, last[1][name]) for name, value in last[0].items())


def test_a_begun_second_stage_keeps_what_it_started_from(tiny_realism_model, noisy, tmp_path):
    """More patience, or more steps, cannot send the first stage on below the second."""
    finish(run_plan(two_stages(tiny_realism_model, noisy), tmp_path))
    again, _ = finish(run_plan(two_stages(tiny_realism_model, noisy, steps=16, patience=9), tmp_path))
    assert again == []


def test_one_training_at_a_time_writes_to_a_folder(tiny_model, noisy, tmp_path):
    plan = zeroshot(tiny_model, noisy)
    first = run_plan(plan, tmp_path, "cpu", 1)
    next(first)
    with pytest.raises(InUseError, match=r"nobody else writes.* another run in this one, training"):
        next(run_plan(plan, tmp_path, "cpu", 1))
    next(first)
    first.close()
    assert not (tmp_path / "training.lock").exists()
    rows, _ = finish(run_plan(plan, tmp_path, "cpu", 1))
    assert rows[0].step == 3
    assert not list(tmp_path.rglob("*lock*"))


def test_patches_lock_their_folder_too(noisy, tmp_path):
    settings = PatchSettings(kind="mlp", width=16, latents=2, steps=4, batch=8, check_every=2)
    first = run_patches(noisy[0], tmp_path, settings)
    next(first)
    with pytest.raises(InUseError, match="nobody else writes to"):
        next(run_patches(noisy[0], tmp_path, settings))
    finish(first)
    assert not (tmp_path.parent / f"{tmp_path.name}.lock").exists()


_TRAINING = """
import sys
from pathlib import Path
import numpy as np
from napari_rdpdenoise.finetune.run import run_patches
from napari_rdpdenoise.finetune.settings import PatchSettings

settings = PatchSettings(kind="mlp", width=16, latents=2, steps=10**6, batch=8, check_every=2)
running = run_patches(np.load(sys.argv[1]), Path(sys.argv[2]), settings)
next(running)
print("trains", flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_a_folder_is_held_as_long_as_the_process_that_trains_in_it_lives(noisy, tmp_path):
    np.save(tmp_path / "noisy.npy", noisy[0])
    out = tmp_path / "out"
    settings = PatchSettings(kind="mlp", width=16, latents=2, steps=4, batch=8, check_every=2)
    command = [sys.executable, "-c", _TRAINING, str(tmp_path / "noisy.npy"), str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "trains\n"
        with pytest.raises(InUseError, match=r"out: .* found another process.*training there.*stop it"):
            next(run_patches(noisy[0], out, settings))
        assert (tmp_path / "out.lock").is_file()
        other.kill()
    shutil.rmtree(out)  # of a training of other settings
    finish(run_patches(noisy[0], out, settings))
    assert not (tmp_path / "out.lock").exists()


def test_locks_that_nobody_holds_are_taken_over(noisy, tmp_path):
    settings = PatchSettings(kind="mlp", width=16, latents=2, steps=4, batch=8, check_every=2)
    (tmp_path / "out.lock").write_text("")  # its process was killed
    finish(run_patches(noisy[0], tmp_path / "out", settings))
    assert not (tmp_path / "out.lock").exists()


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
    image = napari_rdpdenoise.finetune_patches(noisy[0], tmp_path, device="cpu", **settings)
    assert image.shape == noisy[0].shape
    with pytest.raises(ValueError, match="one plane"):
        napari_rdpdenoise.finetune_patches(noisy, tmp_path, device="cpu", **settings)


def test_recorrupted_input_and_target_share_no_noise():
    from napari_rdpdenoise.codec.normalization import UNIT
    from napari_rdpdenoise.train.data.batches import Batch
    from napari_rdpdenoise.train.stages.adapt import TAU, recorrupted

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
    from napari_rdpdenoise.train.stages.adapt import BitPrice

    dear, cheap = BitPrice(1.0), BitPrice(1.0)
    for _ in range(200):
        dear.follow(0.8)
        cheap.follow(1.2)
    assert dear.value == pytest.approx(30)
    assert cheap.value == pytest.approx(1 / 30)
    again = BitPrice(1.0)
    again.load_state_dict(dear.state_dict())
    assert again.value == dear.value


def test_the_critic_cannot_ask_for_brightness():
    from napari_rdpdenoise.train.stages.adapt import with_means_of

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


@pytest.mark.parametrize("content", ["", "{", '{"kind": "zer', "\x00" * 50])
@pytest.mark.parametrize("name", ["run.json", "guard.json"])
def test_what_a_run_keeps_is_named_when_it_is_damaged(tiny_model, noisy, tmp_path, name, content):
    out = tmp_path / "new"
    run = run_plan(zeroshot(tiny_model, noisy), out, report_every=1)
    next(run)
    run.close()
    (damaged,) = (out / "training").rglob(name)
    damaged.write_text(content)
    with pytest.raises(ValueError, match=rf"out: expected .* in {damaged}, found another file or a part"):
        next(run_plan(zeroshot(tiny_model, noisy), out))
