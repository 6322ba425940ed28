"""Analysis transform: normalised planes to latents at 1/8 resolution, and to details at 1/4."""

from __future__ import annotations

from torch import Tensor, nn

from napari_rdpdenoise.nn.config import NetworkConfig
from napari_rdpdenoise.nn.layers import ResidualBlock, chosen_type, conv, in_turn

_STEM = 4  # px that the stem folds into channels, each way


class Analysis(nn.Module):
    """The plane to encode, beside its neighbours or alone, to its latents: those of 1/8 first.

    ::

        planes, presence -> stem -> blocks at 1/4 -> blocks at 1/8 -> (b, latent_channels, h, w)
                                         `---------> details          (b, detail_channels, 2h, 2w)

    The stem folds 4x4 pixels into channels, because at full resolution, with few channels, a CPU spends most
    of its time on few multiply-accumulates. Of a network of three planes it also sees two maps, which are 1
    where the previous and the next plane are there; one that is not is 0 whatever its pixels hold.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        quarter, eighth = config.quarter_channels, config.eighth_channels
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(_STEM),
            conv(config.planes * _STEM**2 + config.planes - 1, quarter),
            *(ResidualBlock(quarter) for _ in range(config.encoder_blocks[0])),
            conv(quarter, eighth, stride=2),
            *(ResidualBlock(eighth) for _ in range(config.encoder_blocks[1])),
            conv(eighth, config.latent_channels),
        )
        self.detail = conv(quarter, config.detail_channels) if config.detail_channels else None
        self._planes, self._eighth_at = config.planes, config.encoder_blocks[0] + 2

    def forward(self, planes: Tensor, presence: Tensor | None = None) -> tuple[Tensor, ...]:
        """Latents by kind.

        Args:
            planes: Previous, current and next plane (b, 3, 8h, 8w), or the current one alone (b, 1, 8h, 8w).
            presence: Whether previous and next are there (b, 2), 1 or 0; None with a plane alone.
        """
        if presence is None:  # what the stem sees of other planes is 0
            own = slice(self._planes // 2 * _STEM**2, (self._planes // 2 + 1) * _STEM**2)
            x = self.layers[1](_folded(planes), inputs=own)
        else:
            x = self.layers[1](_folded(planes, presence))
        for layer in self.layers[2 : self._eighth_at]:  # here, for a called function's caller would keep x
            x = layer(x)
        y = in_turn(self.layers[self._eighth_at :], x)
        found = (y,) if self.detail is None else (y, self.detail(x))
        return tuple(part.to(planes.dtype) for part in found)


def _folded(planes: Tensor, presence: Tensor | None = None) -> Tensor:
    """Planes, and maps of which are there, as the stem takes them."""
    batch, count, height, width = planes.shape
    rows, columns, pixels = height // _STEM, width // _STEM, _STEM**2
    maps = 0 if presence is None else presence.shape[1]
    # channels last, as all that follows
    folded = planes.new_empty(batch, rows, columns, count * pixels + maps, dtype=chosen_type(planes))
    folded[..., : count * pixels].view(batch, rows, columns, count, _STEM, _STEM).copy_(
        planes.reshape(batch, count, rows, _STEM, columns, _STEM).permute(0, 2, 4, 1, 3, 5)
    )
    if presence is not None:
        for side, start in enumerate((0, 2 * pixels)):
            there = presence[:, side, None, None, None]
            folded[..., start : start + pixels].masked_fill_(there <= 0, 0.0)
            folded[..., 3 * pixels + side] = there[..., 0]
    return folded.permute(0, 3, 1, 2)
