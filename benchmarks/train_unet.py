"""Train a plain U-Net on the batches our model learns from: the peers "U-Net N2C" and "U-Net N2N".

    python -m benchmarks.train_unet --mode n2c --data DATA --config models/fluo-light/train.yaml --minutes 90

Units, crops, noise and weighted error are those of our codec's training. Only the network differs, and for
``n2n`` (Lehtinen et al. 2018) the target: a second exposure of the same scene. Sources other than ``clean``,
which have one exposure only, are left out of ``n2n``; pixel weights come from the clean image in both modes.

An equal budget means ``--minutes`` of our model's training on the same machine. The learning rate falls with
the time spent, so every budget ends annealed. The same command goes on after an interruption. Written into
``--out``: ``unet-<mode>.pt`` (averaged weights), ``unet-<mode>.json`` (what is known of them), a checkpoint.
"""

from __future__ import annotations

import argparse
import copy
import datetime
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.common import RESULTS, machine, save
from benchmarks.learned import MODES, predict
from benchmarks.networks import PlainUNet, macs_per_pixel
from napari_rdpdenoise.codec.normalization import UNIT
from napari_rdpdenoise.files import atomic
from napari_rdpdenoise.train.data.batches import Batch, TrainingData, ValidationImage
from napari_rdpdenoise.train.settings import SourceSettings, TrainSettings, load_settings

# No batch norm: with it the U-Net was 9 to 15 dB worse on held-out training images after 600 small steps,
# and worse at the end than in between; the images are too different for common statistics
CHANNELS, BATCH_NORM = 32, False
# As our codec's training has them
RATE, FINAL, WARM_UP = 1e-3, 0.02, 300  # learning rate, its share at the end, steps
EMA, BALANCE, CLIP = 0.9995, 0.01, 1.0
REPORTS = 15  # validations and checkpoints in a run
CROP = 384  # px, of validation images


@dataclass
class State:
    """What is trained, and what is known of it; all of it is in the checkpoint."""

    network: PlainUNet
    average: PlainUNet
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)


def new_state(device: str) -> State:
    """Random weights, the same ones every time."""
    torch.manual_seed(0)
    network = PlainUNet(CHANNELS, BATCH_NORM).to(device, memory_format=torch.channels_last)
    return State(network, copy.deepcopy(network), torch.optim.Adam(network.parameters(), RATE))


def sources_for(mode: str, settings: TrainSettings) -> TrainSettings:
    """Settings whose batches hold the targets of ``mode``.

    Raises:
        ValueError: if ``n2n`` is left without a source.
    """
    if mode == "n2c":
        return settings
    # validated anew: a copy would take a misspelt field, and train on clean targets without a word
    sources = tuple(
        SourceSettings.model_validate({**source.model_dump(), "noisy_target": True})
        for source in settings.sources
        if source.kind == "clean"
    )
    if not sources:
        raise ValueError("--config: expected a source of kind 'clean' for n2n, found none; use n2c")
    return settings.model_copy(update={"sources": sources})


def train(state: State, batches: Any, seconds: float, budget: float) -> float:
    """Train for so many seconds of a budget in seconds; mean error in noise variances."""
    until, errors = time.monotonic() + seconds, []
    last, began = state.seconds, time.monotonic()
    while time.monotonic() < until:
        for group in state.optimizer.param_groups:
            group["lr"] = RATE * annealed(state.step, (last + time.monotonic() - began) / budget)
        errors.append(_step(state, next(batches)))
    state.seconds = last + time.monotonic() - began
    return float(np.mean(errors))


def annealed(step: int, done: float) -> float:
    """Share of the learning rate: linear warm-up by steps, cosine to ``FINAL`` by the share of the time."""
    cosine = FINAL + (1 - FINAL) * 0.5 * (1 + float(np.cos(np.pi * min(done, 1.0))))
    return min(1.0, (step + 1) / WARM_UP) * cosine


