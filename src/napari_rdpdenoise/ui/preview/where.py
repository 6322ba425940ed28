"""Where and from what a preview is computed, in words. No Qt here."""

from __future__ import annotations

from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream.plan import ChannelPlan

__all__ = ["device_of", "is_blank", "neighbour_words", "no_rate_words"]

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


def is_blank(plan: ChannelPlan) -> bool:
    """Whether a channel had no noise to choose a rate by."""
    return plan.choice is not None and plan.choice.blank


def no_rate_words(plan: ChannelPlan | None) -> str:
    """Why a channel comes out as it went in, whatever its rate; empty where it does not, or nobody knows."""
    if plan is None or plan.choice is None:
        return ""
    if plan.choice.blank:
        return "no noise to remove"
    return "left as it is: nothing to gain" if plan.choice.left_alone and plan.structure else ""
