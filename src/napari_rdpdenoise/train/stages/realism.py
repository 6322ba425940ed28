"""Stage of the realism decoder; everything else is frozen: bitstream and realism 0 stay as they are.

Loss of the decoder, per sample: ``a * log(D / D_fidelity) + b * LPIPS - c * critic``, with ``D`` the error in
noise variances, ``D_fidelity`` that of the frozen fidelity decode (so that ``a`` has the same meaning for
bright and dim images: 1 dB more error costs 0.23 a), LPIPS with AlexNet on the displayed image, and a critic
that is given the fidelity decode and the latents. CGanDeCompress (Nguyen et al. 2026, arXiv 2602.11553);
conditional critic as in HiFiC (Mentzer et al. 2020); gradient penalty of Gulrajani et al. 2017.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from napari_rdpdenoise.metrics.perceptual import load_lpips
from napari_rdpdenoise.nn.critic import Critic, critic_loss
from napari_rdpdenoise.nn.decoder_names import FIDELITY, REALISM
from napari_rdpdenoise.nn.network import RdpNetwork
from napari_rdpdenoise.train.adam import Adam
from napari_rdpdenoise.train.data.batches import Batch, TrainingData
from napari_rdpdenoise.train.loop import Loop
from napari_rdpdenoise.train.losses.display import displayed
from napari_rdpdenoise.train.losses.lattice import repetition
from napari_rdpdenoise.train.settings import FlowStage, RealismStage, TrainSettings
from napari_rdpdenoise.train.stages.fidelity import weighted_error

_BETAS = (0.5, 0.999)  # as published for the Wasserstein critic
_CLIP = 1.0  # gradient norm of the decoder
_STRIDE = 8  # px per latent


class _FrozenOutputs(NamedTuple):
    """What the frozen part makes of a batch: latents by kind, fidelity decode, bpp (b,)."""

    latents: tuple[Tensor, ...]
    fidelity: Tensor
    bpp: Tensor


class RealismLoop(Loop):
    """Trains the realism decoder, which starts as a copy of the fidelity decoder if it is not there yet.

    Raises:
        DecoderMissing: If the network has no realism decoder.
        MetricUnavailable: If AlexNet's weights are not on this machine and the weight of LPIPS is not 0.
    """

    stage: RealismStage

    def __init__(
        self, settings: TrainSettings, number: int, network: RdpNetwork, data: TrainingData, folder: Path
    ) -> None:
        super().__init__(settings, number, network, data, folder)
        stage = self.stage
        network.requires_grad_(False)
        network.hyperprior.prepare_coder()
        self._decoder = network.decoder(REALISM)
        self._module, self._kept = network.get_submodule(REALISM), self.average.get_submodule(REALISM)
        self._module.requires_grad_(True)
        self._optimizer = Adam(self._module.parameters(), lr=stage.learning_rate, betas=_BETAS)
        self._lpips = load_lpips("alex", device=str(self.device)) if stage.lpips else None
        torch.manual_seed(settings.seed)
        config = network.config
        self._critic = Critic(config.latent_channels + 4 * config.detail_channels).to(self.device)
        self._critic_optimizer = Adam(self._critic.parameters(), lr=stage.critic_rate, betas=_BETAS)

    @property
    def trained(self) -> tuple[nn.Module, nn.Module]:
        """The realism decoder, and its average."""
        return self._module, self._kept

    def state(self) -> dict[str, Any]:
        """Critic and optimizers."""
        return {
            "optimizer": self._optimizer,
            "critic": self._critic,
            "critic_optimizer": self._critic_optimizer,
        }

    def optimizer_of_rate(self) -> list[tuple[Adam, float]]:
        """The optimizer of the decoder."""
        return [(self._optimizer, self.stage.learning_rate)]

    def train_step(self, batch: Batch) -> dict[str, float]:
        """The critic's steps, once it has its turn, then one of the decoder, on the same latents."""
        self.network.eval()
        rate = (torch.rand(len(batch.noisy)) ** self.stage.rate_power).to(self.device)
        frozen = self._encode(batch, rate)
        shift = Shift.draw()
        given = (
            shift.image(displayed(frozen.fidelity, batch.tone)),
            shift.latents(frozen.latents),
        )
        image = self._decoder(frozen.latents, rate)
        shown, clean = displayed(image, batch.tone), displayed(batch.target, batch.tone)
        distance = self._train_critic(shift.image(clean), shift.image(shown).detach(), given)
        error, least = weighted_error(image, batch), weighted_error(frozen.fidelity, batch)
        balance = self.stage.balance
        loss = self.stage.distortion * ((error + balance) / (least + balance)).log().mean()
        values = {"distortion": error.mean().item(), "bpp": frozen.bpp.mean().item()}
        if self.stage.pattern:
            share = repetition(image - frozen.fidelity).mean()
            loss = loss + self.stage.pattern * share
            values["pattern"] = share.item()
        if self._lpips is not None:
            distances = self._lpips(shift.image(shown), shift.image(clean)).mean()
            loss = loss + self.stage.lpips * distances
            values["lpips"] = distances.item()
        if self.stage.adversarial and self.step >= self.stage.critic_from + self.stage.critic_alone:
            with without_gradients(self._critic.parameters()):
                loss = loss - self.stage.adversarial * self._critic(shift.image(shown), *given).mean()
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._module.parameters(), _CLIP)
        self._optimizer.step()
        return {"loss": loss.item(), **values, "critic": distance}

    def _encode(self, batch: Batch, rate: Tensor) -> _FrozenOutputs:
        with torch.no_grad():
            latents, bits = self.network.coded(self.network.analysis(*batch.frames), rate)
            fidelity = self.network.decode(latents, rate)[FIDELITY]
        return _FrozenOutputs(latents, fidelity, bits / batch.noisy[0].numel())

    def _train_critic(self, clean: Tensor, shown: Tensor, given: tuple[Tensor, Tensor]) -> float:
        if not self.stage.adversarial or self.step < self.stage.critic_from:
            return 0.0
        distance = shown.new_zeros(())
        for _ in range(self.stage.critic_steps):
            loss, distance = critic_loss(self._critic, clean, shown, given, self.stage.gradient_penalty)
            self._critic_optimizer.zero_grad()
            loss.backward()
            self._critic_optimizer.step()
        return float(distance)


