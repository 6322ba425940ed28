"""Much is asked for, little is done, and the newest is never lost."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.display


@pytest.fixture
def paced(qtbot):
    from qtpy.QtCore import QObject

    from napari_rdpdenoise.ui.qt.parts.paced import Paced

    owner, seen = QObject(), []
    made = Paced(owner, 20, seen.append)
    yield made, seen
    made.stop()
    del owner


def test_the_first_comes_at_once_and_the_newest_of_the_others_later(paced, qtbot):
    made, seen = paced
    for number in range(50):
        made.ask(number)
    assert seen == [0]
    qtbot.waitUntil(lambda: len(seen) > 1)
    assert seen == [0, 49]
    qtbot.wait(60)
    assert seen == [0, 49]
    made.ask(50)
    assert seen[-1] == 50, "at once again after a rest"


def test_what_waits_is_dropped_or_never_comes(paced, qtbot):
    made, seen = paced
    made.ask(0)
    made.ask(1)
    made.drop()
    qtbot.wait(60)
    assert seen == [0]
    made.ask(2)
    made.ask(3)
    made.stop()
    qtbot.wait(60)
    assert seen == [0, 2]
