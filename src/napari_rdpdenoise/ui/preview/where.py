"""Where and from what a preview is computed, in words. No Qt here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream.plan import ChannelPlan
from napari_rdpdenoise.ui.state import DockState

__all__ = ["described", "device_of", "mean_bits"]

_AXES = {"T": "time", "Z": "depth", "S": "colours"}


def described(
    state: DockState, facts: str, plan: ChannelPlan | None, bpps: Sequence[float], device: str
) -> DockState:
    """Return the state that says from what a preview is computed, and what its rate came to.

    Args:
        state: State to change.
        facts: Sizes of the layer, in words.
        plan: What is known of the channel in view; None for nothing.
        bpps: Bits per pixel of each denoised part in view; NaN where there is nothing to code.
        device: Device that computes and how precisely, as `device_of` says it.
    """
    bits = mean_bits(bpps)
    return replace(
        state,
        # a newcomer does not ask how precisely
        facts=" · ".join([facts, *_neighbour_words(plan), device.partition(",")[0]]),
        device=device,
        outcome=f"{bits:.2f} bits/pixel" if bits == bits else "",
        found_rate=None if plan is None or _is_blank(plan) else plan.rate,
        no_rate=_no_rate_words(plan),
    )


def mean_bits(bpps: Sequence[float]) -> float:
    """Bits per pixel of some parts on average; NaN where in none of them there was anything to code."""
    coded = [bpp for bpp in bpps if bpp == bpp]
    return sum(coded) / len(coded) if coded else float("nan")


def _neighbour_words(plan: ChannelPlan | None) -> list[str]:
    """Along which axis neighbouring planes are looked at; nothing for none."""
    return [] if plan is None or plan.neighbours is None else [f"neighbours: {_AXES[plan.neighbours]}"]


def device_of(settings: RunSettings) -> str:
    """The device that computes, and how precisely; takes torch."""
    from napari_rdpdenoise.codec import choose_device
    from napari_rdpdenoise.codec.precision import choose_precision, device_words

    device = choose_device(settings.device)
    return device_words(device, choose_precision(settings.precision, device))


def _is_blank(plan: ChannelPlan) -> bool:
    """Whether a channel had no noise to choose a rate by."""
    return plan.choice is not None and plan.choice.blank


def _no_rate_words(plan: ChannelPlan | None) -> str:
    """Why a channel comes out as it went in, whatever its rate; empty where it does not, or nobody knows."""
    if plan is None or plan.choice is None:
        return ""
    if plan.choice.blank:
        return "no noise to remove"
    return "left as it is: nothing to gain" if plan.choice.left_alone and plan.structure else ""
