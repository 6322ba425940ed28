"""From what was chosen in the dock to a plan of the engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_rdpdenoise.ui.finetune.events import Task
from napari_rdpdenoise.ui.layers.stacks import Stack

if TYPE_CHECKING:
    from napari_rdpdenoise.finetune.plan import Plan

__all__ = ["plain_images", "plan_task"]


def plan_task(task: Task) -> tuple[Plan, str, tuple[str, ...]]:
    """The plan of a task, the device that it runs on, and notes on what is left out of the layers.

    Raises:
        TypeError: If an image has no real numbers.
        ValueError: If images or settings are refused.
    """
    from napari_rdpdenoise.codec.models import choose_device
    from napari_rdpdenoise.finetune.planners import plan_pairs, plan_unpaired, plan_zeroshot
    from napari_rdpdenoise.finetune.settings import PairsSettings, UnpairedSettings, ZeroShotSettings

    device = choose_device(task.device)
    given: dict[str, Any] = {"model": task.model, **task.settings}
    if task.steps is not None:
        given["steps"] = task.steps
    both = task.kind == "pairs" and isinstance(task.others, Path)  # planes must not be left out of one alone
    noisy, notes = plain_images(task.noisy, "noisy", thin=not both)
    if task.kind == "zeroshot":
        return plan_zeroshot(noisy, ZeroShotSettings(**given), device), device, notes
    if task.others is None:
        name = "references" if task.kind == "unpaired" else "partners"
        raise ValueError(f"{name}: expected a layer or a folder, found none; choose one")
    if task.kind == "unpaired":
        others, more = plain_images(task.others, "references")
        return plan_unpaired(noisy, others, UnpairedSettings(**given), device), device, (*notes, *more)
    others, _ = plain_images(task.others, "partners", thin=not isinstance(task.noisy, Path))
    if task.steps is not None and "realism_steps" not in given:
        given["realism_steps"] = task.steps // 2
    return plan_pairs(noisy, others, PairsSettings(**given), device), device, notes


def plain_images(given: Stack | Path, name: str, *, thin: bool = True) -> tuple[Any, tuple[str, ...]]:
    """What the engine takes: a path, or copies of a layer's planes, which may be changed meanwhile.

    Args:
        given: Layer, or path of an image or folder.
        name: Name of the argument, for errors.
        thin: Whether to take an even share of many planes; a note then says how many are left out.

    Raises:
        ValueError: If a layer has several channels.
    """
    if isinstance(given, Path):
        return given, ()
    from napari_rdpdenoise.finetune.images import MOST_PIXELS, MOST_PLANES

    sizes = dict(zip(given.axes, given.data.shape, strict=True))
    if sizes.get("C", 1) > 1:
        raise ValueError(
            f"{name}: expected one channel, found {sizes['C']} in {given.name}; split the layer into its "
            "channels and choose one, or set its axis labels if these are no channels"
        )
    places = list(np.ndindex(*given.leading))
    most = min(MOST_PLANES, max(1, MOST_PIXELS // max(given.plane_shape[0] * given.plane_shape[1], 1)))
    notes: tuple[str, ...] = ()
    if thin and len(places) > most:
        notes = (f"{len(places) - most} planes of {given.name} are left out, {most} are enough",)
        places = [places[int(k)] for k in np.linspace(0, len(places) - 1, most).round()]
    return [np.array(given.plane(place)) for place in places], notes
