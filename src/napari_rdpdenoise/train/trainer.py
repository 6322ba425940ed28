"""The trainer of encoder and fidelity decoder: a generator, so that command line, dock and tests share it.

Loss per sample: ``w * (D + bpp / lambda(q))`` with ``D = MSE / noise variance``, lambda log-linear in the
rate q. Dividing by lambda keeps every rate's gradient of the same size; ``w = 1 / (D + balance)``, not
differentiated, makes a tenth of a decibel worth the same in a bright and in a dim image, where D differs a
hundredfold. Rounding is straight-through, the rate is estimated with uniform noise (CompressAI's
convention).
"""

from __future__ import annotations

import copy
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_rdpdenoise.codec.normalization import UNIT
from napari_rdpdenoise.codec.pretrained import load_tensors, network_tensors
from napari_rdpdenoise.nn.network import RdpNetwork
from napari_rdpdenoise.train.data import Batch, TrainingData, ValidationImage
from napari_rdpdenoise.train.settings import TrainSettings

_VALIDATION_CROP = 384  # px
_CLIP = 1.0  # gradient norm


@dataclass(frozen=True)
class TrainProgress:
    """State after a step.

    Attributes:
        step, steps: done and planned.
        loss, distortion, bpp: means since the last report; distortion in noise variances.
        seconds: training time of this process.
        validation: per source "psnr@rate" in dB over the noisy file's range, and bpp; empty in between.
    """

    step: int
    steps: int
    loss: float
    distortion: float
    bpp: float
    seconds: float
    validation: dict[str, float]


