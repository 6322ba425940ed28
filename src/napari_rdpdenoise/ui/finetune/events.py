"""What a fine-tuning in the dock is asked for, and what it tells. Plain values, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.ui.layers.stacks import Stack

__all__ = ["Checked", "Crop", "Done", "Event", "Failed", "Kind", "Preparing", "Progress", "Task"]

Kind = Literal["unpaired", "pairs", "zeroshot"]


@dataclass(frozen=True)
class Task:
    """A fine-tuning as the user chose it.

    Attributes:
        kind: Way of learning: from clean images of other places, from pairs, or from the noisy images alone.
        noisy: Layer or folder of the noisy images.
        others: Layer or folder of the references or partners; None where the kind needs none.
        out: Folder of the new model.
        model: Name or folder of the model to start from.
        device: Name of the device: "auto", "cpu", "cuda" or "mps".
        minutes: Minutes of training at most; None for as long as the steps take.
        steps: Steps of training at most; None for the kind's usual number.
        settings: Other fields of the kind's settings.
    """

    kind: Kind
    noisy: Stack | Path
    others: Stack | Path | None
    out: Path
    model: str = "default"
    device: str = "auto"
    minutes: float | None = None
    steps: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Preparing:
    """Something is being done before the training; ``message`` is a sentence that says what."""

    message: str


@dataclass(frozen=True)
class Progress:
    """State of the training after a step.

    Attributes:
        step: Number of steps done, all stages together.
        steps: Number of steps planned, all stages together.
        values: Values of the step, by name: "loss", "bpp", and where there is one "critic", its distance.
        held_out: Figure by which the model is compared, on held-out images; None between two validations.
        before: Same figure of the model that the training started from; None while it is not known.
        best: Step of the best model so far; 0 for the start, None while it is not known.
        left_s: Seconds until the last step, from those measured so far; None before there are any.
    """

    step: int
    steps: int
    values: dict[str, float]
    held_out: float | None = None
    before: float | None = None
    best: int | None = None
    left_s: float | None = None


@dataclass(frozen=True)
class Checked:
    """The images are accepted, and the training starts.

    Attributes:
        remarks: Sentences that the user should read about the images.
        rate: Rate that matches the noise, 0 to 1.
        device: Name of the device that it runs on.
        goal: Figure that decides: "texture", "lpips" or "error", which shall fall, or "pairs", whose PSNR
            shall rise.
        past: Progress of an earlier training in the same folder, which goes on.
    """

    remarks: tuple[str, ...]
    rate: float
    device: str
    goal: str
    past: tuple[Progress, ...] = ()


@dataclass(frozen=True)
class Crop:
    """A part of a held-out image, float32 counts, all of one shape (height, width).

    Attributes:
        noisy: Pixels as they were given.
        before: Pixels denoised by the model to start from.
        after: Pixels denoised by the model as it is now.
        step: Number of steps after which that is.
    """

    noisy: NDArray[np.float32]
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    step: int


@dataclass(frozen=True)
class Done:
    """The training is over, and its model is compared with the one that it started from.

    Attributes:
        better: Whether the fine-tuned model is better; the old one is to be kept where it is not.
        words: Sentences of the report.
        out: Folder of the training, and of the new model where it is better.
    """

    better: bool
    words: tuple[str, ...]
    out: Path


@dataclass(frozen=True)
class Failed:
    """The training stopped with an error, in words for the user; what was trained before is kept."""

    error: Exception


Event: TypeAlias = Preparing | Checked | Progress | Crop | Done | Failed