class Shift(NamedTuple):
    """Random crop, 8 px smaller, before LPIPS and the critic.

    AlexNet strides by 4 px and the critic folds by 4 px, as the decoder unfolds: without the shift they agree
    on a grid that lowers both distances and that flat background then shows.
    """

    y: int
    x: int

    @classmethod
    def draw(cls) -> Shift:
        """A random one."""
        y, x = torch.randint(0, _STRIDE, (2,)).tolist()
        return cls(y, x)

    def image(self, image: Tensor) -> Tensor:
        """Cut images (b, c, h, w)."""
        height, width = (n - _STRIDE for n in image.shape[-2:])
        return image[..., self.y : self.y + height, self.x : self.x + width]

    def latents(self, latents: tuple[Tensor, ...]) -> Tensor:
        """Cut latents to the size of the image, details as 4 times the channels; they are not moved."""
        y, *finer = latents
        together = [y, *(nn.functional.pixel_unshuffle(d, 2) for d in finer)]
        return torch.cat(together, 1)[..., :-1, :-1]


class without_gradients:
    """Parameters that take no gradient inside a ``with`` block.

    Args:
        parameters: Parameters that take gradients outside.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self._parameters = list(parameters)

    def __enter__(self) -> None:
        for parameter in self._parameters:
            parameter.requires_grad_(False)

    def __exit__(self, *_exception: object) -> None:
        for parameter in self._parameters:
            parameter.requires_grad_(True)


def check_backbones(settings: TrainSettings) -> None:
    """Find out before the first stage whether the last ones can run.

    Raises:
        MetricUnavailable: If LPIPS has a weight and AlexNet's weights are not on this machine.
    """
    if any(isinstance(stage, RealismStage | FlowStage) and stage.lpips for stage in settings.stages):
        load_lpips("alex")
