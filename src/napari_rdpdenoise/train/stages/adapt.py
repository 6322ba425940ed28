"""Stage that adapts a trained codec to images without clean partners; see `AdaptStage` for loss and sources.

Symbols: ``D`` mean square of decode minus noisy input, in noise variances: 1 where exactly the noise was
removed; ``price`` of a bit per pixel, which follows D: below 1 noise is being kept, so bits get dearer.
A realism decoder may also learn from simulated exposures of the references, see ``finetune.simulated``.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from napari_rdpdenoise.codec.normalization import UNIT
from napari_rdpdenoise.metrics.perceptual import load_lpips
from napari_rdpdenoise.nn.critic import MarginalCritic, critic_loss
from napari_rdpdenoise.nn.decoder_names import FIDELITY, REALISM, check_decoders
from napari_rdpdenoise.nn.network import Coded, RdpNetwork
from napari_rdpdenoise.train.adam import Adam
from napari_rdpdenoise.train.data.batches import Batch, TrainingData
from napari_rdpdenoise.train.loop import Loop
from napari_rdpdenoise.train.losses.display import displayed
from napari_rdpdenoise.train.losses.lattice import repetition
from napari_rdpdenoise.train.settings import AdaptStage, TrainSettings
from napari_rdpdenoise.train.stages.fidelity import weighted_error
from napari_rdpdenoise.train.stages.realism import Shift, without_gradients

_BETAS = (0.5, 0.999)  # as published for the Wasserstein critic
_CLIP = 1.0  # gradient norm
_PUBLISHED_NOISE = (25 / 255) ** 2  # variance beside which the weight of W1 is published
_FOLLOW, _MOST = 0.5, 0.05  # of log price per step and unit of D; largest change per step
_BOUND = 30.0  # times the starting price, upwards and downwards
_MEANS = 32  # px of the blocks whose means the critic sees as they are in the noisy image; divides crops
TAU = 0.5  # of the noise that is added; see `recorrupted`
_MEMORY = 0.9  # of the mean of D that the price follows


@runtime_checkable
class HasReferences(Protocol):
    """Training data that also holds clean images of the same kind of specimen."""

    def references(self, step: int, count: int) -> Tensor:
        """Random crops as displayed, (count, 1, crop, crop), 0..1; the same for the same step."""


@runtime_checkable
class HasSimulated(Protocol):
    """Training data that also simulates exposures of the references."""

    def simulated(self, step: int, count: int) -> Batch:
        """Exposures with their truth; the same for the same step."""


class AdaptLoop(Loop):
    """Trains the parts that the stage names; everything else is frozen.

    Raises:
        ValueError: If W1 has a weight and ``data`` has no references, or the decoder is not there.
    """

    stage: AdaptStage

    def __init__(
        self, settings: TrainSettings, number: int, network: RdpNetwork, data: TrainingData, folder: Path
    ) -> None:
        super().__init__(settings, number, network, data, folder)
        stage = self.stage
        if stage.perception and not isinstance(data, HasReferences):
            raise ValueError("perception: expected reference images in the data, found none; set it to 0")
        self._decoders = _decoders(network, stage)
        self._lpips = load_lpips("alex", device=str(self.device)) if stage.simulated else None
        network.requires_grad_(False)
        for module in self._learning():
            module.requires_grad_(True)
        network.hyperprior.prepare_coder()
        named = [(n, p) for n, p in network.named_parameters() if p.requires_grad]
        self._main = [p for n, p in named if not n.endswith("quantiles")]
        self._optimizer = Adam(self._main, lr=stage.learning_rate)
        quantiles = [p for n, p in named if n.endswith("quantiles")]
        self._quantiles = Adam(quantiles, lr=1e-3) if quantiles else None
        torch.manual_seed(settings.seed)
        self._price = BitPrice(stage.price)
        self._critic = MarginalCritic().to(self.device)
        self._critic_optimizer = Adam(self._critic.parameters(), lr=stage.critic_rate, betas=_BETAS)

    def state(self) -> dict[str, Any]:
        """Optimizers, price, and the critic where there is one."""
        kept: dict[str, Any] = {"optimizer": self._optimizer, "price": self._price}
        if self._quantiles is not None:
            kept["aux_optimizer"] = self._quantiles
        if self.stage.perception:
            kept |= {"critic": self._critic, "critic_optimizer": self._critic_optimizer}
        return kept

    def optimizer_of_rate(self) -> list[tuple[Adam, float]]:
        """The optimizer of the network."""
        return [(self._optimizer, self.stage.learning_rate)]

    def train_step(self, batch: Batch) -> dict[str, float]:
        """The critic's steps, where there is one, then one of the network, on the same latents."""
        stage, added, seen = self.stage, 0.0, batch.noisy
        if stage.target == "recorrupted":
            batch, added = recorrupted(batch)
        rate = self._rates(len(batch.noisy)).to(self.device)
        hat, bits = self._latents(batch, rate)
        if stage.target == "decoded":
            with torch.no_grad():
                batch = replace(batch, target=self.network.decode(hat, rate)[FIDELITY])
        images = self.network.decode(hat, rate, self._decoders)
        errors = {name: weighted_error(image, batch).mean() for name, image in images.items()}
        bpp = bits.mean() / batch.noisy[0].numel()
        loss = sum((_penalty(error, stage) for error in errors.values()), torch.zeros((), device=self.device))
        values = {"distortion": errors[stage.decoder].item() - added, "bpp": bpp.item()}
        if stage.learns != "decoder":
            loss = loss + self._price.value * bpp
            values["price"] = self._price.value
        if self._lpips is not None:
            penalty, values["lpips"] = self._simulated(len(batch.noisy))
            loss = loss + penalty
        if stage.perception:
            anchored = with_means_of(images[stage.decoder], seen)
            shown = Shift.draw().image(displayed(anchored, batch.tone))
            values["critic"] = self._train_critic(shown.detach())
            if self.step >= stage.critic_alone:
                with without_gradients(self._critic.parameters()):
                    # a critic's slope is 1 over a whole crop: as a root mean square over its pixels the pull
                    # of W1 is the same for crops of any size, and cannot outgrow the distortion's
                    score = self._critic(shown).mean() / shown[0].numel() ** 0.5
                    loss = loss - stage.perception / _PUBLISHED_NOISE * score
        self._descend(loss)
        if stage.target == "noisy":
            self._price.follow(errors[FIDELITY if FIDELITY in errors else stage.decoder].item())
        return {"loss": loss.item(), **values}

    def _simulated(self, count: int) -> tuple[Tensor, float]:
        """Loss of the realism decoder on simulated exposures, noise variances; and their LPIPS.

        That of the shipped decoder's training: error relative to the fidelity decode's, and LPIPS.
        """
        assert isinstance(self.data, HasSimulated)
        assert self._lpips is not None
        batch = self.data.simulated(self.step, count).to(self.device)
        rate = self._rates(len(batch.noisy)).to(self.device)
        hat, _ = self._latents(batch, rate)
        image, shift = self.network.decode(hat, rate, (REALISM,))[REALISM], Shift.draw()
        with torch.no_grad():
            fidelity = self.network.decode(hat, rate)[FIDELITY]
            least = weighted_error(fidelity, batch) + self.stage.balance
        shown, truth = (shift.image(displayed(part, batch.tone)) for part in (image, batch.target))
        distance = self._lpips(shown, truth).mean()
        relative = (weighted_error(image, batch) / least).mean()
        loss = relative + self.stage.simulated * distance
        if self.stage.pattern:
            loss = loss + self.stage.pattern * repetition(image - fidelity).mean()
        return least.mean() * loss, distance.item()

    def _descend(self, loss: Tensor) -> None:
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._main, _CLIP)
        self._optimizer.step()
        if self._quantiles is not None:
            self._quantiles.zero_grad()
            self.network.hyperprior.aux_loss().backward()
            self._quantiles.step()

    def _learning(self) -> list[nn.Module]:
        network = self.network
        parts = [network.get_submodule(name) for name in self._decoders]
        if self.stage.learns == "gains":
            parts += network.all_gains
        if self.stage.learns == "all":
            parts += [network.analysis, *network.all_gains, network.hyperprior]
        return parts

    def _latents(self, batch: Batch, rate: Tensor) -> Coded:
        """Decoder input and bits (b,); with gradient where something before it learns."""
        network = self.network
        if self.stage.learns == "decoder":
            with torch.no_grad():
                return network.coded(network.analysis(*batch.frames), rate)
        network.train()
        return network.coded_to_train(network.analysis(*batch.frames), rate)

    def _rates(self, count: int) -> Tensor:
        """Half of them around the rate of the noise, the others anywhere: the slider must go on working."""
        stage = self.stage
        near = stage.rate + stage.rate_spread * (2 * torch.rand(count) - 1)
        anywhere = torch.rand(count) ** stage.rate_power
        if stage.learns != "decoder":  # one price holds at one rate only
            return near.clamp(0, 1)
        return torch.where(torch.rand(count) < 0.5, near, anywhere).clamp(0, 1)

    def _train_critic(self, shown: Tensor) -> float:
        stage, count = self.stage, len(shown)
        assert isinstance(self.data, HasReferences)
        real = self.data.references(self.step, count * stage.critic_steps).to(self.device)
        height, width = shown.shape[-2:]
        distance = shown.new_zeros(())
        for part in real[..., :height, :width].split(count):
            loss, distance = critic_loss(self._critic, part, shown, (), stage.gradient_penalty)
            self._critic_optimizer.zero_grad()
            loss.backward()
            self._critic_optimizer.step()
        return float(distance)


