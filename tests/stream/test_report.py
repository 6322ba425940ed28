"""Progress figures."""

from __future__ import annotations

import math

import pytest

from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.stream import ChannelReport, RunReport
from napari_rdpdenoise.stream.report import Counts, Tally, error_words, percent_words


def test_before_the_first_tile_nothing_is_known():
    step = Tally(5).progress(1_000_000, "hello")
    assert (step.done, step.total, step.mpps, step.message) == (0, 5, 0.0, "hello")
    assert math.isnan(step.eta_s)
    assert math.isnan(step.bpp)


def test_speed_and_time_left_follow_from_the_pixels(monkeypatch):
    from napari_rdpdenoise.stream import report

    now = [100.0]
    monkeypatch.setattr(report.time, "monotonic", lambda: now[0])
    tally = Tally(4)
    tally.restart_clock()
    tally.done, tally.pixels, tally.counts = 2, 3_000_000, Counts(2e6, 4_000_000)
    now[0] = 106.0
    step = tally.progress(1_000_000)
    assert (step.mpps, step.eta_s, step.bpp) == pytest.approx((0.5, 2.0, 0.5))
    assert tally.messages == []


def test_the_rate_of_a_run_is_the_mean_of_its_channels():
    noise = NoiseModel(1.0, 0.0, 1.0)
    channels = tuple(ChannelReport(c, noise, rate, None, None) for c, rate in enumerate((0.2, 0.6)))
    assert RunReport(channels, 0.1, 0, 1, 0, 1, 1.0, 1.0, (), None).rate == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("found", "expected", "blank"), [(0.0, 1.0, True), (0.5, 1.0, False), (None, None, False)]
)
def test_a_run_is_blank_where_no_channel_had_noise(found, expected, blank):
    noise = NoiseModel(1.0, 0.0, 1.0)
    channels = ChannelReport(0, noise, 1.0, expected, found), ChannelReport(1, noise, 1.0, 1.0, 0.0)
    assert RunReport(channels, 0.1, 0, 1, 0, 1, 1.0, 1.0, (), None).blank is blank


@pytest.mark.parametrize(
    ("share", "words"), [(0.00123, "0.12 %"), (0.25, "25 %"), (0.999, "100 %"), (1.0, "100 %")]
)
def test_a_share_is_never_written_with_an_exponent(share, words):
    assert percent_words(share) == words


@pytest.mark.parametrize(
    ("error", "structure", "words"),
    [
        (0.1, False, "expected error 10 dB below the noise"),
        (0.1, True, "expected error 10 dB below the noise, some structure taken from the input"),
        (1.0, False, "expected error as large as the noise"),
        (2.0, False, "expected error 3 dB above the noise"),
        (None, True, "some structure taken from the input"),
        (-0.05, False, ""),
    ],
)
def test_what_is_expected_is_said_in_words(error, structure, words):
    assert error_words(error, structure) == words


def test_regions_of_one_value_are_counted_and_told():
    counts = Counts(defects=1, unseen=400) + Counts(unseen=2)
    assert Counts.from_word(counts.word) == counts
    defect, unseen = counts.found_words("replace")
    assert "1 hot or cold pixel" in defect
    assert "402 pixels lie in regions of exactly one value" in unseen
    assert Counts().found_words("keep") == []
