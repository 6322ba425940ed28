"""What the fine-tuning box says."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_rdpdenoise.metrics.backbones import load_backbone
from napari_rdpdenoise.metrics.errors import MetricUnavailable
from napari_rdpdenoise.ui.finetune.events import Checked, Done, Failed, Progress
from napari_rdpdenoise.ui.finetune.words import (
    breakable,
    checked_words,
    done_words,
    duration_words,
    failed_words,
    folder_hint,
    model_name,
    progress_words,
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "5 s"),
        (41, "45 s"),
        (56, "1 min"),
        (61, "2 min"),
        (3540, "59 min"),
        (3599, "1 h 0 min"),
        (7801, "2 h 11 min"),
    ],
)
def test_durations_are_rounded_up(seconds, words):
    assert duration_words(seconds) == words


def test_progress_tells_the_step_the_time_and_the_best():
    assert progress_words(Progress(1, 9, {})) == "Step 1 of 9, measuring the time."
    words = progress_words(Progress(5, 9, {}, best=4, left_s=125))
    assert words == "Step 5 of 9, up to 3 min left. Best so far: step 4."
    assert "the model it started from" in progress_words(Progress(5, 9, {}, best=0, left_s=1))


def test_remarks_and_reports_are_sentences():
    past = (Progress(40, 90, {}),)
    words = checked_words(Checked(("a dim reference",), 0.75, "cpu", "error", past)).splitlines()
    assert words[0].startswith(
        "The rate that matches the noise is 0.75; training on the processor. Preview and runs"
    )
    assert words[1:] == ["Goes on from step 40.", "A dim reference."]
    assert "Preview" not in checked_words(Checked((), 0.75, "cuda", "error"))
    assert done_words(Done(True, ("it is better", "mean off by 1 %."), Path("o"))) == (
        "It is better.\nMean off by 1 %."
    )


def test_networks_that_are_missing_are_fetched_in_the_dock_and_not_by_a_command(tmp_path):
    with pytest.raises(MetricUnavailable) as missing:
        load_backbone("alexnet", tmp_path)
    remark = f"no simulated exposures, and textures are compared roughly: {missing.value}"
    words = checked_words(Checked((remark,), 0.75, "cuda", "error")).splitlines()[-1]
    assert words.startswith("No simulated exposures, and textures are compared roughly: networks")
    assert "under Check" in words
    assert "napari-rdpdenoise" not in words


def test_paths_may_be_broken_and_nothing_else_changes():
    path = "/home/someone/images/of/many/cells/in/a_folder.tif"
    words = failed_words(Failed(ValueError(f"found nothing at {path}; check the path")))
    assert max(len(part) for part in words.replace("\u200b", " ").split()) < 20
    assert words.replace("\u200b", "") == f"Stopped: found nothing at {path}; check the path."
    assert breakable("short a/b.tif") == "short a/b.tif"
    assert failed_words(Failed(MemoryError())) == "Stopped: MemoryError."


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        ("cells", "cells-pairs"),
        ("a/b: c*", "a-b-c-pairs"),
        ("..", "images-pairs"),
        ("", "images-pairs"),
        ("x" * 90, None),
    ],
)
def test_names_are_names_of_folders(layer, name, tmp_path):
    made = model_name(layer, "pairs")
    assert name is None or made == name
    assert len(made) <= 50
    (tmp_path / made).mkdir()
    assert [path.name for path in tmp_path.iterdir()] == [made]


def test_hints_tell_what_a_start_would_do(tmp_path):
    assert folder_hint(tmp_path / "new") == ""
    (tmp_path / "training").mkdir()
    assert folder_hint(tmp_path) == ""
    (tmp_path / "training" / "run.json").write_text("{}")
    assert "unfinished" in folder_hint(tmp_path)
    (tmp_path / "report.txt").write_text("no")
    assert "no better" in folder_hint(tmp_path)
    (tmp_path / "card.yaml").write_text("x")
    assert "There is a model of this name" in folder_hint(tmp_path)
    (tmp_path / "training" / "run.json").unlink()
    assert "another model" in folder_hint(tmp_path)
