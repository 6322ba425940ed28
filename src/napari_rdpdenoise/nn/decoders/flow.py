"""Flow decoder: samples of what the latents leave open (DiffDeCompress, with the constraints of DCIC).

A sample starts at the fidelity decode plus noise as large as its expected error, ``z = fidelity + spread n``,
and walks on straight lines to an image, ``x_t = (1 - t) z + t x``. The network predicts ``x`` from ``x_t``,
which gives the direction ``(x - x_t) / (1 - t)``; trained over segments of the way it is exact in as many
steps. Source: Nguyen et al. 2026 (arXiv 2602.11553) for the conditional decoder and its weight rho of
perception; Ohayon et al. 2025 (PMRF) for the start at the least error; Yang et al. 2024 (Consistency-FM) for
the segments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from napari_rdpdenoise.nn.config import NetworkConfig
from napari_rdpdenoise.nn.decoders.grain import grain, random_grain
from napari_rdpdenoise.nn.decoders.place import Place, plane_seed
from napari_rdpdenoise.nn.decoders.sampling import Sampling
from napari_rdpdenoise.nn.layers import ResidualBlock, conv, start_small

SEGMENTS = 3  # of the way, in each of which one step is to be enough
_FOLD = 4  # px that are folded into channels, each way
_EMBEDDED = 64  # numbers that say how far, at which rate, at which rho
_LEAST_LEFT = 0.05  # of the way, by which a direction is divided
_SPREAD = (-7.0, 2.0)  # natural logarithm of the spread, network units
_START = -2.5  # of it, before training
_STEP = 0.5  # share of a constraint's residual that one step takes off

Again = Callable[[Tensor], Tensor]
"""An image (b, 1, h, w), encoded and decoded again for the least error."""


class Given(NamedTuple):
    """What all steps share: features at 1/8 and 1/4, and the expected error of the fidelity decode.

    Attributes:
        coarse: Features (b, c, h, w).
        fine: Features (b, c, 2h, 2w).
        spread: Expected error rms per pixel (b, 1, 8h, 8w), network units.
    """

    coarse: Tensor
    fine: Tensor
    spread: Tensor


class ModulatedBlock(nn.Module):
    """``x + conv(act(s(conv(x))))`` with ``s`` a scale and a shift per channel that an embedding decides."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = conv(channels, channels), conv(channels, channels)
        self.act = nn.LeakyReLU(0.1, inplace=True)
        self.modulation = nn.Linear(_EMBEDDED, 2 * channels)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)
        start_small(self.second)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, 1)
        return x + self.second(self.act(torch.addcmul(shift, self.first(x), 1 + scale)))


