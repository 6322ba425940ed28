"""What the fine-tuning benchmarks compute where a mistake would not show."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import finetune_memory, finetune_resume, finetune_unpaired, finetune_zeroshot
from benchmarks.images import folder_of


@pytest.fixture
def images():
    try:
        return folder_of("test")
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("growth", [0.0, 30.0])
def test_slope_is_of_the_hours_after_the_first_tenth(growth):
    samples = [(m, 500 * min(m / 6, 1) + growth * m / 60, m) for m in np.linspace(0, 120, 121)]
    assert finetune_memory.slope(samples) == pytest.approx(growth, abs=1e-6)


def test_a_curve_takes_the_later_of_a_step_that_was_done_twice(tmp_path):
    rows = [
        {"step": s, "values": {"loss": v}, "validation": {}} for s, v in ((10, 1.0), (20, 2.0), (20, 3.0))
    ]
    lines = [json.dumps(row) for row in rows]
    (tmp_path / "training.jsonl").write_text("\n".join([*lines, '{"step": 30, "val']))
    assert finetune_resume._curve(tmp_path) == {"10": {"loss": 1.0}, "20": {"loss": 3.0}}


def test_curves_of_other_steps_are_infinitely_different():
    one, other = {"10": {"loss": 1.0}}, {"10": {"loss": 1.5}}
    assert finetune_resume._differences(one, other) == [0.5]
    assert finetune_resume._differences(one, one | {"20": {"loss": 1.0}}) == [float("inf")]


@pytest.mark.parametrize("level", [25.0, -25.0])
def test_noise_is_the_published_one(level):
    clean = np.full((256, 256), 100.0)
    noisy, _ = finetune_zeroshot.with_noise(clean, level)
    expected = level**2 if level > 0 else 100 * 255 / 25
    assert noisy.mean() == pytest.approx(100, abs=0.5)
    assert noisy.var() == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("name", finetune_unpaired.DOMAINS)
def test_nothing_that_is_scored_is_among_the_references(images, name):
    domain = finetune_unpaired.DOMAINS[name]()
    scored = {clean for part in (domain.tuned, domain.fresh) for _, clean in part}
    assert scored
    assert not scored & set(domain.references)
    assert not {p for p, _ in domain.tuned} & {p for p, _ in domain.fresh}
    if name.startswith("fmd"):  # no reference is of the specimen, whatever the microscope
        specimen = domain.title.split()[-1]
        assert not [path for path in domain.references if specimen in path.name]
        assert all(specimen in path.name for path in scored)


def test_a_photograph_that_settings_are_chosen_on_is_not_reported():
    assert not set(finetune_zeroshot.PHOTOGRAPHS) & set(finetune_zeroshot.DEVELOPMENT)
