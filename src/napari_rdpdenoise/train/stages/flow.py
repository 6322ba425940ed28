"""Stage of the flow decoder; everything else is frozen: bitstream and the other decoders stay as they are.

Per sample, at a random share ``t`` of the way: the error of the predicted image and its agreement with what
the averaged weights predict a little further on in the same segment (Consistency-FM, Yang et al. 2024), both
relative to the fidelity decode's error, and, from half-way on, LPIPS: ``(1 - rho) error + rho LPIPS``, rho
drawn from those of the settings (Nguyen et al. 2026, arXiv 2602.11553). The spread that the decoder starts
with is the expected error of the fidelity decode, by its Gaussian likelihood.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from napari_rdpdenoise.metrics.perceptual import load_lpips
from napari_rdpdenoise.nn.decoder_names import FIDELITY
from napari_rdpdenoise.nn.decoders.flow import SEGMENTS, Flow, Given, pixel_noise
from napari_rdpdenoise.nn.network import RdpNetwork
from napari_rdpdenoise.train.adam import Adam
from napari_rdpdenoise.train.data.batches import Batch, TrainingData
from napari_rdpdenoise.train.loop import Loop
from napari_rdpdenoise.train.losses.display import displayed
from napari_rdpdenoise.train.settings import FlowStage, TrainSettings
from napari_rdpdenoise.train.stages.fidelity import weighted_error
from napari_rdpdenoise.train.stages.realism import Shift

_CLIP = 1.0  # gradient norm
_FURTHER = 0.1  # of the way, at which the averaged weights are asked
_LATE = 0.5  # of the way, from which an image has texture to be looked at
_LEAST_LEFT = 0.05  # of the way, by which a direction is divided
_LIKELIHOOD = 0.1  # weight of the spread's likelihood


class FlowLoop(Loop):
    """Trains the flow decoder on the latents of a frozen codec.

    Raises:
        DecoderMissing: If the network has no flow decoder.
        MetricUnavailable: If AlexNet's weights are not on this machine and the weight of LPIPS is not 0.
    """

    stage: FlowStage

    def __init__(
        self, settings: TrainSettings, number: int, network: RdpNetwork, data: TrainingData, folder: Path
    ) -> None:
        super().__init__(settings, number, network, data, folder)
        network.requires_grad_(False)
        network.hyperprior.prepare_coder()
        self._flow, self._kept = network.flow_decoder(), self.average.flow_decoder()
        self._flow.requires_grad_(True)
        self._optimizer = Adam(self._flow.parameters(), lr=self.stage.learning_rate)
        self._lpips = load_lpips("alex", device=str(self.device)) if self.stage.lpips else None

    @property
    def trained(self) -> tuple[nn.Module, nn.Module]:
        """The flow decoder, and its average."""
        return self._flow, self._kept

    def state(self) -> dict[str, Any]:
        """The optimizer."""
        return {"optimizer": self._optimizer}

    def optimizer_of_rate(self) -> list[tuple[Adam, float]]:
        """The optimizer of the decoder."""
        return [(self._optimizer, self.stage.learning_rate)]

    def train_step(self, batch: Batch) -> dict[str, float]:
        """One step on latents of random rates, at random shares of the way."""
        self.network.eval()
        count = len(batch.noisy)
        rate = (torch.rand(count) ** self.stage.rate_power).to(self.device)
        rho = torch.tensor(self.stage.rho, device=self.device)[torch.randint(len(self.stage.rho), (count,))]
        with torch.no_grad():
            latents = self.network.rounded(self.network.analysis(*batch.frames), rate)
            fidelity = self.network.decode(latents, rate)[FIDELITY]
            kept = self._kept.given(latents)
        given = self._flow.given(latents)
        likelihood = _likelihood(batch.target - fidelity, given.spread)
        noise = given.spread.detach() * pixel_noise(fidelity, None)
        way = Way(fidelity, fidelity + noise, batch.target, rate, rho)
        share = torch.rand(count, device=self.device)
        image = way.end(self._flow, given._replace(spread=given.spread.detach()), share)
        least = weighted_error(fidelity, batch) + self.stage.balance
        error = weighted_error(image, batch) / least
        with torch.no_grad():
            further = way.end_by_segment(self._kept, kept, share)
        apart = weighted_error(image - further + batch.target, batch) / least
        loss = ((1 - rho) * (error + self.stage.consistency * apart)).mean() + _LIKELIHOOD * likelihood
        values = {"error": error.mean().item(), "apart": apart.mean().item(), "likelihood": likelihood.item()}
        if self._lpips is not None:
            perceived = self._perceived(image, batch, rho * (share >= _LATE))
            loss = loss + self.stage.lpips * perceived
            values["lpips"] = perceived.item()
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._flow.parameters(), _CLIP)
        self._optimizer.step()
        return {"loss": loss.item(), **values}

    def _perceived(self, image: Tensor, batch: Batch, weight: Tensor) -> Tensor:
        """Weighted mean of LPIPS of displayed images."""
        assert self._lpips is not None
        shift = Shift.draw()
        shown, clean = (shift.image(displayed(part, batch.tone)) for part in (image, batch.target))
        return (weight * self._lpips(shown, clean).flatten()).mean()


class Way(NamedTuple):
    """The straight lines of a batch from a start to the clean images.

    Attributes:
        fidelity: Fidelity decode (b, 1, h, w), network units, like the two that follow.
        start: Fidelity decode with noise.
        target: Clean images.
        rate: Position of each sample on the gain curve, (b,).
        rho: Weight of perception of each, (b,).
    """

    fidelity: Tensor
    start: Tensor
    target: Tensor
    rate: Tensor
    rho: Tensor

    def at(self, share: Tensor) -> Tensor:
        """Images at shares (b,) of the way."""
        return torch.lerp(self.start, self.target, _column(share))

    def end(self, flow: Flow, given: Given, share: Tensor) -> Tensor:
        """Where a decoder sees the end from there."""
        where = torch.stack([share, self.rate, self.rho], 1)
        return cast(Tensor, flow(self.at(share), self.fidelity, given, where))

    def end_by_segment(self, flow: Flow, given: Given, share: Tensor) -> Tensor:
        """Where the end lies if one step goes where the decoder, asked a little further on, ends a segment.

        Args:
            flow: Decoder that is asked.
            given: Features of its own.
            share: Shares of the way that the step starts at, (b,).
        """
        edge = (torch.floor(share * SEGMENTS) + 1) / SEGMENTS
        later = torch.minimum(share + _FURTHER, edge)
        x, left = self.at(later), _column(1 - later).clamp(min=_LEAST_LEFT)
        step = (self.end(flow, given, later) - x) / left
        there = x + _column(edge - later) * step
        return self.at(share) + (there - self.at(share)) * _column(
            (1 - share) / (edge - share).clamp(min=1e-3)
        )


def _likelihood(error: Tensor, spread: Tensor) -> Tensor:
    """Mean negative logarithm of the Gaussian likelihood, without its constant."""
    return (spread.log() + (error / spread).square() / 2).mean()


def _column(values: Tensor) -> Tensor:
    return values[:, None, None, None]
