"""The log of a run's steps, over interruptions."""

from __future__ import annotations

import pytest

from napari_rdpdenoise.train.log import TrainingLog
from napari_rdpdenoise.train.loop import TrainProgress


def progress(step, seconds=0.0, stage="1-adapt"):
    return TrainProgress(stage, step, 100, {"loss": 1.0 / step}, seconds, {})


def steps(path):
    return [(entry["stage"], entry["step"]) for entry in TrainingLog(path).entries()]


def test_what_a_killed_run_did_beyond_its_checkpoint_is_told_once(tmp_path):
    path = tmp_path / "training.jsonl"
    log = TrainingLog(path)
    log.add(progress(50, 9.0, "0-before"))
    for step in (10, 20, 30, 40):
        log.add(progress(step, float(step)))
    again = TrainingLog(path)  # the checkpoint was that of step 20
    again.add(progress(30, 5.0))
    assert steps(path) == [("0-before", 50), ("1-adapt", 10), ("1-adapt", 20), ("1-adapt", 30)]
    assert again.seconds == pytest.approx(9.0 + 20.0 + 5.0)


def test_a_line_that_was_cut_off_does_not_spoil_the_next(tmp_path):
    path = tmp_path / "training.jsonl"
    TrainingLog(path).add(progress(10))
    with path.open("a") as file:
        file.write('{"stage": "1-ad')
    log = TrainingLog(path)
    for step in (20, 30):
        log.add(progress(step))
    assert steps(path) == [("1-adapt", 10), ("1-adapt", 20), ("1-adapt", 30)]