def _step(state: State, batch: Batch) -> float:
    network = state.network.train()
    device = next(network.parameters()).device
    noisy, target, weight = (part.to(device) for part in (batch.noisy, batch.target, batch.weight))
    error = weighted_error(network(noisy.contiguous(memory_format=torch.channels_last)), target, weight)
    loss = (error / (error.detach() + BALANCE)).mean()
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
    state.optimizer.step()
    state.step += 1
    decay = min(EMA, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        for kept, new in zip(state.average.parameters(), network.parameters(), strict=True):
            kept.lerp_(new, 1 - decay)
        for kept, new in zip(state.average.buffers(), network.buffers(), strict=True):
            kept.copy_(new)
    return float(error.mean())


def weighted_error(image: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Squared error of each sample (b,) in noise variances."""
    return UNIT**2 * (weight * (image - target).square()).flatten(1).mean(1)


def validate(network: PlainUNet, images: list[ValidationImage]) -> dict[str, float]:
    """PSNR per source in dB over the noisy file's range, as our own training reports it."""
    rows: dict[str, list[float]] = {}
    for image in images:
        cut = tuple(slice(0, min(n, CROP) // 16 * 16) for n in image.noisy.shape)
        noisy, clean = image.noisy[cut], image.clean[cut]
        found = image.normalization.inverse(predict(network, image.normalization.forward(noisy)))
        peak = 255.0 if noisy.max() <= 255 else float(clean.max())
        error = float(np.mean((found - clean) ** 2))
        rows.setdefault(f"{image.source} psnr", []).append(10 * float(np.log10(peak**2 / error)))
    return {name: float(np.mean(values)) for name, values in rows.items()}


def keep(state: State, file: Path, terms: dict[str, Any]) -> None:
    """Write the checkpoint, the averaged weights and what is known of them, each whole or not at all."""
    kept = {"channels": CHANNELS, "batch_norm": BATCH_NORM, "network": state.average.state_dict()}
    _write(kept, file)
    whole = {"network": state.network.state_dict(), "optimizer": state.optimizer.state_dict(), "terms": terms}
    numbers = {"step": state.step, "seconds": state.seconds, "curve": state.curve}
    _write({**whole, **numbers, "average": kept["network"]}, _checkpoint(file))
    about = {
        "kmac_per_px": macs_per_pixel(PlainUNet(CHANNELS, BATCH_NORM).eval()) / 1e3,
        "parameters": sum(p.numel() for p in state.network.parameters()),
        "machine": machine(),
    }
    save(file.with_suffix(".json"), {**terms, **about, "date": _today(), **numbers})


def resume(state: State, file: Path, terms: dict[str, Any]) -> None:
    """Take up the checkpoint beside ``file``, if there is one.

    Raises:
        ValueError: if it was made with other settings.
    """
    if not _checkpoint(file).is_file():
        return
    device = next(state.network.parameters()).device
    kept = torch.load(_checkpoint(file), map_location=device, weights_only=True)
    if kept["terms"] != terms:
        raise ValueError(
            f"--out: {_checkpoint(file)} was made with other settings; delete it or take another"
        )
    state.network.load_state_dict(kept["network"])
    state.average.load_state_dict(kept["average"])
    state.optimizer.load_state_dict(kept["optimizer"])
    state.step, state.seconds, state.curve = kept["step"], kept["seconds"], kept["curve"]


def _checkpoint(file: Path) -> Path:
    return file.with_name(f"{file.stem}-checkpoint.pt")


def _write(value: dict[str, Any], file: Path) -> None:
    with atomic(file) as fresh:
        torch.save(value, fresh)


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--mode", choices=tuple(MODES), required=True, help="clean or noisy targets")
    options.add_argument("--data", type=Path, required=True, help="folder of the config's source folders")
    options.add_argument("--config", type=Path, default=Path("models/fluo-light/train.yaml"))
    options.add_argument("--minutes", type=float, required=True, help="of training, reports included")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--device", default="cpu")
    options.add_argument("--out", type=Path, default=RESULTS, help="folder of what is written")
    return options.parse_args()


def run(options: argparse.Namespace) -> None:
    """Train until the minutes are spent."""
    torch.set_num_threads(options.threads)
    settings = load_settings(options.config)
    validation = TrainingData(settings, options.data).validation()
    used = sources_for(options.mode, settings)
    terms = {
        "mode": options.mode,
        "minutes": options.minutes,
        "threads": options.threads,
        "device": options.device,
        "data": used.model_dump_json(include={"sources", "noise", "batch", "crop", "seed", "counts_share"}),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / f"unet-{options.mode}.pt"
    state, budget = new_state(options.device), 60 * options.minutes
    resume(state, file, terms)
    if state.seconds >= budget:
        print(f"{file}: trained to the end already", flush=True)
        return
    batches = TrainingData(used, options.data).batches(state.step)
    while state.seconds < budget:
        part = min(budget / REPORTS, budget - state.seconds)
        error = train(state, batches, part, budget)
        began = time.monotonic()
        scores = validate(state.average, validation)
        state.seconds += time.monotonic() - began
        state.curve.append({"step": state.step, "seconds": round(state.seconds, 1), "error": error, **scores})
        keep(state, file, terms)
        means = ", ".join(f"{name} {value:.2f}" for name, value in scores.items())
        print(
            f"step {state.step}, {state.seconds:.0f} s: error {error:.4f} noise variances; {means}",
            flush=True,
        )
    batches.close()


def main() -> int:
    """Run what the command line says; refusals are one line."""
    try:
        run(_options())
    except (ValueError, OSError) as error:
        print(f"train_unet: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
