"""Raw counts <-> what the network works on, as TorchScript that needs none of this library.

The same formulas as in `noise.model`, `codec.normalization`, `codec.means` and `nn.grain`, in the same
precision, so that an exported model gives the counts that `Codec` gives. TorchScript compiles the functions
from their source: only what it knows may be used here. Everything runs on the CPU, because some devices
(Apple's) have no float64; for the same reason a table of these is kept as two of float32, to be added.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_rdpdenoise.codec.latents import MEAN_STEP
from napari_rdpdenoise.codec.normalization import MAX_RANGE, UNIT
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.noise.stabilized import TABLE_READ, inverse_table, moments_table
from napari_rdpdenoise.tiles import GRID

_MEAN_LIMIT = 2.0**30  # as in the codec


class Units(nn.Module):
    """Counts (float64, any shape) <-> network units (float32), for one camera.

    Args:
        noise: Noise of the camera.
        bounded: Whether `fit` scales a wide range down, see `Codec.bounded`.
    """

    def __init__(self, noise: NoiseModel, bounded: bool = True) -> None:
        super().__init__()
        self.gain, self.offset, self.read_noise = float(noise.gain), float(noise.offset), noise.read_noise
        s = noise.read_electrons if noise.gain > 0 else 0.0
        self.s, self.unit = s, UNIT
        self.max_range = MAX_RANGE if bounded else float("inf")
        self.tabled = noise.gain > 0 and s <= TABLE_READ
        # where there are no tables, TorchScript still wants their names
        light, mean, _ = moments_table(round(s, 4) if self.tabled else 0.0)
        top, start, density, inverse = inverse_table(round(s, 4) if self.tabled else 0.0)
        self.top, self.start, self.density = float(top), float(start), float(density)
        self.slope = float((mean[1] - mean[0]) / (light[1] - light[0]))
        self.light, self.mean = nn.Buffer(halves(light)), nn.Buffer(halves(mean))
        self.inverse = nn.Buffer(torch.from_numpy(inverse))

    @torch.jit.export
    def stabilize(self, z: Tensor) -> Tensor:
        """Stabilised values, float32."""
        if self.gain == 0.0:
            return ((z - self.offset) / self.read_noise).float()
        inside = (z - self.offset) / self.gain + 0.375 + self.s * self.s
        return (2.0 * torch.sqrt(inside.clamp(min=0.0))).float()

    @torch.jit.export
    def normalize(self, t: Tensor, center: float, scale: float) -> Tensor:
        """Stabilised values to network units."""
        return (t - center) * (scale / self.unit)

    @torch.jit.export
    def target(self, x: Tensor, center: float, scale: float) -> Tensor:
        """Noise-free counts to network units."""
        if self.gain == 0.0:
            return self.normalize(self.stabilize(x), center, scale)
        p, s = (x - self.offset) / self.gain, self.s
        light = p.clamp(min=0.0)
        inside, variance = (p + 0.375 + s * s).clamp(min=0.375), light + s * s
        fourth = (3 * variance * variance + light) * 5 / 64
        correction = variance / 4 - (light / 8 - fourth / inside) / inside
        far = (2 * torch.sqrt(inside) - correction / torch.pow(inside, 1.5)).clamp(min=0.0)
        if self.tabled:
            at, mean = self.light.cpu().double().sum(0), self.mean.cpu().double().sum(0)
            low = (torch.bucketize(p, at, right=True) - 1).clamp(0, len(at) - 2)
            slope = (mean[low + 1] - mean[low]) / (at[low + 1] - at[low])
            near = torch.where(p < 0, mean[0] + self.slope * p, slope * (p - at[low]) + mean[low])
            far = torch.where(p > at[-1], far, near)
        return self.normalize(far.float(), center, scale)

    @torch.jit.export
    def counts(self, u: Tensor, center: float, scale: float) -> Tensor:
        """Network units to counts, unbiased, float32."""
        t = u.float() * (self.unit / scale) + center
        if self.gain == 0.0:
            return (t.double() * self.read_noise + self.offset).float()
        if not self.tabled:
            p = torch.square(t.double().clamp(min=0.0)) * 0.25 - (0.125 + self.s * self.s)
            return (p * self.gain + self.offset).float()
        p = torch.square(t.clamp(min=0.0)) * 0.25 - (0.125 + self.s * self.s)
        table = self.inverse.cpu()
        place = (t - self.start) * self.density
        step = place.clamp(0.0, float(len(table) - 2)).long()
        low = table[step]
        near = low + (place.double() - step) * (table[step + 1] - low)
        p = torch.where(t <= self.top, near.float(), p)
        return p * self.gain + self.offset

    @torch.jit.export
    def fit(self, t: Tensor) -> tuple[float, float]:
        """Centre and scale of the stabilised values of one image, all finite."""
        flat = t.flatten()
        ordered = flat[:: max(1, len(flat) // 1000000)].sort()[0].double()
        low, center = self.percentile(ordered, 0.1), self.percentile(ordered, 50.0)
        reach = max(self.percentile(ordered, 99.9) - low, 1e-6)
        return center, min(1.0, self.max_range / reach)

    @torch.jit.export
    def percentile(self, ordered: Tensor, percent: float) -> float:
        """Between the two nearest of sorted values, linear."""
        place = (len(ordered) - 1) * percent / 100
        below = int(place)
        low = float(ordered[below])
        return low + (float(ordered[min(below + 1, len(ordered) - 1)]) - low) * (place - below)


class Means(nn.Module):
    """Block means of an image (h, w), and their return."""

    def __init__(self) -> None:
        super().__init__()
        self.block, self.step, self.limit = GRID, MEAN_STEP, _MEAN_LIMIT

    @torch.jit.export
    def of(self, image: Tensor) -> Tensor:
        """Means of the blocks from the origin, float64; those at the far edges may be smaller."""
        return nn.functional.avg_pool2d(image.double()[None, None], self.block, ceil_mode=True)[0, 0]

    @torch.jit.export
    def rounded(self, units: Tensor) -> Tensor:
        """Means in network units as the codec keeps them."""
        steps = torch.round((units.double() / self.step).clamp(-self.limit, self.limit))
        return steps * self.step

    @torch.jit.export
    def put_back(self, image: Tensor, means: Tensor) -> Tensor:
        """The image (counts, float32) with the interpolated difference to ``means`` (counts) added.

        Without the limit that the codec puts on a block that misses far more than those around it.
        """
        missing = (means - self.of(image)).float()
        rows, columns = self.weights(image.shape[0]), self.weights(image.shape[1])
        return image + rows @ missing @ columns.t()

    @torch.jit.export
    def weights(self, length: int) -> Tensor:
        """Linear from block centres to pixels, constant beyond the outer ones: (length, blocks)."""
        blocks = (length + self.block - 1) // self.block
        if blocks == 1:
            return torch.ones(length, 1)
        number = torch.arange(blocks, dtype=torch.float64)
        ends = ((number + 1) * self.block).clamp(max=float(length))
        centres = (number * self.block + ends - 1) / 2
        pixels = torch.arange(length, dtype=torch.float64)
        low = (torch.bucketize(pixels, centres, right=True) - 1).clamp(0, blocks - 2)
        share = ((pixels - centres[low]) / (centres[low + 1] - centres[low])).clamp(0.0, 1.0).float()
        weights = torch.zeros(length, blocks)
        weights.scatter_(1, low[:, None], 1 - share[:, None])
        return weights.scatter_(1, low[:, None] + 1, share[:, None])


class Grain(nn.Module):
    """The numbers of `nn.grain.grain` for a plane's corner, of a 64-bit seed; int64 wraps as uint64 does."""

    def __init__(self, channels: int, seed: int) -> None:
        super().__init__()
        self.channels, self.seed = channels, _signed(seed)
        self.step, self.first, self.second = (
            _signed(word) for word in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
        )
        self.spread = float(np.float32(np.sqrt(12.0 / 4) / 65536))

    def forward(self, height: int, width: int) -> Tensor:
        """Numbers (1, channels, height, width), float32."""
        rows = torch.arange(height)[None, :, None] << 32
        columns = torch.arange(width)[None, None, :] << 8
        state = rows + columns + torch.arange(self.channels)[:, None, None]
        mixed = self.mix(self.mix(state) ^ self.seed)
        total = torch.zeros(mixed.shape)
        for word in range(4):
            total = total + ((mixed >> (16 * word)) & 0xFFFF).float()
        return ((total - 4 * 32767.5) * self.spread)[None]

    @torch.jit.export
    def mix(self, state: Tensor) -> Tensor:
        """The finaliser of splitmix64."""
        state = state + self.step
        state = (state ^ self.shifted(state, 30)) * self.first
        state = (state ^ self.shifted(state, 27)) * self.second
        return state ^ self.shifted(state, 31)

    @torch.jit.export
    def shifted(self, state: Tensor, count: int) -> Tensor:
        """To the right, filled with zeros."""
        return (state >> count) & ((1 << (64 - count)) - 1)


def halves(numbers: NDArray[np.float64]) -> Tensor:
    """Float64 numbers as two float32 each, (2, n), whose sum they are."""
    upper = numbers.astype(np.float32)
    return torch.from_numpy(np.stack([upper, (numbers - upper).astype(np.float32)]))


def _signed(word: int) -> int:
    """The int64 of the same 64 bits."""
    return word - 2**64 if word >= 2**63 else word
