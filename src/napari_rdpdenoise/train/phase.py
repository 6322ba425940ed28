"""How far a decoder's texture depends on where the grid of the latents happens to lie in the image.

LPIPS falls with any fine texture, also with one that is the same in every block of 8x8 px, and the eye sees
that lattice at once. An image knows nothing of the grid: coded again from another offset, what is drawn into
it may differ by chance (grain), never on average.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

_GRID = 16  # px, the network's stride
_MARGIN = 16  # px, where a window's own edge is seen
_REACH = 16  # px, the area in which shares are taken
_FLOOR = 0.05  # of an image's mean power: areas with less texture than this count less


class Window(NamedTuple):
    """Square part of a training crop whose corner lies off the grid."""

    y: int
    x: int
    side: int

    @classmethod
    def draw(cls, crop: int) -> Window:
        """A random one, 16 px smaller than ``crop``, from torch's generator."""
        number = int(torch.randint(1, _GRID**2, ()))  # 0 would be on the grid
        return cls(number // _GRID, number % _GRID, crop - _GRID)

    def of(self, image: Tensor) -> Tensor:
        """The window of images (..., crop, crop)."""
        return image[..., self.y : self.y + self.side, self.x : self.x + self.side]


def dependence(here: tuple[Tensor, Tensor], there: tuple[Tensor, Tensor]) -> Tensor:
    """Share of the texture's power that changes with the grid's offset: (b,), 0 for none, 1 for all of it.

    For textures ``a, b`` of one offset and ``m, n`` of another, each with grain of its own, the mean of
    ``(a - m) * (b - n)`` is the power of the difference of the two offsets' expectations: neither grain nor
    what belongs to the image counts. A single estimate may lie below 0, since grain has no part in its mean.

    Args:
        here: realism - fidelity (b, 1, side, side), twice, of the same latents.
        there: of the same window, coded from another offset of the grid, twice.
    """
    inner = slice(_MARGIN, here[0].shape[-1] - _MARGIN)
    a, b, m, n = (part[..., inner, inner] for part in (*here, *there))
    with torch.no_grad():
        power = _near(a.square() + b.square() + m.square() + n.square()) / 2
        power += _FLOOR * power.mean((1, 2, 3), keepdim=True) + 1e-8
    return (_near((a - m) * (b - n)) / power).mean((1, 2, 3))


def _near(image: Tensor) -> Tensor:
    return nn.functional.avg_pool2d(image, _REACH, _REACH // 2)
