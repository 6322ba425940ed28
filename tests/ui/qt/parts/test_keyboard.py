"""What the keyboard moves, and how one sees what it moves."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.display


def test_keys_move_a_slider_as_the_mouse_does(qtbot):
    from qtpy.QtCore import Qt

    from napari_rdpdenoise.ui.qt.parts.end_slider import EndSlider

    slider, told = EndSlider("Rate", "What is kept.", "strong", "weak"), []
    qtbot.addWidget(slider)
    slider.valueChanged.connect(told.append)
    slider.show_value(0.5)
    keys = "Right", "Up", "Left", "Down", "PageUp", "PageDown", "End", "Right", "Home", "Left", "A"
    for key in keys:
        qtbot.keyClick(slider.slider, getattr(Qt.Key, f"Key_{key}"))
    assert told == pytest.approx([0.55, 0.6, 0.55, 0.5, 0.7, 0.5, 1.0, 0.0]), "nothing beyond the ends"
    assert slider.value() == 0.0
    slider.setFocus()
    assert slider.focusProxy() is slider.slider, "who jumps to it by name can move it"


def test_a_slider_of_several_parts_is_one_stop_that_heeds_keys(qtbot):
    from qtpy.QtCore import Qt
    from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget
    from superqt import QLabeledSlider

    from napari_rdpdenoise.ui.qt.parts.controls import one_stop

    window = QWidget()
    before, slider, after = (
        QPushButton("before"),
        QLabeledSlider(Qt.Orientation.Horizontal),
        QPushButton("after"),
    )
    column = QVBoxLayout(window)
    for part in (before, slider, after):
        column.addWidget(part)
    one_stop(slider)
    qtbot.addWidget(window)
    with qtbot.waitActive(window, timeout=10_000):
        window.show()
        window.activateWindow()
    before.setFocus()
    qtbot.waitUntil(before.hasFocus, timeout=3000)
    qtbot.keyClick(window.focusWidget(), Qt.Key.Key_Tab)
    qtbot.keyClick(window.focusWidget(), Qt.Key.Key_Right)
    assert slider.value() == 1, "the first stop heeds keys"
    while window.focusWidget() is not after and slider.isAncestorOf(window.focusWidget()):
        stop = window.focusWidget()
        qtbot.keyClick(stop, Qt.Key.Key_Tab)
        assert window.focusWidget() is not stop
    assert after.hasFocus()


def test_a_slider_keeps_its_length_whatever_its_number_is(qtbot):
    from napari.qt import get_stylesheet

    from napari_rdpdenoise.ui.qt.parts.end_slider import EndSlider

    slider, lengths = EndSlider("Rate", "What is kept.", "strong", "weak"), []
    qtbot.addWidget(slider)
    slider.setStyleSheet(f"{get_stylesheet('dark')} * {{font-size: 20px}}")
    slider.show()
    for value in (None, 1.0, 0.44):
        slider.show_value(value)
        qtbot.wait(50)
        lengths.append(slider.slider.width())
    assert len(set(lengths)) == 1


def test_a_frame_follows_what_was_reached_by_keyboard(qtbot):
    from qtpy.QtCore import QRect, Qt
    from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

    from napari_rdpdenoise.ui.qt.parts.focus_ring import FocusRing

    window, outside = QWidget(), QPushButton("outside")
    inside, box = QWidget(window), QWidget()
    buttons = [QPushButton("one"), QPushButton("two", box)]
    qtbot.addWidget(window)
    for parent, parts in ((window, (inside, outside)), (inside, (buttons[0], box)), (box, buttons[1:])):
        layout = QVBoxLayout(parent)
        for part in parts:
            layout.addWidget(part)
    ring = FocusRing(inside)
    with qtbot.waitActive(window, timeout=10_000):
        window.show()
        window.activateWindow()
    buttons[0].setFocus()
    qtbot.waitUntil(buttons[0].hasFocus, timeout=3000)
    assert not ring.isVisible(), "not for who clicks"
    qtbot.keyClick(buttons[0], Qt.Key.Key_Tab)
    qtbot.waitUntil(ring.isVisible, timeout=3000)

    def around():
        place = QRect(buttons[1].mapTo(inside, buttons[1].rect().topLeft()), buttons[1].size())
        return ring.geometry().contains(place)

    assert around()
    window.resize(400, 500)
    qtbot.waitUntil(around, timeout=3000)
    buttons[1].hide()
    assert not ring.isVisible()
    buttons[1].show()
    outside.setFocus()
    assert not ring.isVisible()
