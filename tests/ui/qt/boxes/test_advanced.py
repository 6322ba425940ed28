"""The advanced settings over a plain state, without a viewer."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from napari_rdpdenoise.ui.state import Advanced, DockState

pytestmark = pytest.mark.display


@pytest.fixture
def desk(qtbot):
    """A box over a state, and what it complained of."""
    from napari_rdpdenoise.ui.qt.boxes.advanced import AdvancedBox

    found = SimpleNamespace(state=DockState(advanced=Advanced(channels=(0, 2), time=(3, 8))), told=[])

    def change(advanced):
        found.state = DockState(advanced=advanced)

    found.box = AdvancedBox(lambda: found.state, change, found.told.append)
    qtbot.addWidget(found.box)
    found.box.show_state(found.state)
    return found


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("channels", "red", "channels: expected numbers such as 0, 2, found 'red'"),
        ("channels", "0, -1", "channels: input should be greater than or equal to 0, found -1"),
        ("channels", "1, 1", "channels must name at least one channel and none twice"),
        ("channels", ",", "channels must name at least one channel"),
        ("time", "5 to 3", "time: expected a range such as 0:10, found '5 to 3'"),
        ("time", "5:3", "time must be (first, one after the last)"),
        ("time", "-1:3", "time: input should be greater than or equal to 0, found -1"),
    ],
)
def test_refused_text_gives_way_to_what_holds_with_the_reason_in_words(desk, name, text, reason):
    before, line = desk.state, getattr(desk.box, name)
    held = line.text()
    assert held == {"channels": "0, 2", "time": "3:8"}[name]
    line.setText(text)
    line.editingFinished.emit()
    assert line.text() == held
    assert desk.state == before
    (told,) = desk.told
    assert told.startswith(reason)
    assert "\n" not in told
    assert not [words for words in ("validation error", "pydantic", "Value error", "type=") if words in told]


def test_text_that_holds_is_taken_and_nothing_takes_all(desk):
    for line, text in ((desk.box.channels, "2,1"), (desk.box.time, " 0:4 ")):
        line.setText(text)
        line.editingFinished.emit()
    assert (desk.state.advanced.channels, desk.state.advanced.time) == ((2, 1), (0, 4))
    for line in (desk.box.channels, desk.box.time):
        line.setText("")
        line.editingFinished.emit()
    assert (desk.state.advanced.channels, desk.state.advanced.time) == (None, None)
    assert desk.told == []
