"""Trainer: it learns, and an interrupted run goes on as if it had not been interrupted."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from napari_rdpdenoise.codec.models import build_network
from napari_rdpdenoise.train.data.batches import TrainingData
from napari_rdpdenoise.train.log import TrainingLog, steps_kept
from napari_rdpdenoise.train.stages.fidelity import rate_distortion
from napari_rdpdenoise.train.trainer import Trainer


@pytest.fixture(scope="module")
def data(settings, folder) -> TrainingData:
    return TrainingData(settings, folder)


@pytest.fixture(scope="module")
def finished(settings, data, tmp_path_factory):
    """A run without interruption: its reports, its folder as it was at step 5, and its trainer."""
    out = tmp_path_factory.mktemp("run")
    trainer, steps, kept = Trainer(settings, data, out / "out"), [], out / "killed"
    for step in trainer.run(report_every=1):
        steps.append(step)
        if step.step == 5:  # what a SIGKILL between two checkpoints would leave
            shutil.copytree(out / "out", kept)
    return steps, kept, trainer


def losses(steps):
    return [(s.step, s.values) for s in steps]


def with_steps(settings, steps, **changes):
    stage = settings.stages[0].model_copy(update={"steps": steps, **changes})
    return settings.model_copy(update={"stages": (stage,)})


def network_of(trainer, settings):
    return trainer.loop.network if trainer.loop else trainer._loop(0, None).network


def test_training_lowers_the_error(settings, data, finished, tmp_path):
    """Not the loss itself: its weight ``1 / (D + balance)`` holds it near 1 while the error D is large."""

    def error(trainer):
        rates = torch.tensor([0.3, 0.9])
        with torch.no_grad():
            network = network_of(trainer, settings).train()
            rows = [rate_distortion(network, data.batch(k), rates, settings.stages[0])[1] for k in range(5)]
        return float(torch.stack(rows).mean())

    assert error(finished[2]) < 0.7 * error(Trainer(settings, data, tmp_path))


def test_progress_is_reported(settings, finished):
    steps = finished[0]
    assert [s.step for s in steps] == list(range(1, 21))
    assert all(np.isfinite([s.values[n] for n in ("loss", "distortion", "bpp")]).all() for s in steps)
    assert [s.step for s in steps if s.validation] == [5, 10, 15, 20]
    scores = steps[-1].validation
    assert {"clean psnr@0.25", "noisy psnr@1.0", "noisy bpp@0.6"} <= set(scores)
    assert scores["noisy bpp@1.0"] > scores["noisy bpp@0.25"] > 0


def test_a_killed_run_repeats_the_curve(settings, data, finished, tmp_path):
    steps, kept, trainer = finished
    resumed = Trainer(settings, data, shutil.copytree(kept, tmp_path / "out"))
    again = list(resumed.run(report_every=1))
    assert losses(again) == losses(steps[5:])
    assert again[-1].validation == steps[-1].validation
    for a, b in zip(resumed.loop.average.parameters(), trainer.loop.average.parameters(), strict=True):
        assert torch.equal(a, b)


def test_in_bfloat16_it_learns_as_well_and_what_auto_takes_is_what_pytorch_says(
    settings, data, finished, tmp_path, monkeypatch
):
    monkeypatch.delenv("RDPDENOISE_PRECISION")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    fast = list(Trainer(settings, data, tmp_path / "fast").run(report_every=1))
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    slow = Trainer(settings, data, tmp_path / "slow").run(report_every=1)
    assert losses([next(slow) for _ in range(3)]) == losses(finished[0][:3])
    slow.close()
    distances = [a.values["loss"] / b.values["loss"] - 1 for a, b in zip(fast, finished[0], strict=True)]
    assert 0 < np.abs(distances).max() < 0.1
    # precision decides how fast, not what is learned: the run may go on elsewhere
    elsewhere = settings.model_copy(update={"precision": "bfloat16"})
    again = Trainer(elsewhere, data, shutil.copytree(finished[1], tmp_path / "out"))
    assert next(again.run(report_every=1)).step == 6


def test_a_closed_run_goes_on_at_its_step(settings, data, finished, tmp_path):
    run = Trainer(settings, data, tmp_path).run(report_every=1)
    for _ in range(7):
        next(run)
    run.close()
    again = list(Trainer(settings, data, tmp_path).run(report_every=1))
    assert losses(again) == losses(finished[0][7:])


def test_means_between_reports_are_means(settings, data, finished, tmp_path):
    steps = list(Trainer(with_steps(settings, 8), data, tmp_path).run(report_every=3))
    assert [s.step for s in steps] == [3, 5, 6, 8]  # 5 and 8 validate
    # the schedule ends earlier than that of the finished run, so only the warm-up is the same
    expected = np.mean([s.values["loss"] for s in finished[0][:3]])
    assert steps[0].values["loss"] == pytest.approx(expected, rel=1e-6)
    assert 0.3 * expected < steps[2].values["loss"] < 3 * expected


def test_shipped_weights_are_the_average_and_nothing_else(settings, finished):
    trainer = finished[2]
    tensors = load_file(trainer.folder / "model.safetensors")
    assert {t.dtype for t in tensors.values()} == {torch.float16}
    assert not any("_double" in name or "cdf" in name for name in tensors)
    network = build_network(settings.network, tensors)
    for a, b in zip(network.parameters(), trainer.loop.average.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-2, rtol=2e-3)


def test_a_run_that_diverges_ends_in_words_and_keeps_what_was_good(settings, data, tmp_path):
    stage = settings.stages[0].model_copy(update={"steps": 60, "warm_up": 1})
    good = settings.model_copy(update={"stages": (stage,), "validate_every": 5})
    running = Trainer(good, data, tmp_path).run(5)
    next(running)
    loop = running.gi_frame.f_locals["self"].loop
    kept = loop.checkpoint.read_bytes()
    with torch.no_grad():
        loop.network.get_parameter("fidelity.layers.0.weight").mul_(1e12)
    with pytest.raises(
        ValueError, match=r"learning_rate: the error of 1-all-rates.* by step 25.*half of the"
    ):
        list(running)
    assert loop.checkpoint.read_bytes() == kept
    assert (tmp_path / "model.safetensors").is_file()


def test_other_settings_do_not_continue_a_checkpoint(settings, data, finished):
    other = with_steps(settings, 20, learning_rate=1e-4)
    with pytest.raises(ValueError, match="was made with other settings; give another --out folder"):
        next(Trainer(other, data, finished[2].folder).run())


def test_more_steps_continue_a_finished_run(settings, data, finished, tmp_path):
    shutil.copytree(finished[1], tmp_path / "out")
    longer = with_steps(settings, 6)
    assert [s.step for s in Trainer(longer, data, tmp_path / "out").run(report_every=1)] == [6]
    assert list(Trainer(longer, data, tmp_path / "out").run()) == []


def test_weights_to_start_from(settings, folder, finished, tmp_path):
    weights = finished[2].folder / "model.safetensors"
    started = settings.model_copy(update={"start_from": str(weights)})
    trainer = Trainer(started, TrainingData(started, folder), tmp_path)
    loop = trainer._loop(0, weights)
    for a, b in zip(loop.network.parameters(), finished[2].loop.average.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-2, rtol=2e-3)
    for a, b in zip(loop.network.parameters(), loop.average.parameters(), strict=True):
        assert torch.equal(a, b)
    missing = settings.model_copy(update={"start_from": "nowhere"})
    with pytest.raises(FileNotFoundError, match="start_from: no file"):
        Trainer(missing, TrainingData(missing, folder), tmp_path)


def _zip_of_code():
    """A pickle that would run a command."""
    import os
    import pickle

    class Command:
        def __reduce__(self):
            return os.system, ("echo harm",)

    return pickle.dumps(Command())


DAMAGE = {
    "empty": lambda _: b"",
    "half": lambda data: data[: len(data) // 2],
    "one byte less": lambda data: data[:-1],
    "zeros": lambda data: bytes(len(data)),
    "text": lambda _: b"something else",
    "code": lambda _: _zip_of_code(),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_checkpoint_is_named(settings, data, finished, tmp_path, damage):
    shutil.copytree(finished[1], tmp_path / "run")
    (checkpoint,) = (tmp_path / "run").glob("*/checkpoint.pt")
    checkpoint.write_bytes(damage(checkpoint.read_bytes()))
    with pytest.raises(
        ValueError, match=rf"state of a training in {checkpoint}, found another file .*delete"
    ):
        next(Trainer(settings, data, tmp_path / "run").run())
    with pytest.raises(ValueError, match=f"state of a training in {checkpoint}"):
        steps_kept(tmp_path / "run")


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.pop("settings"),
        lambda state: state.pop("step"),
        lambda state: state.pop("network"),
        lambda state: state.update(settings="{"),
        lambda state: state.update(step="many"),
        lambda state: state["network"].popitem(),
        lambda state: state.update(network=5),
    ],
)
def test_a_checkpoint_of_other_content_is_named(settings, data, finished, tmp_path, change):
    shutil.copytree(finished[1], tmp_path / "run")
    (checkpoint,) = (tmp_path / "run").glob("*/checkpoint.pt")
    state = torch.load(checkpoint, weights_only=True)
    change(state)
    torch.save(state, checkpoint)
    with pytest.raises(ValueError, match=rf"{checkpoint} is the state of another training .*delete"):
        next(Trainer(settings, data, tmp_path / "run").run())


def test_a_damaged_log_is_continued(tmp_path):
    path = tmp_path / "training.jsonl"
    path.write_text('5\n[]\n{"stage": "a"}\n{"stage": ')
    assert TrainingLog(path).entries() == []
    assert TrainingLog(path).seconds == 0
