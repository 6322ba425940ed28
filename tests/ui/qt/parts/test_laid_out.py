"""What is painted is laid out."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.display


@pytest.mark.parametrize("floats", [False, True])
def test_a_label_that_grows_is_not_painted_over_the_row_below(qtbot, floats):
    from qtpy.QtCore import Qt
    from qtpy.QtWidgets import QFormLayout, QLineEdit, QVBoxLayout, QWidget

    from napari_rdpdenoise.ui.qt.parts.controls import stack, text_label
    from napari_rdpdenoise.ui.qt.parts.laid_out import LaidOut

    painted = []

    class Below(QLineEdit):
        def paintEvent(self, event):
            painted.append(label.geometry().bottom() < self.geometry().top())
            super().paintEvent(event)

    window, box, section = QWidget(), QWidget(), QWidget()
    label, below, form = text_label("one line"), Below(), QFormLayout()
    column = QVBoxLayout(box)
    stack(section, form)
    column.addWidget(section)
    form.addRow(label)
    form.addRow("Below", below)
    column.addStretch(1)
    stack(window, box)
    qtbot.addWidget(window)
    qtbot.addWidget(box)
    LaidOut(box)
    window.resize(200, 300)
    window.show()
    if floats:
        box.setParent(None, Qt.WindowType.Window)
        box.resize(200, 300)
        box.show()
    qtbot.waitUntil(lambda: bool(painted))
    qtbot.wait(50)
    painted.clear()
    label.setText("so many words that they take several lines of a narrow window " * 2)
    below.repaint()
    below.window().repaint()
    assert painted, "it was painted at once"
    assert all(painted)
