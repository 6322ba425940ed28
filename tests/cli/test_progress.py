from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from napari_rdpdenoise.cli.progress import describe, duration, follow, summary
from napari_rdpdenoise.jobs.job import Outcome
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.stream.report import ChannelReport, Progress, RunReport

NAN = float("nan")


def report(**changes) -> RunReport:
    channel = ChannelReport(1, NoiseModel(2.0, 100.0, 3.0), 0.6, 1.0, 1.01)
    values = {
        "channels": (channel,), "bpp": 0.25, "clipped": 0, "tiles": 4, "cache_hits": 1, "encoder_calls": 2,
        "seconds": 75.0, "mpps": 1.5, "messages": (), "path": None, **changes,
    }  # fmt: skip
    return RunReport(**values)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (42, "42 s"), (59.6, "1:00 min"), (185, "3:05 min"), (7800, "2:10 h")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_state_in_words():
    state = Progress(1, 4, 2.0, 65.0, 0.3, 2, 1)
    assert describe(state) == "2.00 MP/s, 1:05 min left, 0.300 bpp, 2 from the cache"
    assert describe(Progress(0, 4, 0.0, NAN, NAN, 0, 0)) == ""


def test_follow_tells_every_message_once_and_returns_the_report(capsys):
    def running():
        yield Progress(0, 0, 0.0, NAN, NAN, 0, 0, "measuring the noise")
        yield Progress(1, 2, 1.0, 1.0, 0.2, 0, 1, "saturated")
        yield Progress(2, 2, 1.0, 0.0, 0.2, 0, 1)
        return outcome

    outcome = Outcome(report(messages=("saturated", "at the end")), SimpleNamespace(dtype=np.dtype("uint8")))
    assert follow(running(), "a.tif") is outcome
    # older versions of rich end with an empty line
    told = [line for line in capsys.readouterr().err.splitlines() if line]
    assert told[:3] == ["a.tif: measuring the noise", "a.tif: saturated", "a.tif: at the end"]
    assert told[3:] == [f"a.tif: {line}" for line in summary(outcome.report, "uint8")]


def test_an_interruption_closes_the_stream():
    closed = []

    def running():
        try:
            yield Progress(0, 1, 0.0, NAN, NAN, 0, 0)
            raise KeyboardInterrupt
        finally:
            closed.append(True)
        return report()

    with pytest.raises(KeyboardInterrupt):
        follow(running(), "a.tif")
    assert closed == [True]


def test_summary_tells_rate_noise_residual_speed_bits_and_cache():
    channel, run = summary(report(), "uint8")
    assert channel == (
        "channel 1: rate 0.60, noise gain 2, offset 100, read noise 3 counts, "
        "residual 1.010 found, 1.000 expected (noise variances)"
    )
    assert run == "4 tiles in 1:15 min, 1.50 MP/s, 0.250 bpp, 1 from the cache, 2 encoder calls"


def test_summary_tells_clipping_and_runs_with_nothing_left():
    assert summary(report(clipped=7), "uint8")[-1].startswith("7 values did not fit uint8 and were")
    assert summary(report(clipped=1), "uint8")[-1].startswith("1 value did not fit uint8 and was")
    assert "nothing to encode" in summary(report(bpp=NAN), "uint8")[1]
