"""What a fine-tuning in the dock is asked for, and what it tells. Plain values: no Qt, no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_rdpdenoise.ui.layers.stacks import Stack

__all__ = ["Checked", "Crop", "Done", "Event", "Failed", "Kind", "Preparing", "Progress", "Task"]

Kind = Literal["unpaired", "pairs", "zeroshot"]


@dataclass(frozen=True)
class Task:
    """A fine-tuning as the user chose it.

    Attributes:
        kind: from clean images of other places, from pairs, or from the noisy images alone.
        noisy: layer or folder of the noisy images.
        others: the references or partners; None where the kind needs none.
        out: folder of the new model.
        model: name or folder of the model to start from.
        device: "auto", "cpu", "cuda" or "mps".
        minutes: of training at most; None for as long as the steps take.
        steps: of training at most; None for the kind's usual number.
        settings: more fields of the kind's settings.
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
    """What is being done before the training."""

    message: str


@dataclass(frozen=True)
class Progress:
    """After a step.

    Attributes:
        step, steps: done and planned, all stages together.
        values: of the step, by name: "loss", "bpp", and where there is one "critic", its distance.
        held_out: the figure by which the model is judged, on images kept out; None between two looks.
        before: the same of the model that it started from; None while it is not known.
        best: step of the best model so far; 0 for the start, None while it is not known.
        left_s: seconds until the last step, from those measured so far; None before there are any.
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
        remarks: what the user should know about the images.
        rate: of the noise, on the model's rate curve.
        device: that it runs on.
        goal: "texture" or "error", which shall fall, or "pairs", whose PSNR shall rise.
        past: of an earlier training in the same folder, which goes on.
    """

    remarks: tuple[str, ...]
    rate: float
    device: str
    goal: str
    past: tuple[Progress, ...] = ()


@dataclass(frozen=True)
class Crop:
    """A part of an image that is kept out of training, float32 counts, all of one shape (height, width).

    Attributes:
        noisy: as it was given.
        before: denoised by the model to start from.
        after: denoised by the model as it is now.
        step: at which that is.
    """

    noisy: NDArray[np.float32]
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    step: int


@dataclass(frozen=True)
class Done:
    """The training is over and judged.

    Attributes:
        better: whether the tuned model is; the old one is to be kept where it is not.
        words: the report, one sentence each.
        out: the training's folder, the new model's where it is better.
    """

    better: bool
    words: tuple[str, ...]
    out: Path


@dataclass(frozen=True)
class Failed:
    """It stopped with an error; what was trained before is kept."""

    error: Exception


Event: TypeAlias = Preparing | Checked | Progress | Crop | Done | Failed
