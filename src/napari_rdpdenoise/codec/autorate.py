"""The choices that are made without any clean image: rate, neighbours, and whether structure goes back.

All rest on one estimate of the error (`metrics.risk`): the codec is given the stabilised image with noise
of half its strength added, and its answer is compared with an image whose noise it cannot know. Settings
are compared on the same pixels, so that a thousandth of the noise variance shows. Of the rates that it
cannot tell from the best the largest is taken: what is too small to be seen can be much of a small error.
Where bits count, the smallest is taken whose error is nearly as small.

Where neighbouring pixels share their noise that estimate is blind: a codec could copy the noise. Then the
residual decides. A codec trained noisy-to-clean denoises in its encoder, so with growing rate the residual,
the mean of ``(t_y - t_x)**2``, falls and settles near the noise variance instead of crossing it; the
largest rate at which it has settled is taken, or the smallest where bits count, and no structure goes back.
Where what looks like noise may be the sample itself (`NoiseModel.doubt`), some of it stays in any case.

With much light and fine texture no rate brings an image nearer to the truth. Where the estimate says so, with
less added noise so that it tells of the noise that is there, the image comes out as it went in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.codec import Codec, Normalization
from napari_rdpdenoise.codec.choice import RateChoice, is_blank
from napari_rdpdenoise.codec.network_input import Neighbours
from napari_rdpdenoise.codec.normalization import UNIT
from napari_rdpdenoise.codec.shared import SHARED, noise_in_common
from napari_rdpdenoise.codec.trial import SETTLED, UNSEEN, Errors, Trial, count_of
from napari_rdpdenoise.metrics.risk import STRENGTH
from napari_rdpdenoise.noise import NoiseModel, stabilized_variance

RATES = tuple(float(r) for r in np.round(np.linspace(0.0, 1.0, 6), 2))
_NEAR = 0.6  # estimated error from which it is asked whether the image was better left alone
_WEAK = 0.25  # ratio of the added noise then
_NO_GAIN = 0.95  # estimated error, noise variances of the image, from which it is left alone: .2 dB gained
_LEFT_ALONE = (
    "denoising would bring this image no nearer to the truth, so much light it has for its fine detail: it "
    "comes out as it went in (a rate of your own denoises all the same)"
)
_NEARLY = 1.02  # of the least error, noise variances: .09 dB, what bits are saved for where they count
_BEYOND = 3.0  # standard errors below 0 from which an estimated error is none
_FAR = 0.15  # share by which the settled residual may miss the expected one before the user is told


def choose_rate(
    trial: Trial,
    rates: Sequence[float] = RATES,
    between: Callable[[], None] = lambda: None,
    *,
    structure: bool = True,
    compact: bool = False,
) -> RateChoice:
    """Choose the rate of the least error, and whether structure goes back.

    Args:
        trial: Trial of a few tiles of one channel, whose neighbours the codec gets.
        rates: Candidates in ascending order.
        between: Function called after each decode; it may raise to give up the choice.
        structure: Whether structure may go back.
        compact: Whether bits count: the smallest rate is taken whose error is at most 2 % above the least.

    Raises:
        ValueError: If there is no tile, or fewer than two rates or not in ascending order.
    """
    tiles, normalization = trial.tiles, trial.normalization
    if not tiles or len(rates) < 2:
        raise ValueError(
            f"tiles and rates: expected at least 1 tile and 2 rates, found {len(tiles)} and {len(rates)}"
        )
    if any(b <= a for a, b in pairwise(rates)):
        raise ValueError(f"rates: expected ascending numbers from 0 to 1, found {tuple(rates)}")
    residual, bpp, expected = _residuals(trial, rates, between)
    errors = trial.errors(rates, between)
    filled = structure and gives_back(normalization.noise, errors)
    if errors is None:
        error, alike = None, np.flatnonzero(residual <= residual.min() + SETTLED)
        place = int(alike[0 if compact else -1])
    else:
        found_errors = errors.filled if filled else errors.bare
        place = _place(found_errors, compact)
        error = _reported(float(found_errors[place]), expected, sum(tile.size for tile in tiles))
    left_alone = filled and normalization.noise.doubt < 1 and error is not None and error > _NEAR
    if left_alone:
        weak = trial.with_noise(_WEAK).errors((rates[place],), between)
        left_alone = weak is not None and bool(weak.filled[0] >= _NO_GAIN)
    found = float(residual[place])
    curve = tuple((float(a), float(b), float(c)) for a, b, c in zip(rates, residual, bpp, strict=True))
    return RateChoice(
        float(rates[place]),
        float(bpp[place]),
        expected,
        found,
        curve,
        _LEFT_ALONE if left_alone else _doubt(found, expected),
        filled,
        1.0 if left_alone else error,
        left_alone,
    )


def _place(errors: NDArray[np.float64], compact: bool) -> int:
    """Number of the rate that is taken, by estimated error in noise variances."""
    least = float(errors.min())
    if compact:  # an estimate near 0 or below it tells no percents
        return int(np.flatnonzero(errors <= max(least * _NEARLY, least + UNSEEN))[0])
    return int(np.flatnonzero(errors <= least + UNSEEN)[-1])


def _reported(error: float, expected: float, pixels: int) -> float | None:
    """An estimated error without what is no error, or None where it cannot be one.

    In the dimmest images the transform does not bring the noise to a variance of 1: the rest would count as
    error. What so many pixels cannot tell from 0 is given as the least that they tell.
    """
    least = math.sqrt(2 / pixels)
    found = error - (expected - 1) / (1 + STRENGTH**2)
    return None if found < -_BEYOND * least else max(found, least)


def gives_back(noise: NoiseModel, errors: Errors | None) -> bool:
    """Whether structure goes back, given what is known of a channel's noise and errors."""
    return noise.doubt > 0 or (errors is not None and errors.structure)


