"""Realism stage: only the realism decoder learns, whatever else the model does stays bit for bit."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_rdpdenoise.codec.models import build_network
from napari_rdpdenoise.metrics import MetricUnavailable
from napari_rdpdenoise.train.data.batches import TrainingData
from napari_rdpdenoise.train.stages import realism
from napari_rdpdenoise.train.trainer import Trainer
from napari_rdpdenoise.train.weights import following

STAGE = {
    "kind": "realism", "steps": 8, "warm_up": 2, "learning_rate": 2e-3, "ema": 0.5,
    "critic_from": 2, "critic_alone": 2, "critic_steps": 2,
}  # fmt: skip


class Contrast(torch.nn.Module):
    """Stands for LPIPS, whose weights a test machine may lack: how far apart the two contrasts are."""

    def forward(self, image, reference):
        return (image.flatten(1).std(1) - reference.flatten(1).std(1)).abs()


@pytest.fixture(scope="module")
def run_settings(settings):
    codec = settings.stages[0].model_copy(update={"steps": 6})
    raw = settings.model_dump() | {"stages": [codec.model_dump(), STAGE]}
    return type(settings).model_validate(raw)


@pytest.fixture(scope="module")
def data(run_settings, folder):
    return TrainingData(run_settings, folder)


@pytest.fixture(autouse=True)
def contrast(monkeypatch):
    monkeypatch.setattr(realism, "load_lpips", lambda *_args, **_kw: Contrast())


@pytest.fixture(scope="module")
def finished(run_settings, data, tmp_path_factory):
    """Both stages; reports and trainer, and the folder as it was when the second had done five steps."""
    out = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(realism, "load_lpips", lambda *_args, **_kw: Contrast())
        trainer, reports = Trainer(run_settings, data, out / "out"), []
        for report in trainer.run(report_every=1):
            reports.append(report)
            if report.stage == "2-realism" and report.step == 5:
                shutil.copytree(out / "out", out / "killed")
    return trainer, reports, out / "killed"


def test_stages_follow_one_another(finished):
    _, reports, _ = finished
    assert [(r.stage, r.step) for r in reports] == [
        *(("1-all-rates", k) for k in range(1, 7)),
        *(("2-realism", k) for k in range(1, 9)),
    ]


def test_only_the_realism_decoder_changes(finished):
    trainer, _, _ = finished
    before = load_file(trainer.folder / "1-all-rates" / "model.safetensors")
    after = load_file(trainer.folder / "model.safetensors")
    assert all(torch.equal(after[name], value) for name, value in before.items())
    added = {name for name in after if name not in before}
    assert {name.split(".")[0] for name in added} == {"realism"}
    assert any(not torch.equal(after[n], before[n.replace("realism", "fidelity")]) for n in added)
    assert build_network(trainer.network_config, after).decoders == ("fidelity", "realism")


def test_the_critic_waits_for_its_turn(finished):
    _, reports, _ = finished
    distances = [r.values["critic"] for r in reports if r.stage == "2-realism"]
    assert distances[:2] == [0.0, 0.0]
    assert all(distances[2:])
    assert all({"loss", "distortion", "bpp", "lpips"} <= set(r.values) for r in reports[6:])
    assert all(np.isfinite(list(r.values.values())).all() for r in reports)


def test_validation_has_both_decodes(finished):
    scores = finished[1][-1].validation
    assert {"clean psnr@1.0", "clean realism psnr@1.0", "noisy realism psnr@0.25"} <= set(scores)


def test_a_killed_run_repeats_the_curve(run_settings, data, finished, tmp_path):
    trainer, reports, killed = finished
    resumed = Trainer(run_settings, data, shutil.copytree(killed, tmp_path / "out"))
    again = list(resumed.run(report_every=1))
    # the penalty's second derivatives differ in the last bit from run to run
    for found, expected in zip(again, reports[-3:], strict=True):
        assert found.values == pytest.approx(expected.values, rel=1e-3)
    a, b = (load_file(t.folder / "model.safetensors") for t in (resumed, trainer))
    for name, value in b.items():
        torch.testing.assert_close(a[name], value, atol=2e-3, rtol=1e-2)


def test_without_adversary_and_lpips_only_the_error_is_left(run_settings, data, finished, tmp_path):
    """What remains is the fidelity decoder's own aim, so it must not drift away from it."""
    only_error = {"adversarial": 0.0, "lpips": 0.0, "learning_rate": 1e-5}
    stage = run_settings.stages[1].model_copy(update=only_error)
    weights = str(finished[0].folder / "1-all-rates" / "model.safetensors")
    alone = run_settings.model_copy(update={"stages": (stage,), "start_from": weights})
    reports = list(Trainer(alone, data, tmp_path).run(report_every=1))
    assert all("lpips" not in r.values and r.values["critic"] == 0.0 for r in reports)
    scores = reports[-1].validation
    for name in ("clean psnr@1.0", "noisy psnr@1.0"):
        assert scores[name.replace("psnr", "realism psnr")] == pytest.approx(scores[name], abs=0.1)