class Trainer:
    """Trains one network; every checkpoint resumes to the same curve (data are seeded by the step number)."""

    def __init__(
        self, settings: TrainSettings, data: TrainingData, folder: Path, device: str = "cpu"
    ) -> None:
        self.settings, self.data, self.folder, self.device = settings, data, folder, device
        torch.manual_seed(settings.seed)
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        self.network = RdpNetwork(settings.network).to(device).to(memory_format=torch.channels_last)
        if settings.start_from is not None:
            self._start_from(data.root / settings.start_from)
        self.average = copy.deepcopy(self.network).eval()
        quantiles = [p for n, p in self.network.named_parameters() if n.endswith("quantiles")]
        main = [p for n, p in self.network.named_parameters() if not n.endswith("quantiles")]
        self.optimizer = torch.optim.Adam(main, lr=settings.learning_rate)
        self.aux_optimizer = torch.optim.Adam(quantiles, lr=1e-3)
        self.step = 0

    @property
    def checkpoint(self) -> Path:
        """Where the state is kept for resuming."""
        return self.folder / "checkpoint.pt"

    def run(self, report_every: int = 100) -> Generator[TrainProgress, None, None]:
        """Train to the last step, yielding progress; closing the generator stops within a step and saves.

        A checkpoint of the same settings in ``folder`` is continued.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.is_file():
            self._load()
        validation = self.data.validation()
        start, sums, count = time.monotonic(), np.zeros(3), 0
        batches = self.data.batches(self.step)
        try:
            while self.step < self.settings.steps:
                sums += self._train_step(next(batches))
                count += 1
                due = self.step % self.settings.validate_every == 0 or self.step == self.settings.steps
                if self.step % report_every == 0 or due:
                    loss, distortion, bpp = (float(v) for v in sums / count)
                    sums[:], count = 0, 0
                    scores = self.validate(validation) if due else {}
                    if due:
                        self.save()
                    seconds = time.monotonic() - start
                    yield TrainProgress(
                        self.step, self.settings.steps, loss, distortion, bpp, seconds, scores
                    )
        finally:
            batches.close()  # type: ignore[attr-defined]
            self.save()

    def validate(
        self, images: list[ValidationImage], rates: tuple[float, ...] = (0.25, 0.6, 1.0)
    ) -> dict[str, float]:
        """PSNR (dB, of the averaged weights) and bpp on held-out images, per source and rate."""
        rows: dict[str, list[float]] = {}
        self.average.hyperprior.prepare_coder()
        for image in images:
            cut = tuple(slice(0, min(n, _VALIDATION_CROP) // 16 * 16) for n in image.noisy.shape)
            noisy, clean = image.noisy[cut], image.clean[cut]
            u = torch.from_numpy(image.normalization.forward(noisy))[None, None].to(self.device)
            with torch.no_grad():
                features = self.average.analysis(u)
                for rate in rates:
                    q = torch.full((1,), rate, device=self.device)
                    symbols = self.average.quantize(features, q)
                    decoded = self.average.fidelity(self.average.latents(symbols, q))[0, 0].cpu().numpy()
                    bits = float(self.average.hyperprior.estimated_bits(symbols).sum())
                    error = np.mean((image.normalization.inverse(decoded) - clean) ** 2)
                    peak = 255.0 if noisy.max() <= 255 else float(clean.max())
                    rows.setdefault(f"{image.source} psnr@{rate}", []).append(10 * np.log10(peak**2 / error))
                    rows.setdefault(f"{image.source} bpp@{rate}", []).append(bits / noisy.size)
        return {name: float(np.mean(values)) for name, values in rows.items()}

    def save(self) -> None:
        """Write the checkpoint, and the averaged weights as ``model.safetensors``; both atomically."""
        from safetensors.torch import save_file

        state: dict[str, Any] = {
            "settings": self.settings.model_dump_json(),
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "aux_optimizer": self.aux_optimizer.state_dict(),
        }
        beside = self.checkpoint.with_suffix(".tmp")
        torch.save(state, beside)
        beside.replace(self.checkpoint)
        beside = self.folder / "model.tmp"
        save_file(network_tensors(self.average), beside)
        beside.replace(self.folder / "model.safetensors")

    def _start_from(self, path: Path) -> None:
        from safetensors.torch import load_file

        if not path.is_file():
            raise FileNotFoundError(f"start_from: no file {path}; give a model.safetensors or leave it out")
        load_tensors(self.network, load_file(path))

    def _load(self) -> None:
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        kept = TrainSettings.model_validate_json(state["settings"])
        free = {"steps": self.settings.steps, "threads": self.settings.threads, "validate_every": 1000}
        if kept.model_copy(update=free) != self.settings.model_copy(update=free):
            raise ValueError(
                f"out: {self.checkpoint} was made with other settings; give another --out folder or delete it"
            )
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.aux_optimizer.load_state_dict(state["aux_optimizer"])
        self.step = int(state["step"])

    def _train_step(self, batch: Batch) -> np.ndarray:
        self.network.train()
        settings = self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate * _schedule(self.step, settings)
        # a resumed run draws what an unbroken one drew
        torch.manual_seed(settings.seed * 1_000_003 + self.step)
        rate = torch.rand(batch.noisy.shape[0]) ** settings.rate_power
        loss, distortion, bpp = rate_distortion(self.network, batch, rate, settings, self.device)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        # not of the quantiles: theirs are of another loss, and a hundred times larger
        nn.utils.clip_grad_norm_(self.optimizer.param_groups[0]["params"], _CLIP)
        self.optimizer.step()
        self.aux_optimizer.zero_grad(set_to_none=True)
        self.network.hyperprior.aux_loss().backward()
        self.aux_optimizer.step()
        self.step += 1
        self._update_average()
        return np.array([loss.item(), distortion.item(), bpp.item()])

    def _update_average(self) -> None:
        decay = min(self.settings.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for kept, new in zip(self.average.parameters(), self.network.parameters(), strict=True):
                kept.lerp_(new, 1 - decay)


def rate_distortion(
    network: RdpNetwork, batch: Batch, rate: Tensor, settings: TrainSettings, device: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss, distortion (noise variances) and bpp of a batch at rates (b,) in [0, 1]; scalars."""
    noisy, target, weight = (t.to(device) for t in (batch.noisy, batch.target, batch.weight))
    q = rate.to(device)
    out = network(noisy.contiguous(memory_format=torch.channels_last), q)
    distortion = UNIT**2 * (weight * (out.image - target).square()).flatten(1).mean(1)
    bpp = out.bits / noisy[0].numel()
    low, high = (float(np.log(v)) for v in settings.tradeoff)
    tradeoff = torch.exp(low + (high - low) * q)
    balance = 1 / (distortion.detach() + settings.balance)
    return (balance * (distortion + bpp / tradeoff)).mean(), distortion.mean(), bpp.mean()


def _schedule(step: int, settings: TrainSettings) -> float:
    """Linear warm-up, then cosine to ``final_rate``."""
    if step < settings.warm_up:
        return (step + 1) / settings.warm_up
    done = (step - settings.warm_up) / max(1, settings.steps - settings.warm_up)
    return settings.final_rate + (1 - settings.final_rate) * 0.5 * (1 + float(np.cos(np.pi * min(done, 1.0))))
