"""Stages of encoder, entropy model and fidelity decoder.

Loss per sample: ``w * (D + bpp / lambda(q))`` with ``D = MSE / noise variance``, lambda log-linear in the
rate q. Dividing by lambda keeps every rate's gradient of the same size; ``w = 1 / (D + balance)``, not
differentiated, makes a tenth of a decibel worth the same in a bright and in a dim image, where D differs a
hundredfold. Rounding is straight-through, the rate is estimated with uniform noise (CompressAI's
convention).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_rdpdenoise.codec.normalization import UNIT
from napari_rdpdenoise.nn.network import RdpNetwork
from napari_rdpdenoise.train.adam import Adam
from napari_rdpdenoise.train.data.batches import Batch, TrainingData
from napari_rdpdenoise.train.loop import Loop
from napari_rdpdenoise.train.settings import CodecStage, TrainSettings

_CLIP = 1.0  # gradient norm


class FidelityLoop(Loop):
    """Trains everything but the realism decoder."""

    stage: CodecStage

    def __init__(
        self, settings: TrainSettings, number: int, network: RdpNetwork, data: TrainingData, folder: Path
    ) -> None:
        super().__init__(settings, number, network, data, folder)
        named = list(network.named_parameters())
        self._main = [p for n, p in named if not n.endswith("quantiles")]
        self._optimizer = Adam(self._main, lr=self.stage.learning_rate)
        self._quantiles = Adam([p for n, p in named if n.endswith("quantiles")], lr=1e-3)

    def state(self) -> dict[str, Any]:
        """The two optimizers."""
        return {"optimizer": self._optimizer, "aux_optimizer": self._quantiles}

    def optimizer_of_rate(self) -> list[tuple[Adam, float]]:
        """The optimizer of everything but the quantiles."""
        return [(self._optimizer, self.stage.learning_rate)]

    def train_step(self, batch: Batch) -> dict[str, float]:
        """One step of both optimizers."""
        self.network.train()
        loss, distortion, bpp = rate_distortion(
            self.network, batch, self._rates(len(batch.noisy)), self.stage
        )
        self._optimizer.zero_grad()
        loss.backward()
        # not of the quantiles: theirs are of another loss, and a hundred times larger
        nn.utils.clip_grad_norm_(self._main, _CLIP)
        self._optimizer.step()
        self._quantiles.zero_grad()
        self.network.hyperprior.aux_loss().backward()
        self._quantiles.step()
        return {"loss": loss.item(), "distortion": distortion.item(), "bpp": bpp.item()}

    def _rates(self, count: int) -> Tensor:
        if self.stage.kind == "high-rate":
            return torch.ones(count)
        return torch.rand(count) ** self.stage.rate_power


def rate_distortion(
    network: RdpNetwork, batch: Batch, rate: Tensor, stage: CodecStage
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss of a batch, and what it is made of.

    Args:
        network: Network to train.
        batch: Batch of the step.
        rate: Rates (b,) in [0, 1].
        stage: Settings of the stage.

    Returns:
        Loss, distortion in noise variances, and bits per pixel; scalars.
    """
    q = rate.to(batch.noisy.device)
    planes, presence = batch.frames
    out = network(planes, q, presence)
    distortion = weighted_error(out.image, batch)
    bpp = out.bits / batch.noisy[0].numel()
    low, high = (float(np.log(v)) for v in stage.tradeoff_of(network.config.gain_anchors))
    tradeoff = torch.exp(low + (high - low) * q)
    weight = 1 / (distortion.detach() + stage.balance)
    return (weight * (distortion + bpp / tradeoff)).mean(), distortion.mean(), bpp.mean()


def weighted_error(image: Tensor, batch: Batch) -> Tensor:
    """Squared error of each sample (b,) in noise variances, weighted as the batch says."""
    return UNIT**2 * (batch.weight * (image - batch.target).square()).flatten(1).mean(1)