def test_missing_backbone_is_said_before_anything_is_written(run_settings, data, tmp_path, monkeypatch):
    def absent(*_args, **_kw):
        raise MetricUnavailable("alexnet: no file")

    monkeypatch.setattr(realism, "load_lpips", absent)
    only = run_settings.model_copy(update={"stages": run_settings.stages[1:]})
    with pytest.raises(MetricUnavailable, match="alexnet"):
        next(Trainer(only, data, tmp_path / "out").run())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("fresh", [False, True])
def test_a_fresh_decoder_starts_from_the_fidelity_decoder(run_settings, data, finished, tmp_path, fresh):
    weights = finished[0].folder / "model.safetensors"
    stage = run_settings.stages[1].model_copy(update={"fresh": fresh})
    again = run_settings.model_copy(update={"stages": (stage,), "start_from": str(weights)})
    network = Trainer(again, data, tmp_path)._loop(0, weights).network
    expected = load_file(weights)
    for name, value in network.get_submodule("realism").state_dict().items():
        source = "fidelity" if fresh else "realism"
        assert torch.equal(value, expected[f"{source}.{name}"].float())


def test_after_more_steps_of_the_codec_the_decoder_follows_its_twin(run_settings, data, finished, tmp_path):
    """What the fidelity decoder has moved since the start, the realism decoder is moved as well."""
    weights = finished[0].folder / "model.safetensors"
    again = run_settings.model_copy(update={"start_from": str(weights)})
    started = load_file(weights)
    moved = {n: v + 0.125 if n.startswith("fidelity.") else v for n, v in started.items()}
    codec = tmp_path / "codec.safetensors"
    save_file({n: v for n, v in moved.items() if not n.startswith("realism.")}, codec)
    network = Trainer(again, data, tmp_path / "out")._loop(1, codec).network
    for name, value in network.get_submodule("realism").state_dict().items():
        before = started[f"realism.{name}"].float()
        by = 0.125 if f"fidelity.{name}" in started else 0.0
        torch.testing.assert_close(value, before + by, atol=1e-3, rtol=1e-3)


def test_a_fidelity_decoder_of_other_layers_moves_nothing(finished):
    started = load_file(finished[0].folder / "model.safetensors")
    deeper = started | {"fidelity.another.weight": torch.ones(1)}
    kept = following(started, deeper)
    assert kept == {n: v for n, v in started.items() if n.startswith("realism.")}


def test_a_shipped_model_can_be_started_from_by_name(run_settings, data, tmp_path):
    named = run_settings.model_copy(update={"start_from": "fluo-light"})
    assert Trainer(named, data, tmp_path)._start.parent.name == "fluo-light"
    wrong = run_settings.model_copy(update={"start_from": "fluo-dark"})
    with pytest.raises(FileNotFoundError, match="no model 'fluo-dark'"):
        Trainer(wrong, data, tmp_path)


def test_a_missing_backbone_is_said_before_the_first_stage(run_settings, data, tmp_path, monkeypatch):
    def absent(*_args, **_kw):
        raise MetricUnavailable("alexnet: no file")

    monkeypatch.setattr(realism, "load_lpips", absent)
    with pytest.raises(MetricUnavailable, match="alexnet"):
        Trainer(run_settings, data, tmp_path / "out")
    without = run_settings.model_copy(update={"stages": run_settings.stages[:1]})
    Trainer(without, data, tmp_path / "out")


def test_two_stages_of_one_kind_are_told_apart(run_settings, data, finished, tmp_path):
    stage = run_settings.stages[1].model_copy(update={"steps": 1, "adversarial": 0.0})
    weights = str(finished[0].folder / "model.safetensors")
    twice = run_settings.model_copy(update={"stages": (stage, stage), "start_from": weights})
    trainer = Trainer(twice, data, tmp_path)
    first, second = trainer.run(report_every=1)
    assert (first.stage, second.stage) == ("1-realism", "2-realism")
    assert trainer.steps == {"1-realism": 1, "2-realism": 1}
    assert first.values != second.values  # other batches
