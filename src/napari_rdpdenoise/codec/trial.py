"""Estimated errors of the codec on some tiles of a channel, rate by rate.

The stabilised tiles get noise of half its strength added, and the codec's answers are compared with images
whose noise it cannot know (`metrics.risk`). Settings are compared on the same pixels and the same noise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.codec import Codec, Normalization
from napari_rdpdenoise.codec.network_input import Neighbours
from napari_rdpdenoise.codec.structure import LEAST_OF_TEXTURE, returned
from napari_rdpdenoise.metrics.risk import STRENGTH, Recorrupted, recorrupt
from napari_rdpdenoise.noise import NoiseModel, shares_noise, stabilize, stabilized_variance, unstabilize

__all__ = ["SETTLED", "UNSEEN", "Errors", "Trial", "count_of"]

# Noise variances. The error that remains after denoising is a few percent of the noise variance; a thousandth
# more is a few percent more error, 0.1 dB.
UNSEEN = 0.0005
"""Difference of errors, noise variances, that the estimate on half a megapixel cannot tell."""
SETTLED = 0.01
"""Residual above the least, noise variances, that is the same: finer rounding changes it by no more."""

_SEEDS_BESIDE = (1_000_000, 2_000_000)  # of the noise of neighbours, above those of tiles


@dataclass(frozen=True)
class Errors:
    """Estimated errors of the fidelity decode by rate, in noise variances.

    Attributes:
        bare: Errors of the decode as it is.
        filled: Errors with the structure that the residual holds.
    """

    bare: NDArray[np.float64]
    filled: NDArray[np.float64]

    @property
    def structure(self) -> bool:
        """Whether structure from the residual lessens the error."""
        return bool(self.filled.min() < self.bare.min() - UNSEEN)


class Trial:
    """Tiles on which rates are tried: their errors are estimated when they are asked for, each once.

    Neighbours get noise of their own, as much as the tile, so that the encoder meets planes of equal noise.

    Args:
        codec: Codec that will be used.
        tiles: A few 2-D blocks of raw counts of one channel, finite. What masked arrays mask is given to the
            codec, and not looked at in its answers.
        normalization: Normalisation of their channel.
        neighbours: Planes before and after each tile, as `Codec.encode` takes them; None for none.
        strength: Ratio of the added noise to the noise that is there. Less tells better of the image as it
            is, more is more exact.

    Attributes:
        codec, tiles, normalization, neighbours: As given.
    """

    def __init__(
        self,
        codec: Codec,
        tiles: Sequence[NDArray[np.generic]],
        normalization: Normalization,
        neighbours: Sequence[Neighbours] | None = None,
        strength: float = STRENGTH,
    ) -> None:
        self.codec, self.tiles, self.normalization = codec, tiles, normalization
        self.neighbours = neighbours
        self._strength = strength
        self._known: dict[float, tuple[float, float]] = {}

    def with_noise(self, strength: float) -> Trial:
        """A trial of the same tiles with added noise of another strength."""
        return Trial(self.codec, self.tiles, self.normalization, self.neighbours, strength)

    def errors(self, rates: Sequence[float], between: Callable[[], None] = lambda: None) -> Errors | None:
        """Errors of the fidelity decode by rate; None where neighbouring pixels share their noise.

        Args:
            rates: Rates to be tried.
            between: Function called after each decode.
        """
        if shares_noise(self.normalization.noise):
            return None
        new = [rate for rate in rates if rate not in self._known]
        bare, filled = np.zeros(len(new)), np.zeros(len(new))
        for tried in self._tried if new else ():
            for place, rate in enumerate(new):
                found = tried.risks(rate)
                between()
                bare[place] += found[0]
                filled[place] += found[1]
        self._known.update({rate: (bare[k], filled[k]) for k, rate in enumerate(new)})
        known = np.array([self._known[rate] for rate in rates])
        return Errors(known[:, 0], known[:, 1])

    @cached_property
    def _tried(self) -> list[_TriedTile]:
        """Those tiles that hold any image."""
        pixels = sum(count_of(tile) for tile in self.tiles)
        beside: Sequence[Neighbours | None] = self.neighbours or [None] * len(self.tiles)
        return [
            self._recorrupted(number, tile, others, count_of(tile) / pixels)
            for number, (tile, others) in enumerate(zip(self.tiles, beside, strict=True))
            if not np.ma.getmaskarray(tile).all()
        ]

    def _recorrupted(
        self, number: int, tile: NDArray[np.generic], beside: Neighbours | None, weight: float
    ) -> _TriedTile:
        given, usable = self.normalization.noise, ~np.ma.getmaskarray(tile)
        pair = recorrupt(stabilize(np.asarray(tile), given), number, self._strength)
        noise = NoiseModel(0.0, 0.0, float(np.sqrt(pair.variance)), doubt=given.doubt)
        units = self.codec.fit([np.ma.masked_array(pair.seen, ~usable)], noise)
        others = None if beside is None else _recorrupted(beside, given, number, self._strength)
        rates: deque[float] = deque()
        decodes = self.codec.sweep(pair.seen, units, iter(rates.popleft, None), others)
        return _TriedTile(pair, usable, weight, (given, noise), units, rates, decodes)


@dataclass(frozen=True)
class _TriedTile:
    """A tile with added noise, analysed once; its noise is given as it was, and with what was added.

    ``decodes`` are those at the rates that are put to ``rates``.
    """

    pair: Recorrupted
    usable: NDArray[np.bool_]
    weight: float
    noise: tuple[NoiseModel, NoiseModel]
    units: Normalization
    rates: deque[float]
    decodes: Iterator[tuple[NDArray[np.float32], float]]

    def risks(self, rate: float) -> tuple[float, float]:
        """Share of the estimated error that is this tile's, without and with structure from the residual."""
        self.rates.append(rate)
        image, _ = next(self.decodes)
        decoded = self.units.inverse(image)
        given, noise = self.noise
        light = unstabilize(decoded, given)
        dim = stabilized_variance(light, given) < LEAST_OF_TEXTURE
        back = returned(self.pair.seen, decoded, noise, self.usable, dim)
        filled = back.into(decoded, self.pair.seen)
        bare, with_structure = (self.pair.risk(found, self.usable) for found in (decoded, filled))
        return self.weight * bare, self.weight * with_structure


def _recorrupted(neighbours: Neighbours, noise: NoiseModel, number: int, strength: float) -> Neighbours:
    before, after = (
        None
        if other is None
        else recorrupt(stabilize(other, noise), _SEEDS_BESIDE[side] + number, strength).seen
        for side, other in enumerate(neighbours)
    )
    return before, after


def count_of(tile: NDArray[np.generic]) -> int:
    """Number of pixels that are image, at least 1."""
    return max(1, int(np.ma.count(tile)))