class Flow(nn.Module):
    """Samples (b, 1, 8h, 8w) of the image, given latents (b, c, h, w) and their fidelity decode."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        quarter, eighth, pixels = config.quarter_channels, config.eighth_channels, _FOLD**2
        self.coarse = nn.Sequential(conv(config.latent_channels, eighth), ResidualBlock(eighth))
        self.up = nn.Sequential(conv(eighth, 4 * quarter, kernel=1), nn.PixelShuffle(2))
        self.detail = conv(config.detail_channels, quarter) if config.detail_channels else None
        self.fine = ResidualBlock(quarter)
        self.spread = nn.Sequential(nn.LeakyReLU(0.1), conv(quarter, pixels), nn.PixelShuffle(_FOLD))
        self.embed = nn.Sequential(nn.Linear(3, _EMBEDDED), nn.SiLU(), nn.Linear(_EMBEDDED, _EMBEDDED))
        self.enter = conv(2 * pixels, quarter)
        self.before = ModulatedBlock(quarter)
        self.down = conv(quarter, eighth, stride=2)
        self.middle = ModulatedBlock(eighth)
        self.rise = nn.Sequential(conv(eighth, 4 * quarter, kernel=1), nn.PixelShuffle(2))
        self.after = ModulatedBlock(quarter)
        self.leave = nn.Sequential(conv(quarter, pixels), nn.PixelShuffle(_FOLD))
        for layer, bias in ((self.spread[1], _START), (self.leave[0], 0.0)):
            nn.init.zeros_(cast(Tensor, layer.weight))  # without training a sample is the fidelity decode
            nn.init.constant_(cast(Tensor, layer.bias), bias)

    def given(self, latents: tuple[Tensor, ...]) -> Given:
        """What all steps share, once for each batch of latents."""
        coarse = self.coarse(latents[0])
        fine = self.up(coarse)
        if self.detail is not None:
            fine = self.detail(latents[1]).add_(fine)
        fine = self.fine(fine)
        return Given(coarse, fine, self.spread(fine).clamp(*_SPREAD).exp())

    def forward(self, x: Tensor, fidelity: Tensor, given: Given, where: Tensor) -> Tensor:
        """The image that lies at the end of the way.

        Args:
            x: Image on the way (b, 1, 8h, 8w), network units.
            fidelity: Fidelity decode of the same latents, same shape.
            given: Features and spread of the latents.
            where: Share of the way, rate and rho of each sample, (b, 3), each 0 to 1.
        """
        embedding = self.embed(where)
        away = nn.functional.pixel_unshuffle((x - fidelity) / given.spread, _FOLD)
        shown = nn.functional.pixel_unshuffle(fidelity, _FOLD)
        fine = self.before(self.enter(torch.cat([away, shown], 1)) + given.fine, embedding)
        coarse = self.middle(self.down(fine) + given.coarse, embedding)
        fine = self.after(fine + self.rise(coarse), embedding)
        return fidelity + given.spread * self.leave(fine)

    def sample(
        self, fidelity: Tensor, given: Given, rate: Tensor, noise: Tensor, sampling: Sampling, again: Again
    ) -> Tensor:
        """A sample (b, 1, 8h, 8w), network units.

        Args:
            fidelity: Fidelity decode of the latents, same shape.
            given: Features and spread of the latents.
            rate: Position of each on the gain curve, (b,), 0 to 1.
            noise: Random numbers of mean 0 and variance 1, shape of the sample.
            sampling: Steps and constraints.
            again: Function that encodes an image and decodes it again; called only with ``sampling.kp``.
        """
        x = fidelity + given.spread * noise
        for step in range(sampling.steps):
            t = step / sampling.steps
            where = torch.stack([torch.full_like(rate, t), rate, torch.full_like(rate, sampling.rho)], 1)
            end = _constrained(self(x, fidelity, given, where), fidelity, sampling, again)
            x = x + (end - x) / max((1 - t) * sampling.steps, _LEAST_LEFT)
        return x


def _constrained(image: Tensor, fidelity: Tensor, sampling: Sampling, again: Again) -> Tensor:
    """An image one step nearer to what the constraints allow (DCIC, in the image's own space)."""
    pull = torch.zeros_like(image)
    if sampling.kd:
        pull = pull + sampling.kd * (image - fidelity)
    if sampling.kp:
        slope = _slope if sampling.exact else _unit_slope
        pull = pull + sampling.kp * slope(image, fidelity, again)
    return image - _STEP * pull if sampling.kd or sampling.kp else image


def _unit_slope(image: Tensor, fidelity: Tensor, again: Again) -> Tensor:
    return again(image) - fidelity


def _slope(image: Tensor, fidelity: Tensor, again: Again) -> Tensor:
    """Gradient of half the squared distance that is left after encoding and decoding again."""
    with torch.inference_mode(False), torch.enable_grad():
        at = image.clone().requires_grad_()
        left = (again(at) - fidelity.clone()).square().sum() / 2
        (slope,) = torch.autograd.grad(left, at)
    return slope


def pixel_noise(like: Tensor, places: Sequence[Place] | None, sample: int = 0) -> Tensor:
    """Numbers (b, 1, h, w) of mean 0 and variance 1, a function of seed, position and number of the sample.

    Args:
        like: Image (b, 1, h, w), h and w multiples of 8.
        places: Where each lies; None draws the numbers with torch's generator, as training does.
        sample: Number of the sample.
    """
    rows, columns = (n // _FOLD for n in like.shape[-2:])
    if places is None:
        folded = random_grain(_FOLD**2, like.new_empty(len(like), 1, rows // 2, columns // 2))
    else:
        drawn = [place._replace(seed=plane_seed(place.seed, (sample,))) for place in places]
        folded = torch.stack([grain(_FOLD**2, (rows, columns), place) for place in drawn]).to(like.device)
    return nn.functional.pixel_shuffle(folded, _FOLD)
