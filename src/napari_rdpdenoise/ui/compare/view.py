"""What the viewer shows in the place of a noisy image. No Qt here."""

from __future__ import annotations

from enum import Enum

__all__ = ["PICTURES", "View"]


class View(Enum):
    """One of the images of a layer; of all that belong to the layer only this one is visible."""

    NOISY = "Noisy"
    DENOISED = "Denoised"
    SPLIT = "Split"
    REMOVED = "What was removed"
    TEXTURE = "Added texture"
    KEPT = "Kept from the input"
    ERROR = "Expected error"


PICTURES = View.SPLIT, View.REMOVED, View.TEXTURE, View.KEPT, View.ERROR
"""Views that need a layer of their own, which is there as long as it is looked at."""
