from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from napari_rdpdenoise.ui import state as dock
from napari_rdpdenoise.ui.state import DockState, Phase

READY = DockState(layer="cells", realism_note=None)


def progress(done, total, **more):
    values = {"mpps": 1.5, "eta_s": 75.0, "bpp": 0.42, "message": None}
    return SimpleNamespace(done=done, total=total, **{**values, **more})


def test_nothing_starts_without_a_layer():
    assert not DockState().can_start
    assert "Open an image" in DockState().preview_line
    assert READY.can_start


def test_phases_of_a_cancelled_run():
    running = dock.started(READY)
    assert (running.can_start, running.can_cancel, running.busy) == (False, True, True)
    stopping = dock.cancelling(running)
    assert (stopping.can_start, stopping.can_cancel) == (False, False)
    late = dock.progressed(stopping, progress(2, 4))
    assert late.phase is Phase.CANCELLING
    assert late.status == stopping.status
    stopped = dock.cancelled(late)
    assert (stopped.can_start, stopped.done, stopped.total) == (True, 0, 0)


def test_who_cancels_is_told_what_is_waited_for():
    begun = dock.started(READY)
    assert dock.cancelling(begun).status == "Stopping after this step: loading the model…"
    measuring = dock.progressed(begun, progress(0, 0, message="measuring the noise"))
    assert dock.cancelling(measuring).status == "Stopping…", "nothing is waited for"
    of_channels = dock.progressed(begun, progress(0, 0, message="channel 1: measuring the noise"))
    assert dock.cancelling(of_channels).status == "Stopping…"
    reading = dock.progressed(begun, progress(0, 0, message="Reading the image once."))
    assert dock.cancelling(reading).status == "Stopping after this step: reading the image once…"
    computing = dock.progressed(measuring, progress(1, 4))
    assert dock.cancelling(computing).status == "Stopping after the block in work."


def test_that_the_same_goes_on_changes_no_words():
    measuring = dock.progressed(dock.started(READY), progress(0, 0, message="measuring the noise"))
    assert dock.progressed(measuring, progress(0, 0)).status == measuring.status


def test_settings_follow_the_controls():
    assert READY.settings().rate == "auto"
    assert replace(READY, auto_rate=False, rate=0.25).settings().rate == 0.25
    assert replace(READY, realism=0.75).settings().realism == 0.75


def test_realism_that_is_not_offered_is_not_asked_for():
    assert replace(READY, realism=0.75, realism_note="no such decoder").settings().realism == 0.0


def test_progress_line_names_tiles_speed_time_and_bits():
    line = dock.progressed(dock.started(READY), progress(3, 12)).status
    assert line == "3 of 12 blocks, 1 min 15 s left"


@pytest.mark.parametrize("unknown", [None, float("nan"), float("inf")])
def test_progress_line_leaves_out_what_is_not_known(unknown):
    report = progress(0, 12, mpps=unknown, eta_s=unknown, bpp=unknown)
    line = dock.progressed(dock.started(READY), report).status
    assert line == "0 of 12 blocks"


def test_message_is_shown_before_tiles_are_counted():
    assert dock.progressed(dock.started(READY), progress(0, 0, message="measuring the noise")).status == (
        "Measuring the noise…"
    )


def test_finished_reports_rate_and_bits():
    report = SimpleNamespace(
        seconds=2.0, rate=0.625, blank=False, bpp=0.4, messages=("The noise was shared.",)
    )
    done = dock.finished(dock.started(READY), report)
    assert done.can_start
    assert (
        done.status == "Done in 2.0 s, rate 0.62 (auto), 0.40 bits/pixel on average.\n! The noise was shared."
    )


def test_a_run_without_noise_reports_no_rate_that_nothing_was_denoised_by():
    report = SimpleNamespace(seconds=2.0, rate=1.0, blank=True, bpp=0.04, messages=())
    assert dock.finished(dock.started(READY), report).status == "Done in 2.0 s, no noise to remove."


def test_an_error_without_words_is_named():
    assert dock.failed(READY, MemoryError()).status == "Failed: MemoryError."


@pytest.mark.parametrize("words", ["image: found bool; give another", "Choose a layer.", "Really?"])
def test_an_error_ends_with_one_stop(words):
    assert dock.describe(ValueError(words)) == words + ("" if words.endswith((".", "?")) else ".")


def test_the_automatic_rate_is_not_shown_before_it_is_known_and_an_end_of_the_scale_is_explained():
    waits = replace(READY, working="Measuring the noise", outcome="0.1 bits/pixel")
    assert waits.shown_rate is None
    assert waits.rate_words == "not known yet"
    assert replace(waits, working="", requested=4, shown=4).rate_words == "not known yet"
    assert replace(waits, working="").rate_words == "", "nothing is looked at"
    found = replace(waits, found_rate=0.7, working="")
    assert (found.shown_rate, found.rate_words) == (0.7, "0.1 bits/pixel")
    assert "weak end" in replace(found, found_rate=1.0).rate_words
    blank = replace(found, found_rate=None, no_rate="no noise to remove")
    assert (blank.shown_rate, blank.rate_words) == (None, "no noise to remove")
    assert replace(blank, auto_rate=False, rate=0.3).shown_rate == 0.3
    chosen = replace(found, auto_rate=False, rate=1.0)
    assert (chosen.shown_rate, chosen.rate_words) == (1.0, "0.1 bits/pixel")
