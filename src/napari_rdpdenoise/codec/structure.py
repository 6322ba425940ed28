"""Structure that the codec took for noise goes back into the image.

A codec smooths a texture that it has never seen, whatever the light, and with much light that harms. The
residual ``r = t - x`` of stabilised image and decode should be noise of known variance. Where its local
mean square ``v``, in units of that variance, is significantly above 1, it holds more than noise, and the
share

    ``w = max(0, 1 - 1 / (v - k standard errors))``

of it goes back: the empirical Wiener filter. It is mixed in raw counts, ``(1 - w) decode + w input``, so
that a pixel with ``w = 1`` is exactly what it was. Where what looks like noise may be the sample itself, the
noise model's ``doubt`` is the share of the rest, ``w + (1 - w) doubt``; where neighbouring pixels share their
noise, only that. What is above 1 at some frequencies alone goes back by these: see `texture`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.codec.decoded import blend
from napari_rdpdenoise.codec.gaussian import gaussian_mean
from napari_rdpdenoise.codec.means import blocks_of, correct_means
from napari_rdpdenoise.noise import NoiseModel, shares_noise, stabilize, stabilized_moments

if TYPE_CHECKING:
    from napari_rdpdenoise.codec.texture import Texture

REACH = 36
"""Half width of the window in which the residual is judged, px: what a tile has to know beyond its edge."""
SIGMA = REACH / 3  # px, of the Gaussian window
_SURE = 2.0  # standard errors by which the residual has to exceed the noise
ERROR = float(_SURE * np.sqrt(2 / (4 * np.pi * SIGMA**2)))  # of a mean of squares of white Gaussian noise
LEAST_VARIANCE = 0.05  # of stabilised values, where there is hardly any light
LEAST_OF_TEXTURE = 0.8  # the same: below, a photon more or less is no wave
_STRIP_PIXELS = 2**16  # that are judged at once: what a processor's cache holds
_STRIP, _MARGIN = 768, 64  # rows whose texture is looked for at once, and above and below
LEAST_USABLE = 0.05  # share of a window's weight below which nothing is judged


class Returned(NamedTuple):
    """What of a tile's residual goes back into its decodes.

    Attributes:
        share: Share of the residual that does at all frequencies, [0, 1], float32.
        texture: Raw counts of what does at some frequencies only, float32; None for none.
        noise_blocks: Share of the noise's standard deviation that comes with the texture of each block of
            16 x 16 px, [0, 1], float32; None for none.
        silent: Pixels whose residual tells of no texture; None for none.
    """

    share: NDArray[np.float32]
    texture: NDArray[np.float32] | None = None
    noise_blocks: NDArray[np.float32] | None = None
    silent: NDArray[np.bool_] | None = None

    @property
    def noise_share(self) -> NDArray[np.float32]:
        """Share of the noise's standard deviation that comes with both, [0, 1], float32, of each pixel."""
        if self.noise_blocks is None:
            return self.share
        height, width = self.share.shape
        edge = _textures().size
        noisy = self.noise_blocks.repeat(edge, 0).repeat(edge, 1)[:height, :width]
        if self.silent is not None:
            noisy[self.silent] = 0
        return noisy * (1 - self.share) + self.share

    def into(self, image: NDArray[np.float32], raw: NDArray[Any]) -> NDArray[np.float32]:
        """A decode of any decoder, raw counts, with what goes back.

        Args:
            image: Decode, raw counts.
            raw: Noisy tile, raw counts, same shape.
        """
        filled = np.empty_like(image)
        for out, decode, seen, share in _strips(filled, image, raw, self.share):
            if share.max(initial=0) > 0:
                blend(decode, np.asarray(seen, dtype=np.float32), share, out)
            else:
                out[...] = decode
        if self.texture is not None:
            for out, texture in _strips(filled, self.texture):
                out += texture
        return filled


def returned(
    raw: NDArray[Any],
    decoded: NDArray[np.float32],
    noise: NoiseModel,
    usable: NDArray[np.bool_] | None = None,
    dim: NDArray[np.bool_] | None = None,
) -> Returned:
    """What of the residual is structure.

    Args:
        raw: Noisy tile, 2-D, raw counts.
        decoded: Decode of lowest error of it, raw counts, same shape.
        noise: Noise model of its channel.
        usable: Pixels whose residual says something, same shape; None for all. Saturated and missing ones do
            not, and nothing comes back to them.
        dim: Pixels of too few photons to tell texture; None where the noise model says which these are.
    """
    if noise.doubt == 1 or shares_noise(noise):
        share = np.full(raw.shape, noise.doubt, np.float32)
        if usable is not None:
            share[~usable] = 0
        return Returned(share)
    residual, silent = _residual(raw, decoded, noise)
    known = np.float32(1 - noise.doubt)
    broad = _excess_share(np.square(residual), usable)
    share = broad if known == 1 else 1 - (1 - broad) * known
    if dim is not None:
        silent |= dim
    if usable is not None and not usable.all():
        share = np.where(usable, share, np.float32(0))
        silent |= ~usable
    heard = not silent.any()
    if not heard:
        residual[silent] = 0
    found = _texture(residual, broad)
    del residual, broad
    if found is None:
        return Returned(share)
    texture, blocks = found
    if known < 1:
        blocks *= known
    for part, light in _strips(texture, decoded):
        part *= known
        # counts are squares of stabilised values; the light of the decode is right as it is
        level = _noise_level(light, noise)
        level += np.float32(noise.gain / 4) * part
        part *= level
    texture = correct_means(texture, np.zeros(blocks_of(texture.shape)))
    if not heard:
        texture[silent] = 0
    return Returned(share, texture, blocks, None if heard else silent)


