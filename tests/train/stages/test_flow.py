"""Stage of the flow decoder: it alone learns, and its aim is where a perfect decoder already is."""

from __future__ import annotations

import shutil

import pytest
import torch
from safetensors.torch import load_file

from napari_rdpdenoise.codec.models import build_network
from napari_rdpdenoise.train.data.batches import TrainingData
from napari_rdpdenoise.train.stages import flow, realism
from napari_rdpdenoise.train.trainer import Trainer

STAGE = {"kind": "flow", "steps": 12, "warm_up": 2, "learning_rate": 3e-3, "ema": 0.5}


class Contrast(torch.nn.Module):
    """Stands for LPIPS, whose weights a test machine may lack: how far apart the two contrasts are."""

    def forward(self, image, reference):
        return (image.flatten(1).std(1) - reference.flatten(1).std(1)).abs()


@pytest.fixture(scope="module", autouse=True)
def contrast():
    with pytest.MonkeyPatch.context() as patch:
        for module in (flow, realism):
            patch.setattr(module, "load_lpips", lambda *_args, **_kw: Contrast())
        yield


@pytest.fixture(scope="module")
def run_settings(settings):
    codec = settings.stages[0].model_copy(update={"steps": 6})
    other = {"kind": "realism", "steps": 2, "warm_up": 1, "adversarial": 0.0}
    raw = settings.model_dump() | {"stages": [codec.model_dump(), other, STAGE]}
    return type(settings).model_validate(raw)


@pytest.fixture(scope="module")
def data(run_settings, folder):
    return TrainingData(run_settings, folder)


@pytest.fixture(scope="module")
def finished(run_settings, data, contrast, tmp_path_factory):
    """All stages; reports and trainer, and the folder as it was when the last had done five steps."""
    out = tmp_path_factory.mktemp("run")
    trainer, reports = Trainer(run_settings, data, out / "out"), []
    for report in trainer.run(report_every=1):
        reports.append(report)
        if report.stage == "3-flow" and report.step == 5:
            shutil.copytree(out / "out", out / "killed")
    return trainer, reports, out / "killed"


def test_only_the_flow_decoder_changes(finished):
    trainer, _, _ = finished
    before = load_file(trainer.folder / "2-realism" / "model.safetensors")
    after = load_file(trainer.folder / "model.safetensors")
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert {name.split(".")[0] for name in after.keys() - before.keys()} == {"flow"}
    assert after["flow.leave.0.weight"].any(), "it moved away from the fidelity decode"
    assert build_network(trainer.network_config, after).decoders == ("fidelity", "realism", "flow")


def test_it_learns_how_large_the_error_is(finished):
    _, reports, _ = finished
    likelihood = [r.values["likelihood"] for r in reports if r.stage == "3-flow"]
    assert sum(likelihood[-3:]) < sum(likelihood[:3])


def test_scores_name_the_decoder(finished):
    _, reports, _ = finished
    assert any(name.endswith("flow psnr@1.0") for name in reports[-1].validation)


def test_a_killed_run_ends_alike(finished, run_settings, data):
    trainer, _, killed = finished
    for _ in Trainer(run_settings, data, killed).run(report_every=1):
        pass
    left, right = (load_file(folder / "model.safetensors") for folder in (trainer.folder, killed))
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_a_codec_that_is_trained_on_leaves_it_behind(finished, run_settings, data, tmp_path):
    trainer, _, _ = finished
    start = str((trainer.folder / "model.safetensors").resolve())
    again = run_settings.model_copy(update={"stages": run_settings.stages[:1], "start_from": start})
    longer = Trainer(again, data, tmp_path)
    for _ in longer.run():
        pass
    assert not any(name.startswith("flow.") for name in load_file(tmp_path / "model.safetensors"))
    assert not longer.network_config.flow


@pytest.mark.parametrize("share", [0.0, 0.1, 0.32, 0.35, 0.6, 0.9, 0.95])
def test_a_perfect_decoder_agrees_with_itself(share):
    fidelity, target = torch.randn(2, 1, 16, 16), torch.randn(2, 1, 16, 16)
    rate = torch.ones(2)
    way = flow.Way(fidelity, fidelity + torch.randn_like(fidelity), target, rate, rate)

    def perfect(_x, _fidelity, _given, _where):
        return target

    end = way.end_by_segment(perfect, None, torch.full((2,), share))
    torch.testing.assert_close(end, target, atol=1e-4, rtol=1e-4)


def test_rho_is_a_share(settings):
    with pytest.raises(ValueError, match="rho: expected numbers from 0 to below 1"):
        type(settings).model_validate(settings.model_dump() | {"stages": [STAGE | {"rho": [1.5]}]})