def with_means_of(image: Tensor, noisy: Tensor) -> Tensor:
    """The image (b, 1, h, w) with the local means of the noisy one, as the codec's output has them.

    A critic prefers the brightness that is usual among its references; here it cannot ask for it.
    """
    missing = nn.functional.avg_pool2d(noisy - image, _MEANS)
    return image + nn.functional.interpolate(missing, image.shape[-2:], mode="bilinear", align_corners=False)


def recorrupted(batch: Batch) -> tuple[Batch, float]:
    """The batch with ``tau z`` added to the input and ``z / tau`` taken off the target, z like its noise.

    Input and target then have independent noise (Pang et al. 2021, "Recorrupted-to-Recorrupted"),
    so the decode cannot come closer to the target by keeping noise. Also the mean square, in noise variances,
    that this adds to every error.
    """
    z = torch.randn_like(batch.noisy)
    noise = z / (UNIT * batch.weight.sqrt())  # the weight is one over the noise variance, network units
    added = float(z.square().mean()) / TAU**2
    seen = batch.with_noisy(batch.noisy + TAU * noise)
    return replace(seen, target=batch.target - noise / TAU), added


class BitPrice(nn.Module):
    """Price of a bit per pixel: rises while D is below 1, falls while it is above; kept in the checkpoint.

    Args:
        start: Price at the start, noise variances.
    """

    def __init__(self, start: float) -> None:
        super().__init__()
        self._start = start
        self.state: Tensor
        self.register_buffer("state", torch.tensor([start, 1.0], dtype=torch.float64))

    @property
    def value(self) -> float:
        """The price as it is now."""
        return float(self.state[0])

    def follow(self, found: float) -> None:
        """Take note of a D."""
        price, mean = (float(v) for v in self.state)
        mean = _MEMORY * mean + (1 - _MEMORY) * found
        change = max(-_MOST, min(_MOST, _FOLLOW * (1 - mean)))
        price = min(max(price * math.exp(change), self._start / _BOUND), self._start * _BOUND)
        self.state.copy_(torch.tensor([price, mean], dtype=torch.float64))


def _penalty(error: Tensor, stage: AdaptStage) -> Tensor:
    return error if stage.form == "mse" else 2 * error.sqrt()


def _decoders(network: RdpNetwork, stage: AdaptStage) -> tuple[str, ...]:
    """Names of the decoders that learn."""
    named = (FIDELITY, stage.decoder) if stage.learns == "all" else (stage.decoder,)
    names = tuple(dict.fromkeys(named))
    check_decoders(names, network.decoders, "the network")
    return names
