"""Structure from the residual, as TorchScript that needs none of this library; see `codec.structure`.

The same formulas in the same precision: an image goes back by the same share as in the tile loop. TorchScript
compiles the functions from their source: only what it knows may be used here. It runs on the CPU, as `counts`
does.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_rdpdenoise.codec.structure import (
    ERROR,
    LEAST_OF_TEXTURE,
    LEAST_USABLE,
    LEAST_VARIANCE,
    REACH,
    SIGMA,
)
from napari_rdpdenoise.codec.texture import Texture
from napari_rdpdenoise.export.counts import Means, halves
from napari_rdpdenoise.noise import NoiseModel, shares_noise
from napari_rdpdenoise.noise.stabilized import TABLE_READ, moments_table


class Structure(nn.Module):
    """What of the residual goes back, for one camera.

    Args:
        noise: Noise of the camera, with its doubt.
    """

    def __init__(self, noise: NoiseModel) -> None:
        super().__init__()
        self.gain, self.offset, self.doubt = float(noise.gain), float(noise.offset), float(noise.doubt)
        self.judged = noise.doubt < 1 and not shares_noise(noise)
        s = noise.read_electrons if noise.gain > 0 else 0.0
        self.tabled = noise.gain > 0 and s <= TABLE_READ
        light, _, variance = moments_table(round(s, 4) if self.tabled else 0.0)
        self.light, self.variances = nn.Buffer(halves(light)), nn.Buffer(halves(variance))
        self.reach, self.error = REACH, ERROR
        self.least_variance, self.least_usable = LEAST_VARIANCE, LEAST_USABLE
        places = torch.arange(-REACH, REACH + 1, dtype=torch.float64)
        window = torch.exp(-0.5 * torch.square(places / SIGMA))
        self.window = nn.Buffer((window / window.sum()).float())
        self.texture, self.means = Texture(), Means()
        self.least_of_texture = LEAST_OF_TEXTURE
        self.read_variance = float(noise.read_noise) ** 2

    def forward(self, t: Tensor, expected: Tensor, decoded: Tensor, usable: Tensor) -> tuple[Tensor, Tensor]:
        """Share in [0, 1] at all frequencies, and texture of some of them in counts; both float32 (h, w).

        ``t`` and ``expected`` are stabilised input and decode, ``decoded`` the decode in counts, ``usable``
        where the residual says something; all (h, w).
        """
        share, texture = torch.full_like(t, self.doubt), torch.zeros_like(t)
        if self.judged:
            broad = self.excess(t, expected, decoded, usable)
            share = 1.0 - (1.0 - broad) * (1.0 - self.doubt)
            texture = self.added(t, expected, decoded, usable, broad)
        return torch.where(usable, share, torch.zeros_like(share)), texture

    @torch.jit.export
    def added(self, t: Tensor, expected: Tensor, decoded: Tensor, usable: Tensor, broad: Tensor) -> Tensor:
        """Texture of some frequencies in counts; arguments as `forward` has them, and what `excess` gave."""
        height, width = t.shape[0], t.shape[1]
        if self.gain > 0.0:
            expected = expected.clamp(min=0.0)
        variance = self.variance(decoded)
        residual = (t - expected) / torch.sqrt(variance.clamp(min=self.least_variance))
        spoken = usable & (variance >= self.least_of_texture)
        residual = torch.where(spoken, residual, torch.zeros_like(residual)).float()
        whole = self.texture.whole(residual)
        shares = self.texture.shares(whole, self.texture.whole(broad.float()), height, width)
        amount = self.texture.forward(whole, shares)[:height, :width] * (1.0 - self.doubt)
        light = (decoded.double() - self.offset).clamp(min=0.0)
        level = torch.sqrt(self.gain * light + self.read_variance).float()
        texture = amount * (level + (self.gain / 4.0) * amount)
        texture = self.means.put_back(texture, torch.zeros_like(self.means.of(texture)))
        return torch.where(spoken, texture, torch.zeros_like(texture))

    @torch.jit.export
    def excess(self, t: Tensor, expected: Tensor, decoded: Tensor, usable: Tensor) -> Tensor:
        """Share by what the residual holds beyond the noise."""
        if self.gain > 0.0:
            expected = expected.clamp(min=0.0)
        squares = torch.square(t - expected) / self.variance(decoded).clamp(min=self.least_variance)
        if bool(usable.all()):
            return self.wiener(self.mean_around(squares) - self.error)
        weight = self.mean_around(usable.float())
        enough = weight > self.least_usable
        weight = weight.clamp(min=self.least_usable)
        found = self.mean_around(torch.where(usable, squares, torch.zeros_like(squares))) / weight
        share = self.wiener(found - self.error / torch.sqrt(weight))
        return torch.where(enough, share, torch.zeros_like(share))

    @torch.jit.export
    def variance(self, decoded: Tensor) -> Tensor:
        """Noise variance of stabilised values at counts, float32."""
        if not self.tabled:
            return torch.ones_like(decoded)
        p = (decoded.double() - self.offset) / self.gain
        at, variance = self.light.cpu().double().sum(0), self.variances.cpu().double().sum(0)
        low = (torch.bucketize(p, at, right=True) - 1).clamp(0, len(at) - 2)
        slope = (variance[low + 1] - variance[low]) / (at[low + 1] - at[low])
        near = variance[low] + slope * (p.clamp(min=0.0) - at[low])
        return torch.where(p > at[-1], torch.ones_like(near), near).float()

    @torch.jit.export
    def wiener(self, found: Tensor) -> Tensor:
        """Share of a mean square in noise variances."""
        return 1.0 - 1.0 / found.clamp(min=1.0)

    @torch.jit.export
    def mean_around(self, image: Tensor) -> Tensor:
        """Mean under the window; mirrored at the edges."""
        along = self.mirrored(self.mirrored(image).t()).t()[None, None]
        window = self.window.cpu()
        down = nn.functional.conv2d(along, window[None, None, :, None])
        return nn.functional.conv2d(down, window[None, None, None, :])[0, 0]

    @torch.jit.export
    def mirrored(self, image: Tensor) -> Tensor:
        """With so many rows more at both ends as the window reaches, again and again where it is shorter."""
        length = image.shape[0]
        place = torch.remainder(torch.arange(-self.reach, length + self.reach), 2 * length)
        return image[torch.where(place < length, place, 2 * length - 1 - place)]
