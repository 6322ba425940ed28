"""Critics, conditional and not, of the realism decoder's training; they are never shipped."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_rdpdenoise.nn.layers import conv

_CONDITION = 16  # channels the latents are squeezed into


class Critic(nn.Module):
    """How natural an image is, given the latents it was decoded from: mean over patches, unbounded.

    Sees the image, the fidelity decode of the same latents, and the latents brought to the image's scale (as
    in HiFiC, Mentzer et al. 2020). Images are folded 4x4 into channels like the encoder's input, since a CPU
    is slow at full resolution. No normalisation layers: the gradient penalty is per sample.
    """

    def __init__(self, latent_channels: int, channels: int = 64) -> None:
        super().__init__()
        act = nn.LeakyReLU(0.2)
        squeeze = conv(latent_channels, _CONDITION, kernel=1)
        self.condition = nn.Sequential(squeeze, nn.Upsample(scale_factor=2))
        self.layers = nn.Sequential(
            conv(32 + _CONDITION, channels),
            act,
            nn.Conv2d(channels, 2 * channels, 4, 2, 1),
            act,
            conv(2 * channels, 2 * channels),
            act,
            nn.Conv2d(2 * channels, 3 * channels, 4, 2, 1),
            act,
            conv(3 * channels, 1),
        )

    def forward(self, image: Tensor, fidelity: Tensor, latents: Tensor) -> Tensor:
        """Score (b,) of displayed images (b, 1, h, w), given (b, 1, h, w) and latents (b, c, h/8, w/8)."""
        folded = nn.functional.pixel_unshuffle(torch.cat([image, fidelity], 1), 4)
        return self.layers(torch.cat([folded, self.condition(latents)], 1)).mean(dim=(1, 2, 3))


class MarginalCritic(nn.Module):
    """How much an image looks like the references, whatever it was decoded from: score per image, unbounded.

    Three stride-2 convolutions with leaky ReLU, global mean, linear (GanDeCompress, arXiv 2602.11553). Images
    are folded 2x2 into channels in place of the first stride, since a CPU is slow at full resolution.
    """

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        act = nn.LeakyReLU(0.2)
        self.layers = nn.Sequential(
            conv(4, channels),
            act,
            nn.Conv2d(channels, 2 * channels, 4, 2, 1),
            act,
            nn.Conv2d(2 * channels, 4 * channels, 4, 2, 1),
            act,
        )
        self.score = nn.Linear(4 * channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Score (b,) of displayed images (b, 1, h, w), h and w even and at least 8."""
        features = self.layers(nn.functional.pixel_unshuffle(image, 2))
        return self.score(features.mean(dim=(2, 3)))[:, 0]


def critic_loss(
    critic: nn.Module, real: Tensor, fake: Tensor, given: tuple[Tensor, ...], penalty: float
) -> tuple[Tensor, Tensor]:
    """Wasserstein loss with gradient penalty (Gulrajani et al. 2017, eq. 3), and the estimated distance.

    Args:
        critic: Critic that is trained.
        real: Displayed clean images (b, 1, h, w).
        fake: Displayed decodes of the same shape, without gradient.
        given: Images that the critic takes beside one: fidelity decode as displayed, and latents; or none.
        penalty: Weight of ``(|gradient| - 1)^2`` at random points between the two.
    """
    distance = (critic(real, *given) - critic(fake, *given)).mean()
    share = torch.rand(real.shape[0], 1, 1, 1, device=real.device)
    between = torch.lerp(fake, real, share).requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(between, *given).sum(), between, create_graph=True)
    excess = (slope.flatten(1).norm(dim=1) - 1).square().mean()
    return penalty * excess - distance, distance.detach()
