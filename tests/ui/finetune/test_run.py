"""The dock's fine-tuning without a window: a tiny model with random weights, a few steps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from simulated_cells import camera, cells

from napari_rdpdenoise.ui.finetune import run as finetune
from napari_rdpdenoise.ui.finetune.events import Checked, Crop, Done, Failed, Progress, Task
from napari_rdpdenoise.ui.finetune.plan import plain_images
from napari_rdpdenoise.ui.finetune.run import events
from napari_rdpdenoise.ui.layers.stacks import Stack

QUICK = {"batch": 1, "crop": 64, "validate_every": 2, "rate": 0.8, "learning_rate": 1e-3}


NOISY = np.stack([camera(cells(k), 0.01, k) for k in range(2)])
CLEAN = np.stack([camera(cells(k), 1.0, k) for k in (7, 8, 9)])
PARTNERS = np.stack([3000 * cells(k) for k in range(2)])


def stack(data, name="cells", axes="TYX"):
    return Stack(name, data, axes)


def task(model, out, kind="zeroshot", others=None, **changes):
    # a decoder that begins as a copy of its target learns nothing while the critic is alone
    own = {"unpaired": {"critic_steps": 1, "critic_alone": 0}, "pairs": {"realism_steps": 0}}
    settings = QUICK | own.get(kind, {}) | changes.pop("settings", {})
    return Task(
        kind,
        stack(NOISY),
        others,
        Path(out),
        str(model),
        "cpu",
        settings=settings,
        **({"steps": 3} | changes),
    )


def of(kind, found):
    return [event for event in found if isinstance(event, kind)]


@pytest.mark.parametrize(
    ("kind", "others", "goal"),
    [
        ("zeroshot", None, "error"),
        ("unpaired", stack(CLEAN, "clean"), "texture or lpips"),  # by what is on this machine
        ("pairs", stack(PARTNERS, "partners"), "pairs"),
    ],
)
def test_a_training_tells_everything_in_order(tiny_model, tmp_path, kind, others, goal):
    found = list(events(task(tiny_model, tmp_path / "o", kind, others)))
    assert not of(Failed, found), found[-1]
    kinds = [type(event).__name__ for event in found]
    assert kinds[:3] == ["Preparing", "Checked", "Progress"]
    assert kinds[-1] == "Done"
    (checked,) = of(Checked, found)
    assert (checked.rate, checked.device, checked.past) == (0.8, "cpu", ())
    assert checked.goal in goal.split(" or ")
    steps = of(Progress, found)
    assert [(p.step, p.steps) for p in steps] == [(1, 3), (2, 3), (3, 3)]
    assert [p.held_out is not None for p in steps] == [False, True, True]
    assert steps[-1].left_s == 0
    assert all(np.isfinite(p.before) for p in steps)
    assert {"loss", "bpp"} <= set(steps[0].values)
    assert ("critic" in steps[0].values) == (kind == "unpaired")
    crops = of(Crop, found)
    assert crops
    for crop in crops:
        assert crop.noisy.shape == crop.before.shape == crop.after.shape
        assert min(crop.noisy.shape) >= 44
        assert np.isfinite(crop.after).all()
    assert not np.array_equal(crops[-1].before, crops[-1].after)
    assert found[-1].out == tmp_path / "o"
    assert not [word for word in found[-1].words if "denoise with" in word]


def test_the_held_out_figure_is_the_verdicts(tiny_model, tmp_path):
    found = list(events(task(tiny_model, tmp_path / "o", steps=4)))
    rows = json.loads((tmp_path / "o" / "training" / "guard.json").read_text())["rows"]
    told = [(p.step, p.held_out) for p in of(Progress, found) if p.held_out is not None]
    assert told == [(row["step"], row["figures"]["error"]) for row in rows[1:]]
    assert of(Progress, found)[0].before == rows[0]["figures"]["error"]


def test_a_better_model_is_reported_and_one_that_is_not_keeps_the_old(tiny_model, tmp_path):
    better = list(events(task(tiny_model, tmp_path / "a", steps=40, settings={"validate_every": 20})))[-1]
    assert better.better, better
    assert (tmp_path / "a" / "card.yaml").is_file()
    worse = list(events(task(tiny_model, tmp_path / "b", settings={"learning_rate": 1e-12})))[-1]
    assert not worse.better
    assert "the old one is kept" in worse.words[0]
    assert not (tmp_path / "b" / "card.yaml").exists()


def test_closed_it_saves_and_the_same_task_goes_on_to_the_same_curve(tiny_model, tmp_path):
    whole = [
        (p.step, p.values) for p in of(Progress, list(events(task(tiny_model, tmp_path / "a", steps=5))))
    ]
    running = events(task(tiny_model, tmp_path / "b", steps=5))
    for event in running:
        if isinstance(event, Progress) and event.step == 3:
            break
    running.close()
    assert (tmp_path / "b" / "training" / "1-adapt" / "checkpoint.pt").is_file()
    again = list(events(task(tiny_model, tmp_path / "b", steps=5)))
    past = of(Checked, again)[0].past
    assert [p.step for p in past] == [1, 2, 3]
    assert [(p.step, p.values) for p in (*past, *of(Progress, again))] == whole


def test_minutes_end_the_training_where_they_end(tiny_model, tmp_path, monkeypatch):
    """By a clock that every step moves by ten seconds: the usual 1500 steps do not fit into two minutes."""
    from napari_rdpdenoise.train.stages.adapt import AdaptLoop

    now = [0.0]
    original = AdaptLoop.train_step

    def slow(self, batch):
        now[0] += 10
        return original(self, batch)

    monkeypatch.setattr(AdaptLoop, "train_step", slow)
    monkeypatch.setattr(finetune.time, "monotonic", lambda: now[0])
    found = list(
        events(task(tiny_model, tmp_path / "o", steps=None, minutes=2, settings={"validate_every": 50}))
    )
    assert isinstance(found[-1], Done), found[-1]
    last = of(Progress, found)[-1]
    assert last.step == last.steps
    assert 60 < now[0] <= 130
    assert last.held_out is not None, "the last step is judged"
    assert of(Progress, found)[5].left_s == pytest.approx(10 * (last.steps - 6), rel=0.2)


def test_minutes_that_are_enough_change_nothing(tiny_model, tmp_path):
    found = list(events(task(tiny_model, tmp_path / "o", steps=8, minutes=60)))
    assert [p.step for p in of(Progress, found)] == list(range(1, 9))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "unpaired"}, "references: expected a layer or a folder"),
        ({"kind": "unpaired", "others": stack(NOISY)}, "none of use"),
        ({"kind": "unpaired", "others": Path("/nowhere/at/all")}, "nowhere"),
        ({"kind": "pairs", "others": stack(PARTNERS[:1])}, "partner"),
        ({"others": None, "steps": 0}, "steps"),
    ],
)
def test_refusals_are_an_event(tiny_model, tmp_path, changes, words):
    last = list(events(task(tiny_model, tmp_path / "o", **changes)))[-1]
    assert isinstance(last, Failed)
    assert words in str(last.error)
    assert not (tmp_path / "o").exists()


def test_channels_are_refused_and_planes_in_any_order_of_axes_are_read(tiny_model, tmp_path):
    two = Stack("cells", NOISY[:, None].repeat(2, 1), "TCYX")
    last = list(events(Task("zeroshot", two, None, tmp_path / "o", str(tiny_model), "cpu")))[-1]
    assert "split the layer" in str(last.error)
    images, notes = plain_images(Stack("cells", NOISY.transpose(2, 0, 1), "XTY"), "noisy")
    assert notes == ()
    np.testing.assert_array_equal(images, NOISY)
    assert not np.shares_memory(images[0], NOISY)


def test_of_very_many_planes_an_even_share_is_read():
    class Counted:
        shape, dtype, taken = (1000, 70, 80), np.dtype(np.uint16), 0

        def __getitem__(self, where):
            type(self).taken += 1
            return np.full((70, 80), where[0], np.uint16)

    images, (note,) = plain_images(Stack("film", Counted(), "TYX"), "noisy")
    assert len(images) == Counted.taken == 256
    assert "744 planes of film" in note
    assert (images[0][0, 0], images[-1][0, 0]) == (0, 999)


def test_threads_of_torch_are_given_back(tiny_model, tmp_path, monkeypatch):
    import torch

    seen = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(torch, "set_num_threads", seen.append)
    list(events(task(tiny_model, tmp_path / "o", kind="unpaired")))
    assert seen == [2, 3]


def test_what_a_killed_training_did_beyond_its_checkpoint_is_not_shown(tiny_model, tmp_path):
    out = tmp_path / "o"
    list(events(task(tiny_model, out, steps=4)))
    lost = json.loads((out / "training.jsonl").read_text().splitlines()[-1]) | {"step": 5}
    with (out / "training.jsonl").open("a") as file:
        file.write(json.dumps(lost) + "\n")
    (checked,) = of(Checked, list(events(task(tiny_model, out, steps=6))))
    assert [p.step for p in checked.past] == [1, 2, 3, 4]


def test_the_best_step_counts_those_of_the_stages_before():
    from types import SimpleNamespace

    stages = [SimpleNamespace(steps=600), SimpleNamespace(steps=300)]
    plan = SimpleNamespace(train=SimpleNamespace(stages=stages), settings=SimpleNamespace(validate_every=50))
    run = finetune._TimedTraining(None, plan, "cpu", 0.0)
    guard = SimpleNamespace(best=SimpleNamespace(step=100))
    assert run._judged_step(guard) == 700
    guard.best.step = 0
    assert run._judged_step(guard) == 0
