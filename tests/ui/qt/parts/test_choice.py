"""A list to choose from that shows as much of a name as fits."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.display

NAME = "2026-11-29_experiment_with_all_of_it_in_the_name_position_003_well_B7"


@pytest.mark.parametrize("width", [90, 180, 900])
def test_a_long_name_loses_its_middle_and_widens_nothing(qtbot, width):
    from napari_rdpdenoise.ui.qt.parts.choice import Choice

    choice = Choice()
    qtbot.addWidget(choice)
    choice.addItems([NAME, "b"])
    choice.resize(width, 30)
    choice.show()
    shown = choice.shown_text()
    assert choice.currentText() == NAME, "the whole name is what others read"
    if width == 900:
        assert shown == NAME
        return
    first, last = shown.split("…")
    assert NAME.startswith(first)
    assert NAME.endswith(last)
    assert choice.fontMetrics().horizontalAdvance(shown) < width
    assert choice.minimumSizeHint().width() < 120


def test_without_an_entry_it_says_so(qtbot):
    from napari_rdpdenoise.ui.qt.parts.choice import Choice

    choice = Choice()
    qtbot.addWidget(choice)
    choice.setPlaceholderText("none")
    choice.resize(200, 30)
    assert choice.shown_text() == "none"
