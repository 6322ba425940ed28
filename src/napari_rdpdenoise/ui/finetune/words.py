"""What the fine-tuning box says."""

from __future__ import annotations

import math
import re
from pathlib import Path

from napari_rdpdenoise.ui.finetune.events import Checked, Done, Failed, Kind, Progress
from napari_rdpdenoise.ui.state import describe

__all__ = [
    "KEPT",
    "KINDS",
    "breakable",
    "checked_words",
    "done_words",
    "duration_words",
    "failed_words",
    "folder_hint",
    "model_name",
    "progress_words",
]

KINDS: dict[Kind, tuple[str, str]] = {
    "unpaired": (
        "clean images",
        "Learns the texture of clean images of the same kind of specimen, taken anywhere else. Realism 1 "
        "changes, realism 0 stays as it is.",
    ),
    "pairs": (
        "pairs of images",
        "Learns from a clean or a second noisy image of every noisy one. Registration and intensities are "
        "checked.",
    ),
    "zeroshot": (
        "these alone",
        "Learns the structures of the noisy images themselves. The new model gives realism 0 alone.",
    ),
}
"""Names and explanations of the three ways."""
KEPT = "What is trained is kept: Start with the same images and name goes on from here."
_LONG = 28  # letters
_FETCH = "networks that judge texture are not here; measure against a clean image under Check to get them"
_SHARED = "Preview and runs go on working meanwhile; they share the processor, so all of them are slower."


def breakable(text: str) -> str:
    """A text whose long words, which are paths, may be broken between their parts: or they widen the dock."""
    words = [re.sub(r"([/\\\\._-])", "\\1\u200b", w) if len(w) > _LONG else w for w in text.split(" ")]
    return " ".join(words)


def duration_words(seconds: float) -> str:
    """Seconds, rounded to what an estimate knows: "40 s", "12 min", "2 h 10 min"."""
    if seconds < 55:
        return f"{max(5, 5 * math.ceil(seconds / 5))} s"
    minutes = math.ceil(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def checked_words(found: Checked) -> str:
    """What is known before the first step."""
    on = "the processor" if found.device == "cpu" else found.device
    lines = [
        f"The rate that matches the noise is {found.rate:.2f}; training on {on}."
        + (f" {_SHARED}" if found.device == "cpu" else "")
    ]
    if found.past:
        lines.append(f"Goes on from step {found.past[-1].step}.")
    return "\n".join([*lines, *(_sentence(_of_networks(remark)) for remark in found.remarks)])


def progress_words(now: Progress) -> str:
    """Where the training stands, and how long it may still take."""
    left = "measuring the time" if now.left_s is None else f"up to {duration_words(now.left_s)} left"
    words = f"Step {now.step} of {now.steps}, {left}."
    if now.best is None:
        return words
    return f"{words} Best so far: {f'step {now.best}' if now.best else 'the model it started from'}."


def done_words(found: Done) -> str:
    """The report."""
    return "\n".join(_sentence(word) for word in found.words)


def failed_words(found: Failed) -> str:
    """Why it stopped."""
    return breakable(f"Stopped: {describe(found.error)}")


def model_name(layer: str, kind: str) -> str:
    """A folder's name for a layer's model, of letters that every file system takes."""
    plain = re.sub(r"[^\w.-]+", "-", layer).strip("-.")[:40]
    return f"{plain or 'images'}-{kind}"


def folder_hint(out: Path) -> str:
    """What is in the folder of a training, in words; empty for a new one."""
    if (out / "training" / "run.json").is_file():
        if (out / "card.yaml").is_file():
            return "There is a model of this name: training goes on from where it ended."
        if (out / "report.txt").is_file():
            return (
                "There is a training of this name, whose model was no better: it goes on from where it ended."
            )
        return "There is an unfinished training of this name: it goes on from where it stopped."
    if (out / "card.yaml").exists() or (out / "model.safetensors").exists():
        return "There is another model in this folder, which is not written over: choose another name."
    return ""


def _of_networks(remark: str) -> str:
    """A remark on networks that are not here, with where the dock fetches them, in place of a command."""
    what, missing, _ = remark.partition(": the published ")
    return f"{what}: {_FETCH}" if missing else remark


def _sentence(text: str) -> str:
    text = breakable(text[:1].upper() + text[1:])
    return text if text.endswith((".", "!", "?")) else text + "."
