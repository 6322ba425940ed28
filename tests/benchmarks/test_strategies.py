"""The comparison of training strategies: what it trains on and what it shows."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.strategies import (
    PAIRS,
    SHOWN,
    START,
    STRATEGIES,
    held_out,
    plain,
    settings_for,
    start_tensors,
    table,
)
from napari_rdpdenoise import load_model
from napari_rdpdenoise.codec.models import build_network
from napari_rdpdenoise.train.data.images import image_files

# of the folders that are scored: W2S fields, and the first two digits of nuclei
SCORED = {"w2s/noisy": PAIRS["hold_out"], "w2s/clean": PAIRS["hold_out"], "dsb2018": ("00", "01")}


def options(**changes):
    given = {"model": "default", "device": "cpu", "threads": 1, "limit": 2}
    return argparse.Namespace(**{**given, **changes})


@pytest.mark.parametrize("name", STRATEGIES)
def test_no_strategy_trains_on_what_is_scored(name):
    settings = settings_for(name, 20, options(), None)
    assert settings.stages[0].steps == 20
    for source in settings.sources:
        for stem in SCORED.get(source.folder, ()):
            assert stem.startswith(source.hold_out), f"{source.folder} {stem} is trained on"


def test_the_scored_images_are_the_held_out_ones(data_folder):
    root = data_folder / "data" / "train"
    images = held_out(root)
    fields = [f for f in image_files(root / "w2s" / "noisy") if f.stem.startswith(PAIRS["hold_out"])]
    assert sum(image.source == "W2S" for image in images) == len(fields)
    assert {image.source for image in images} == {title for title, _ in SHOWN}
    assert [image.source for image in held_out(root, 1)] == ["W2S", "DSB2018", "W2S clean"]
    again = held_out(root)
    assert all((a.noisy == b.noisy).all() for a, b in zip(images, again, strict=True))


def test_the_start_is_the_codec_alone():
    codec = load_model("default", "cpu")
    network = build_network(plain(codec), start_tensors(codec))
    assert network.decoders == ("fidelity",)


def test_the_table_has_a_row_for_each_that_is_done():
    scores = {f"{title} {kind}@{rate}": 30.0 for title, rate in SHOWN for kind in ("psnr", "bpp")}
    runs = {START: {"scores": scores}, "UD": {"scores": scores, "seconds_per_step": 0.5}}
    result = {"runs": runs, "images": {"W2S": 6}, "limit": None, "minutes": 4.0, "steps": 9}
    lines = table({"result": {**result, "from_scratch": False}}).splitlines()
    assert len([line for line in lines if line.startswith("| UD: ")]) == 1
    assert len([line for line in lines if line.startswith("|")]) == 4
    assert "9 steps from the model's weights (4 minutes of strategy N)" in lines[0]
