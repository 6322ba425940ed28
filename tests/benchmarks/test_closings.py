"""What the benchmark of closings counts as a good end."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.closings import Closing, table

ASKED = ("Confirm to close window: RDP Denoise: Denoising cells",)


@pytest.mark.parametrize(
    ("closing", "fine"),
    [
        (Closing("loading", 1.0, 0, 3.0, ()), True),
        (Closing("loading", 1.0, -6, 3.0, ()), False),
        (Closing("loading", 1.0, None, 3.0, ()), False),
        (Closing("running", 1.0, 0, 3.0, ASKED), True),
        (Closing("running", 1.0, 0, 3.0, ("Confirm to close window",)), False),
        (Closing("training", 1.0, 0, 3.0, ASKED), False),
    ],
)
def test_a_good_end_has_exit_status_0_and_asked_where_work_was_under_way(closing, fine):
    assert closing.fine == fine


def test_a_window_that_was_never_closed_does_not_count():
    found = [Closing("loading", 1.0, 0, 3.0, ()), Closing("previewing", 1.0, None, float("nan"), ())]
    rows = [asdict(one) | {"fine": one.fine, "closed": one.closed} for one in found]
    words = table({"result": {"closings": rows, "load": []}})
    assert words.startswith("1 of 1 windows")
    assert "1 more did not come to their moment" in words
