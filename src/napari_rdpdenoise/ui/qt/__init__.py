"""The dock itself: the only place that knows Qt, napari and magicgui."""

from napari_rdpdenoise.ui.qt.dock import DenoiseDock

__all__ = ["DenoiseDock"]
