"""Progress bars: the window paints itself when it is laid out, not when a bar is moved."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.display


@pytest.fixture
def beside(qtbot):
    """A window with a bar and a part beside it; how often that part was painted."""
    from qtpy.QtWidgets import QVBoxLayout, QWidget

    from napari_rdpdenoise.ui.qt.parts.progress import Bar

    painted = []

    class Part(QWidget):
        def paintEvent(self, event):
            painted.append(1)

    window = QWidget()
    column, bar, part = QVBoxLayout(window), Bar(), Part()
    column.addWidget(bar)
    column.addWidget(part)
    qtbot.addWidget(window)
    window.resize(200, 100)
    window.show()
    qtbot.waitUntil(lambda: bool(painted))
    qtbot.wait(50)
    yield bar, part, painted
    window.close()


def test_a_bar_that_is_moved_paints_nothing_at_once(beside, qtbot):
    bar, part, painted = beside
    bar.setRange(0, 1000)
    bar.setValue(10)
    qtbot.wait(50)
    painted.clear()
    part.update()
    for move in (lambda: bar.setValue(700), lambda: bar.setRange(0, 500), lambda: bar.setRange(0, 0)):
        move()
        assert painted == [], "what lies beside it may be in the middle of a change"
    qtbot.waitUntil(lambda: bool(painted))
    bar.setRange(0, 500)
    bar.setValue(300)
    assert (bar.maximum(), bar.value()) == (500, 300)
    assert bar.updatesEnabled()


def test_the_bar_in_the_activity_dock_follows_in_a_turn_of_its_own(make_napari_viewer, qtbot):
    from napari.utils.progress import progress
    from qtpy.QtCore import QTimer

    from napari_rdpdenoise.ui.qt.parts.progress import Activity

    viewer = make_napari_viewer()
    happened = []
    activity = Activity(viewer.window._qt_window)

    def own():
        return [each for each in progress._all_instances if each.desc.startswith("Denoising for this test")]

    for done in (0, 2):
        QTimer.singleShot(0, lambda: happened.append(1))
        activity.show("Denoising for this test", done, 5)
        assert happened == [], "napari's bar lets all events happen"
        qtbot.waitUntil(lambda done=done: bool(happened) and [each.n for each in own()] == [done])
        happened.clear()
    assert own()[0].total == 5
    activity.end()
    qtbot.waitUntil(lambda: own() == [])
    activity.show("Denoising for this test", 1, 5)
    activity.close()
    qtbot.wait(20)
    assert own() == []
