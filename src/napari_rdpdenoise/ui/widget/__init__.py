"""The dock itself: the only place, with `ui.worker`, that knows Qt, napari and magicgui."""

from .dock import DenoiseDock

__all__ = ["DenoiseDock"]
