"""The dock itself: the only place that knows Qt and napari."""

from napari_rdpdenoise.ui.qt.dock import DenoiseDock

__all__ = ["DenoiseDock"]
