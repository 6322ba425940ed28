"""Texture that the codec took for noise, found in the residual by its frequencies.

Where a codec smooths a texture, the residual holds it: noise has the same power at all frequencies, texture
has more at a few. The mean square of a residual tells only of strong or broad texture (`structure`); its
spectrum tells of any that repeats over some tens of pixels. Squares of the cosine transforms of 16 x 16
pixels are averaged over near blocks and frequencies; where such a mean ``v``, in units of the noise variance,
is above 1 beyond doubt, the share

    ``w = max(0, 1 - 1 / (v - k standard errors))``

of that frequency goes back: the empirical Wiener filter, as of BM3D's second step (Dabov et al., IEEE TIP
2007), with the blocks around a place in the stead of similar ones. Of noise alone hardly anything goes back.

Written for TorchScript: exported modules hold the same code.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

SIZE = 16
"""Pixels of a block's edge."""

_BLOCKS, _BLOCK_RADIUS = (
    1.0,
    3,
)  # standard deviation and reach, blocks, of the window powers are averaged over
_WAVES, _WAVE_RADIUS = 1.5, 3  # the same over frequencies
_SURE = 4.0  # standard errors; there are as many means as pixels
_TOGETHER = 32  # blocks whose means over those around are made at once
_FEW = 0.2  # share of blocks with texture up to which the others are passed over


