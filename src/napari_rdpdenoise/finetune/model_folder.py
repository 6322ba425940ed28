"""A tuned model as a folder with card and weights, which command line, dock and Python load.

And who may write there: nobody where a shipped or another model is, and one training at a time.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil
import yaml

from napari_rdpdenoise._version import __version__
from napari_rdpdenoise.codec.card import ModelCard
from napari_rdpdenoise.codec.library import find
from napari_rdpdenoise.finetune.guard import Verdict
from napari_rdpdenoise.finetune.plans import Plan, is_shipped
from napari_rdpdenoise.train.log import TrainingLog

_KINDS = {
    "unpaired": "to unpaired clean references",
    "pairs": "to pairs of images",
    "zeroshot": "to noisy images alone",
}
_YOUNGER = 60.0  # s between two clocks at most: a process that began later than a lock was written is another
_held: set[Path] = set()  # locks of this process, which one that was copied or left by a crash is not among
_taking = threading.Lock()


def refuse_folder(folder: Path) -> None:
    """Refuse a folder that must not be written to.

    Raises:
        ValueError: if it is a shipped model's, or holds a model that no fine-tuning made.
    """
    if is_shipped(folder):
        raise ValueError(
            f"out: expected a folder of your own, found a shipped model's at {folder}; choose another"
        )
    foreign = [name for name in ("card.yaml", "model.safetensors") if (folder / name).exists()]
    if foreign and not (folder / "training" / "run.json").is_file():
        raise ValueError(
            f"out: expected a new folder, found another model's {foreign[0]} in {folder}; choose another"
        )


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Keep a folder to one training at a time, by a file ``lock`` that names its process.

    One of a process that is gone is taken over.

    Raises:
        ValueError: if another training has the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder.resolve() / "lock"
    mine = json.dumps({"process": os.getpid(), "host": platform.node()})
    with _taking:
        _take(lock, mine)
        _held.add(lock)
    try:
        yield
    finally:
        with _taking, suppress(OSError):  # the folder may have been deleted since
            _held.discard(lock)
            if lock.read_text(encoding="utf-8") == mine:
                lock.unlink()


def _take(lock: Path, mine: str) -> None:
    holder: str | None = None
    for _ in range(3):
        try:
            with lock.open("x", encoding="utf-8") as file:
                file.write(mine)
        except FileExistsError:
            if holder := _holder(lock):
                break
            _clear(lock)
        else:
            # another process may have found it empty, and taken it over
            if lock.read_text(encoding="utf-8") == mine:
                return
    raise ValueError(
        f"out: expected a folder that no other training writes to, found {holder or 'another process'} "
        f"training in {lock.parent}; wait for it, stop it or choose another folder. If nothing is training "
        f"there, delete {lock}"
    )


def _clear(lock: Path) -> None:
    """Remove a lock that nobody holds; one that another process has put there meanwhile goes back."""
    aside = lock.with_name(f"lock.{os.getpid()}")
    with suppress(FileNotFoundError):
        lock.replace(aside)
        if _holder(aside):
            aside.replace(lock)
        else:
            aside.unlink()


def _holder(lock: Path) -> str | None:
    """Who holds a lock, in words; None for nobody: gone, or killed before its name was written."""
    try:
        kept = json.loads(lock.read_text(encoding="utf-8"))
        number, host = int(kept["process"]), str(kept["host"])
        written = lock.stat().st_mtime
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    if host != platform.node():
        return f"process {number} of {host}"
    if number == os.getpid():
        return "this process" if lock in _held else None
    try:
        process = psutil.Process(number)
        gone = process.status() == psutil.STATUS_ZOMBIE or process.create_time() > written + _YOUNGER
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied:
        gone = False
    return None if gone else f"process {number}"


def write_model(folder: Path, weights: Path, plan: Plan, verdict: Verdict, log: TrainingLog) -> None:
    """Write ``model.safetensors`` and ``card.yaml``; the card last, since it names the weights' digest."""
    beside = folder / "model.tmp"
    shutil.copyfile(weights, beside)
    beside.replace(folder / "model.safetensors")
    start = find(plan.settings.model).card
    card = ModelCard(
        name=folder.resolve().name,
        description=f"{start.name} adapted {_KINDS[plan.kind]} of one user",
        licence=f"not stated: the licences of {start.name} and of the images decide",
        sha256=hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest(),
        network=plan.train.network,
        trained_range=start.trained_range,
        training={
            "start": {"model": start.name, "sha256": start.sha256},
            "kind": plan.kind,
            "settings": plan.settings.model_dump(mode="json"),
            "images": plan.images,
            "rate of the noise": plan.rate,
            "steps": verdict.step,
            "hours": round(log.seconds / 3600, 3),
            "finished": datetime.now(UTC).date().isoformat(),
            "curves": "training.jsonl, training.png",
            "software": {"napari-rdpdenoise": __version__, "torch": version("torch")},
        },
        measured={
            "held-out parts of the user's images, before": _rounded(verdict.before),
            "held-out parts of the user's images, after": _rounded(verdict.after),
            "verdict": list(verdict.words),
        },
        limitations=("made for the images it was tuned on; check it before using it on others",),
    )
    beside = folder / "card.yaml.new"
    beside.write_text(
        yaml.safe_dump(card.model_dump(mode="json"), sort_keys=False, allow_unicode=True), encoding="utf-8"
    )
    beside.replace(folder / "card.yaml")


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.4g}") for name, value in figures.items()}
