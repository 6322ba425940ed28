"""Estimates of a training's time from made-up clocks."""

from __future__ import annotations

import pytest

from napari_rdpdenoise.ui.finetune.pace import Pace


def measured(step=2.0, look=30.0, every=10, aside=0.0):
    pace = Pace(every)
    pace.add_start(look + step, judged=True)
    for number in range(1, 20):
        if number % every:
            pace.add_step(0, step)
        else:
            pace.add_validation(0, step + look)
    pace.add_picture(aside)
    return pace


def test_nothing_is_known_before_the_first_step():
    pace = Pace(10)
    pace.add_start(40.0, judged=True)
    assert pace.left([(0, 5)]) is None
    assert pace.left([(0, 0)]) == 0
    assert not pace.known(0)
    with pytest.raises(ValueError, match="steps were measured"):
        pace.fitting(0, 100)


@pytest.mark.parametrize(("steps", "looks"), [(10, 1), (11, 2), (95, 10)])
def test_steps_and_looks_are_counted(steps, looks):
    assert measured().left([(0, steps)]) == pytest.approx(2 * steps + 30 * looks)


def test_before_the_first_look_the_judging_of_the_start_stands_for_it():
    pace = Pace(10)
    pace.add_start(32.0, judged=True)
    for _ in range(4):
        pace.add_step(0, 2.0)
    assert pace.left([(0, 10)]) == pytest.approx(20 + 30)


def test_one_slow_step_does_not_change_the_estimate():
    pace = measured()
    before = pace.left([(0, 50)])
    pace.add_step(0, 500.0)
    assert pace.left([(0, 50)]) == pytest.approx(before)


def test_pictures_are_in_the_estimate():
    plain, shown = measured(), measured(aside=measured().spent)  # as long as all the rest
    assert shown.left([(0, 30)]) == pytest.approx(2 * plain.left([(0, 30)]))


def test_a_stage_that_was_not_measured_is_as_slow_as_the_slowest_that_was():
    assert measured(look=0.0).left([(0, 10), (1, 10)]) == pytest.approx(40)


@pytest.mark.parametrize("seconds", [50, 100, 333, 1000])
@pytest.mark.parametrize("look", [0.0, 30.0])
def test_what_fits_takes_no_longer_and_a_few_steps_more_would(seconds, look):
    pace = measured(look=look)
    steps = pace.fitting(0, seconds)
    assert pace.left([(0, steps)]) <= max(seconds, 2 + look)
    assert pace.left([(0, steps + 21)]) > seconds


def test_at_least_one_step_fits_always():
    assert measured().fitting(0, -5.0) == 1
