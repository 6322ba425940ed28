"""The question before anything is downloaded."""

from __future__ import annotations

from qtpy.QtWidgets import QMessageBox, QWidget

__all__ = ["ask_consent"]


def ask_consent(parent: QWidget, text: str) -> bool:
    """Whether the user agrees to a download that a text describes; closing the window is no."""
    box = QMessageBox(parent)
    box.setWindowTitle("Metric networks")
    box.setText(text)
    yes = box.addButton("Download", QMessageBox.ButtonRole.AcceptRole)
    no = box.addButton(QMessageBox.StandardButton.Cancel)
    box.setDefaultButton(no)
    box.exec()
    return box.clickedButton() is yes
