"""What the dock is made of: a list of sections, each of which decides for itself what it shows."""

from __future__ import annotations

from qtpy.QtWidgets import QWidget

from napari_rdpdenoise.ui.state import DockState

__all__ = ["Section"]


class Section(QWidget):
    """One part of the dock. What a section does not need, it need not define.

    Attributes:
        title: Title of its tab; empty for what is always in sight.
    """

    title = ""

    def show_state(self, state: DockState) -> None:
        """Show a new state of the dock."""

    def settled(self) -> None:
        """Follow the view: all in it was denoised, or another plane is shown. Called while it is in sight."""

    def opened(self) -> None:
        """Catch up, as the section came into sight."""
        self.settled()

    def shut(self) -> None:
        """End everything, as the dock is closed."""
