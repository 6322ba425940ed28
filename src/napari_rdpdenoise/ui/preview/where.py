"""Where and from what a preview is computed, in words. No Qt here."""

from __future__ import annotations

from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream.plan import ChannelPlan

__all__ = ["device_of", "neighbour_words"]

_AXES = {"T": "time", "Z": "depth", "S": "colours"}


def neighbour_words(plan: ChannelPlan | None) -> list[str]:
    """Along which axis neighbouring planes are looked at; nothing for none."""
    return [] if plan is None or plan.neighbours is None else [f"neighbours: {_AXES[plan.neighbours]}"]


def device_of(settings: RunSettings) -> str:
    """The device that computes, and how precisely; takes torch."""
    from napari_rdpdenoise.codec import choose_device
    from napari_rdpdenoise.codec.precision import choose_precision, device_words

    device = choose_device(settings.device)
    return device_words(device, choose_precision(settings.precision, device))