def _noise_level(light: NDArray[np.float32], noise: NoiseModel) -> NDArray[np.float32]:
    """Noise standard deviation at counts, float32."""
    level = light - np.float32(noise.offset)
    np.maximum(level, 0, out=level)
    level *= np.float32(noise.gain)
    level += np.float32(noise.read_noise**2)
    return np.sqrt(level, out=level)


def _excess_share(excess: NDArray[np.float32], usable: NDArray[np.bool_] | None) -> NDArray[np.float32]:
    """Share by what the squared residual holds beyond the noise; 0 where too few pixels around are usable."""
    if usable is None or usable.all():
        return _wiener(_mean_around(excess), ERROR)
    weight = np.maximum(_mean_around(usable), LEAST_USABLE)
    share = _wiener(_mean_around(np.where(usable, excess, 0)) / weight, ERROR / np.sqrt(weight))
    share[weight <= LEAST_USABLE] = 0
    return share


def _residual(
    raw: NDArray[Any], decoded: NDArray[np.float32], noise: NoiseModel
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The residual in standard deviations of the noise; where photons are too few to tell texture."""
    residual, dim = np.empty(raw.shape, np.float32), np.empty(raw.shape, bool)
    for part, few, seen, light in _strips(residual, dim, raw, decoded):
        expected, variance = stabilized_moments(light, noise)
        if noise.gain > 0:  # nothing stabilised is below 0; padding and dead pixels are far below the offset
            np.maximum(expected, 0, out=expected)
        np.less(variance, LEAST_OF_TEXTURE, out=few)
        np.subtract(stabilize(seen, noise), expected, out=part)
        np.maximum(variance, LEAST_VARIANCE, out=variance)
        part /= np.sqrt(variance, out=variance)
    return residual, dim


def _strips(*arrays: NDArray[Any]) -> Iterator[list[NDArray[Any]]]:
    """Parts of arrays of one shape."""
    rows = max(1, _STRIP_PIXELS // max(1, arrays[0].shape[1]))
    for start in range(0, len(arrays[0]), rows):
        yield [array[start : start + rows] for array in arrays]


@cache
def _textures() -> Texture:
    from napari_rdpdenoise.codec.texture import Texture

    return Texture()


def _texture(
    residual: NDArray[np.float32], share: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """Texture in noise standard deviations, and the noise that comes with each block of it; None for none.

    Strip by strip, with what the texture of each depends on above and below: it takes ten times the memory
    that its image does.
    """
    size = _textures().size
    texture = np.zeros_like(residual)
    blocks = np.zeros([-(-length // size) for length in residual.shape], np.float32)
    found = False
    for start in range(0, len(residual), _STRIP):
        stop = min(start + _STRIP, len(residual))
        top, bottom = max(0, start - _MARGIN), min(stop + _MARGIN, len(residual))
        wanted = slice(start - top, stop - top)
        strip = _texture_of_strip(residual[top:bottom], share[top:bottom], wanted)
        if strip is not None:
            found = True
            texture[start:stop], blocks[start // size : -(-stop // size)] = strip
    return (texture, blocks) if found else None


def _texture_of_strip(
    residual: NDArray[np.float32], share: NDArray[np.float32], wanted: slice
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """Texture of the wanted rows, which begin with a block, and end with one or with the strip."""
    import torch

    find = _textures()
    height, width = residual.shape
    with torch.inference_mode():
        whole, known = (find.whole(torch.from_numpy(part)) for part in (residual, share))
        shares = find.shares(whole, known, height, width)
        if not bool(shares.any()):
            return None
        top = max(
            0, wanted.start - find.size
        )  # blocks overlap by half: more than the next one has no part in it
        near = slice(top, wanted.stop + find.size)
        rows = slice(wanted.start - top, wanted.stop - top)
        texture, blocks = find(whole[near], shares[near]), find.noise_share(shares[near])
        of_blocks = slice(rows.start // find.size, -(-rows.stop // find.size))
        return texture[rows, :width].numpy(), blocks[of_blocks].numpy()


def with_structure(
    image: NDArray[np.float32], raw: NDArray[Any], share: NDArray[np.float32]
) -> NDArray[np.float32]:
    """A decode with the share of the residual that is structure.

    Args:
        image: Decode of any decoder, raw counts.
        raw: Noisy tile, raw counts, same shape.
        share: Share of `returned`, same shape.

    Returns:
        Raw counts, float32, same shape.
    """
    return blend(image, np.asarray(raw, dtype=np.float32), share)


def _wiener(found: NDArray[np.float32], error: NDArray[np.float32] | float) -> NDArray[np.float32]:
    """Share by a mean square, which is overwritten."""
    errors = np.broadcast_to(np.asarray(error, np.float32), found.shape)
    for part, off in _strips(found, errors):
        part -= off
        np.maximum(part, 1, out=part)
        np.divide(-1, part, out=part)
        part += 1
    return found


def _mean_around(values: NDArray[Any]) -> NDArray[np.float32]:
    return gaussian_mean(np.asarray(values, np.float32), SIGMA, REACH)