class Texture(nn.Module):
    """The part of a residual that is texture; a pixel's depends on what is at most 72 px away."""

    def __init__(self) -> None:
        super().__init__()
        self.size, self.overlap, self.sure = SIZE, SIZE // 2, _SURE
        self.blocks, self.block_radius = _BLOCKS, _BLOCK_RADIUS
        self.waves, self.wave_radius = _WAVES, _WAVE_RADIUS
        self.few, self.together = _FEW, _TOGETHER

    @torch.jit.export
    def shares(self, residual: Tensor, known: Tensor, height: int, width: int) -> Tensor:
        """Shares of frequencies that go back.

        Args:
            residual: Residual in noise standard deviations, float32, of whole blocks (`lengthened`).
            known: Share of each pixel that goes back anyway, [0, 1], float32, same shape.
            height: Rows that are the image's own. Blocks with mirrored ones say nothing.
            width: Columns that are.

        Returns:
            Shares in [0, 1] beyond what goes back anyway, float32, same shape: in the place of each block
            those of its frequencies.
        """
        size = self.size
        rows, columns = residual.shape[0] // size, residual.shape[1] // size
        if min(height, width) < size:
            return torch.zeros_like(residual)
        power = self.transformed(residual, self.cosines()).square_()
        mixing = self.means(size, size, self.waves, self.wave_radius)
        power = self.transformed(power, mixing)
        down = self.means(rows, height // size, self.blocks, self.block_radius)
        along = self.means(columns, width // size, self.blocks, self.block_radius)
        power = (down @ power.view(rows, -1)).view(rows * size, columns, size)
        power = self.banded(along, power).view(rows, size, columns, size)
        mixed = torch.square(mixing).sum(1)
        around = torch.square(down).sum(1)[:, None] * torch.square(along).sum(1)[None]
        error = torch.sqrt(2.0 * mixed[None, :, None, None] * mixed), torch.sqrt(around)[:, None, :, None]
        power.addcmul_(error[0], error[1], value=-self.sure)
        some = power.amax(1).amax(2) > 1.0  # of all other blocks nothing goes back
        where = torch.nonzero(some)
        row, column = where[:, 0], where[:, 1]
        anyway = self.in_blocks(known)[row, column].mean(2).mean(1)
        lack = power.permute(0, 2, 1, 3)[row, column].clamp_(min=1.0).reciprocal_()
        shares = torch.zeros_like(residual)
        self.in_blocks(shares)[row, column] = (1.0 - anyway[:, None, None] - lack).clamp_(min=0.0)
        return shares

    @torch.jit.export
    def banded(self, matrix: Tensor, values: Tensor) -> Tensor:
        """A matrix of `means` times each of some (n, count, m), without most of its zeros."""
        found, count, reach = torch.empty_like(values), matrix.shape[0], self.block_radius
        for start in range(0, count, self.together):
            stop = min(start + self.together, count)
            near = slice(max(0, start - reach), min(stop + reach, count))
            found[:, start:stop] = matrix[start:stop, near] @ values[:, near]
        return found

    def forward(self, residual: Tensor, shares: Tensor) -> Tensor:
        """The texture, noise standard deviations, float32 (height, width), of what `shares` gave.

        Blocks overlap by half, under a sine whose squares add up to 1: four grids, each half a block further.
        """
        half, size = self.overlap, self.size
        height, width = residual.shape[0], residual.shape[1]
        rows, columns = height // size, width // size
        place = torch.arange(size, dtype=torch.float32) + 0.5
        across = self.cosines() * torch.sin(place * (math.pi / size))
        some = shares.view(rows, size, columns, size).amax(1).amax(2) > 0
        few = int(some.sum()) < self.few * rows * columns
        numbers, packed = some.long(), shares
        if few:  # of which the shares are put side by side, transposed, after those of all others
            numbers = numbers.view(-1).cumsum(0).view(rows, columns) * numbers
            own = self.in_blocks(shares)[some].transpose(1, 2)
            packed = torch.cat([torch.zeros(1, size, size), own])
        padded = self.edged(residual)
        texture = torch.zeros_like(padded)
        for shift in range(4):
            down, along = shift // 2, shift % 2
            top, left = half * (1 - down), half * (1 - along)
            bottom, right = top + (rows + down) * size, left + (columns + along) * size
            seen, found = padded[top:bottom, left:right], texture[top:bottom, left:right]
            if few:
                self.add_some(found, seen, packed, numbers, across)
            else:
                share = self.between_rows(shares) if down > 0 else shares
                share = self.between_columns(share) if along > 0 else share
                found += self.transformed(self.transformed(seen, across).mul_(share), across.t())
        return texture[half : half + height, half : half + width]

    @torch.jit.export
    def add_some(self, found: Tensor, seen: Tensor, shares: Tensor, number: Tensor, across: Tensor) -> None:
        """Add the texture of those blocks of one grid that touch some which have shares, to ``found``.

        Args:
            found: Texture, of as many blocks as `seen`, (rows or one more, columns or one more).
            seen: Residual.
            shares: Shares of blocks on the first grid, 0 and then those that have some, (n + 1, size, size).
            number: Which of these is each block's, (rows, columns).
            across: Transform of a block.
        """
        rows, columns = number.shape[0], number.shape[1]
        down, along = seen.shape[0] // self.size - rows, seen.shape[1] // self.size - columns
        touched = torch.zeros(rows + down, columns + along, dtype=torch.bool)
        for y in range(down + 1):
            for x in range(along + 1):
                touched[y : y + rows, x : x + columns] |= number > 0
        where = torch.nonzero(touched)
        row, column = where[:, 0], where[:, 1]
        share = self.between(shares, number, row, column, down, along)
        part = self.both_sides(self.in_blocks(seen)[row, column], across).mul_(share)
        blocks = self.in_blocks(found)
        blocks[row, column] = blocks[row, column] + self.both_sides(part, across.t())

    @torch.jit.export
    def in_blocks(self, image: Tensor) -> Tensor:
        """An image of whole blocks, block by block: a view (rows, columns, size, size)."""
        rows, columns = image.shape[0] // self.size, image.shape[1] // self.size
        return image.view(rows, self.size, columns, self.size).permute(0, 2, 1, 3)

    @torch.jit.export
    def between(
        self, shares: Tensor, number: Tensor, row: Tensor, column: Tensor, down: int, along: int
    ) -> Tensor:
        """Shares (n, size, size) of blocks half a block further down or along, by their places.

        They are the means of those of the blocks that these touch; arguments as of `add_some`.
        """
        if down + along == 0:
            return shares[number[row, column]]
        above, below = (row - down).clamp(min=0), row.clamp(max=number.shape[0] - 1)
        left, right = (column - along).clamp(min=0), column.clamp(max=number.shape[1] - 1)
        if along == 0:
            return (shares[number[below, column]] + shares[number[above, column]]).div_(2)
        if down == 0:
            return (shares[number[row, right]] + shares[number[row, left]]).div_(2)
        before = (shares[number[below, left]] + shares[number[above, left]]).div_(2)
        return (shares[number[below, right]] + shares[number[above, right]]).div_(2).add_(before).div_(2)

    @torch.jit.export
    def both_sides(self, blocks: Tensor, matrix: Tensor) -> Tensor:
        """Each of some blocks (n, size, size) times a matrix from both sides, and transposed."""
        across = (blocks.reshape(-1, self.size) @ matrix.t()).view(blocks.shape)
        return (across.transpose(1, 2).reshape(-1, self.size) @ matrix.t()).view(blocks.shape)

    @torch.jit.export
    def noise_share(self, shares: Tensor) -> Tensor:
        """Share of the noise's standard deviation that comes with what `shares` gave, by block."""
        size = self.size
        rows, columns = shares.shape[0] // size, shares.shape[1] // size
        return torch.sqrt(torch.square(shares).reshape(rows, size, columns, size).mean(3).mean(1))

    @torch.jit.export
    def between_rows(self, shares: Tensor) -> Tensor:
        """Shares half a block further down, the means of two, one row of blocks more."""
        blocks = shares.reshape(-1, self.size, shares.shape[1])
        further = torch.empty(blocks.shape[0] + 1, self.size, shares.shape[1])
        further[0], further[-1] = blocks[0], blocks[-1]
        further[1:-1] = (blocks[1:] + blocks[:-1]).div_(2)
        return further.flatten(0, 1)

    @torch.jit.export
    def between_columns(self, shares: Tensor) -> Tensor:
        """Shares half a block further along, the means of two, one column of blocks more."""
        blocks = shares.reshape(shares.shape[0], -1, self.size)
        further = torch.empty(shares.shape[0], blocks.shape[1] + 1, self.size)
        further[:, 0], further[:, -1] = blocks[:, 0], blocks[:, -1]
        further[:, 1:-1] = (blocks[:, 1:] + blocks[:, :-1]).div_(2)
        return further.flatten(1, 2)

    @torch.jit.export
    def transformed(self, image: Tensor, matrix: Tensor) -> Tensor:
        """Each block of an image times a matrix from both sides, in its place."""
        size = self.size
        down = matrix @ image.reshape(-1, size, image.shape[1])
        return (down.reshape(-1, size) @ matrix.t()).reshape(image.shape)

    @torch.jit.export
    def edged(self, image: Tensor) -> Tensor:
        """An image of whole blocks with half a block more at all edges, mirrored."""
        half, height, width = self.overlap, image.shape[0], image.shape[1]
        wide = torch.empty(height + 2 * half, width + 2 * half)
        wide[half : half + height, half : half + width] = image
        wide[half : half + height, :half] = image[:, :half].flip(1)
        wide[half : half + height, half + width :] = image[:, width - half :].flip(1)
        wide[:half] = wide[half : 2 * half].flip(0)
        wide[half + height :] = wide[height : half + height].flip(0)
        return wide

    @torch.jit.export
    def whole(self, image: Tensor) -> Tensor:
        """An image of any size, mirrored at its lower ends to whole blocks."""
        height, width = image.shape[0], image.shape[1]
        if height % self.size == 0 and width % self.size == 0:
            return image
        return image[self.lengthened(height)][:, self.lengthened(width)]

    @torch.jit.export
    def lengthened(self, length: int) -> Tensor:
        """Places of so many pixels, mirrored at the lower end to whole blocks."""
        place = torch.arange((length + self.size - 1) // self.size * self.size) % (2 * length)
        return torch.where(place < length, place, 2 * length - 1 - place)

    @torch.jit.export
    def cosines(self) -> Tensor:
        """The orthonormal cosine transform: rows are frequencies."""
        place = torch.arange(self.size, dtype=torch.float64)
        waves = torch.cos((place + 0.5)[None] * place[:, None] * (math.pi / self.size))
        waves = waves * math.sqrt(2.0 / self.size)
        waves[0] = waves[0] * math.sqrt(0.5)
        return waves.float()

    @torch.jit.export
    def means(self, count: int, known: int, sigma: float, radius: int) -> Tensor:
        """Matrix of Gaussian means, (count, count), of the first values, that are known."""
        place = torch.arange(count, dtype=torch.float64)
        apart = place[:, None] - place[None]
        weight = torch.exp(-0.5 * torch.square(apart / sigma)) * (apart.abs() <= radius)
        weight[:, known:] = 0
        return (weight / weight.sum(1, keepdim=True)).float()