def choose_neighbours(
    codec: Codec,
    tiles: Sequence[NDArray[np.generic]],
    normalization: Normalization,
    candidates: Mapping[str, Sequence[Neighbours]],
    between: Callable[[], None] = lambda: None,
) -> tuple[str | None, Trial]:
    """The candidate whose neighbours lessen the error at the highest rate most, and the trial of it.

    None where none does. Where neighbouring pixels share their noise nobody can know, and the answer is None.
    Neighbours that share the noise of the plane itself are none: see `shared`.

    Args:
        codec: Codec that will be used; it sees three planes.
        tiles: A few 2-D blocks of raw counts of one channel, finite.
        normalization: Normalisation of that channel.
        candidates: Neighbours of each tile, as `Codec.encode` takes them, by name.
        between: Function called after each decode; it may raise to give up the choice.
    """
    alone = Trial(codec, tiles, normalization)
    trials = {name: Trial(codec, tiles, normalization, candidates[name]) for name in candidates}
    found: dict[str | None, float] = {}
    for name, trial in ((None, alone), *trials.items()):
        errors = trial.errors((RATES[-1],), between)
        if errors is None:
            return None, alone
        found[name] = float(min(errors.bare.min(), errors.filled.min()))
    for name in sorted(candidates, key=lambda name: found[name]):
        if found[name] >= found[None] - UNSEEN:
            break
        if noise_in_common(codec, tiles, normalization, candidates[name], between) < SHARED:
            return name, trials[name]
    return None, alone


def _residuals(
    trial: Trial, rates: Sequence[float], between: Callable[[], None]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Residuals in noise variances and bpp, by rate; the residual that would be exactly the noise."""
    residual, bpp, expected = np.zeros(len(rates)), np.zeros(len(rates)), 0.0
    codec, tiles, normalization = trial.codec, trial.tiles, trial.normalization
    neighbours: Sequence[Neighbours | None] = trial.neighbours or [None] * len(tiles)
    to_noise = UNIT / normalization.scale
    for tile, beside in zip(tiles, neighbours, strict=True):
        counts, usable = np.asarray(tile), ~np.ma.getmaskarray(tile)
        u = normalization.forward(counts)
        for place, (image, bits) in enumerate(codec.sweep(counts, normalization, rates, beside)):
            between()
            squares = np.square((u - image) * to_noise)
            residual[place] += float(np.sum(squares, where=usable, dtype=np.float64))
            bpp[place] += bits * tile.size
        variance = stabilized_variance(normalization.inverse(image), normalization.noise)
        expected += float(np.sum(variance, where=usable, dtype=np.float64))
    pixels = sum(count_of(tile) for tile in tiles)
    return residual / pixels, bpp / sum(tile.size for tile in tiles), expected / pixels


def _doubt(found: float, expected: float) -> str | None:
    ratio = found / max(expected, 1e-6)
    if abs(ratio - 1) <= _FAR:
        return None
    if is_blank(found, expected):
        return "the sample is blank or flat: there is no noise to choose a rate by"
    reason = (
        "structure is being removed, or the noise is stronger than estimated (as in compressed files)"
        if ratio > 1
        else "the noise is weaker than estimated, or correlated between pixels"
    )
    return (
        f"the removed part has {ratio:.2f} times the variance of the estimated noise: {reason}; "
        "compare input and result before you rely on it"
    )
