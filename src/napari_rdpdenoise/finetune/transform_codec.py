"""A codec of an image's patches that needs no network: classes of patches, each with a transform of its own.

It minimises what ZS-NCD and DeCompress minimise, ``|y - c|**2 + lambda * bits`` over all patches of one
noisy image, but over codecs whose parameters can be computed in the place of being trained. A patch of
8 x 8 px is sent as the number of its class and 64 numbers: its coordinates in the principal components of
the class, each by an entropy-constrained scalar quantiser (Chou, Lookabaugh and Gray 1989). In turn are
found: quantisers and bits from the patches of a class; class of a patch by its cost; components of a class
from its patches, as they were denoised so far.

Every patch is decoded and the overlapping ones are averaged, those of few bits with more weight: the fewer
bits, the less noise was let through.

Values are in units of the noise, whose variance is 1. Classified transform coding is old; that piecewise
linear estimates of patches denoise is of Yu, Sapiro and Mallat, IEEE TIP 2012.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

PATCH = 8  # px
NUMBERS = PATCH * PATCH
LAMBDA = 1.15
"""Noise variances that a bit may cost; chosen on three photographs. The published settings are 1.2 to 1.3."""

_STEP = 3.0  # between the levels that a quantiser begins with: the best at many bits, sqrt(6 lambda / ln 2)
_FINE = 0.125  # of the table in which a quantiser looks values up
_WIDE = 400.0  # range from which a coordinate is quantised evenly instead
_ESCAPE = 20.0  # bits of a value that no level is near to
_ROUNDS = 15  # of a quantiser
_LEAST_PATCHES = 300  # of a class; with fewer its components are noise
_ALIVE = 0.4  # rms contrast from which a patch may found a class
_GROUPINGS = 8  # rounds of the first grouping
_FEW_BITS = 20.0  # added to the bits of a patch before it is weighed
_BLOCK = 65536  # patches at once
_LEARN = 512  # px, edge of the part that is learned from

Array = NDArray[np.float32]


class Quantiser(NamedTuple):
    """Table of one coordinate: decoded value and bits by place; ``low`` is the value at place 0."""

    low: float
    step: float
    values: Array
    bits: Array

    def __call__(self, coordinates: Array) -> tuple[Array, Array]:
        """Decoded values and bits of each; what is beyond the table is sent coarsely, by many bits."""
        place = np.rint((coordinates - self.low) / self.step)
        outside = (place < 0) | (place >= len(self.values))
        index = np.where(outside, 0, place).astype(np.int64)
        values, bits = self.values[index], self.bits[index]
        if outside.any():
            values = np.where(outside, np.rint(coordinates / _STEP) * np.float32(_STEP), values)
            bits = np.where(outside, np.float32(_ESCAPE), bits)
        return values, bits


class Class(NamedTuple):
    """One kind of patches: mean (64,), components in columns (64, 64), quantisers, bits of its number."""

    mean: Array
    components: Array
    quantisers: tuple[Quantiser, ...]
    bits: float


class Coded(NamedTuple):
    """Patches after the codec: decoded (n, 64), bits and class of each (n,)."""

    decoded: Array
    bits: Array
    classes: NDArray[np.intp]


@dataclass(frozen=True)
class Round:
    """State after a round.

    Attributes:
        image: Denoised part that is learned from, noise units.
        residual: Mean square of what was removed from it, noise variances.
        bpp: Mean of the patches' bits by their pixels.
        classes: Codec of this round.
    """

    image: Array
    residual: float
    bpp: float
    classes: tuple[Class, ...]


def learn(image: Array, classes: int, rounds: int, seed: int = 0) -> Iterator[Round]:
    """Fit the codec to an image, of which the middle 512 x 512 px are looked at; yields after each round.

    Args:
        image: Noisy plane in units of its noise, at least 8 px each way.
        classes: Number of classes, at least 1; those of too few patches are dropped.
        rounds: Number of rounds, at least 1; the first one has a single class.
        seed: Seed of the first grouping.
    """
    part = _middle(image)
    patches = patches_of(part)
    labels, guide = np.zeros(len(patches), np.intp), patches
    for number in range(rounds):
        found = _fitted(patches, guide, labels)
        coded = encode(patches, found)
        smooth = averaged(coded.decoded, coded.bits, part.shape)
        residual = float(np.mean(np.square(smooth - part)))
        yield Round(smooth, residual, float(coded.bits.mean()) / NUMBERS, found)
        guide = patches_of(smooth)
        labels = _grouped(guide, classes, seed) if number == 0 else coded.classes


def denoise(image: Array, classes: tuple[Class, ...]) -> Array:
    """Encode and decode every patch of a plane in units of its noise, and average them where they overlap."""
    height, width = image.shape
    rows = max(1, _BLOCK // (width - PATCH + 1))
    total, weight = np.zeros((2, height, width), np.float32)
    for top in range(0, height - PATCH + 1, rows):
        bottom = min(top + rows + PATCH - 1, height)
        part = image[top:bottom]
        coded = encode(patches_of(part), classes)
        sums, weights = _overlapped(coded.decoded, coded.bits, part.shape)
        total[top:bottom] += sums
        weight[top:bottom] += weights
    return total / weight


def encode(patches: Array, classes: tuple[Class, ...]) -> Coded:
    """Send patches (n, 64) by the class that costs least each."""
    count = len(patches)
    best, bits = np.full(count, np.inf, np.float32), np.empty(count, np.float32)
    decoded, chosen = np.empty_like(patches), np.zeros(count, np.intp)
    for number, kind in enumerate(classes):
        coordinates = (patches - kind.mean) @ kind.components
        spent, error = np.full(count, kind.bits, np.float32), np.zeros(count, np.float32)
        for k, quantiser in enumerate(kind.quantisers):
            values, more = quantiser(coordinates[:, k])
            spent += more
            error += np.square(coordinates[:, k] - values)
            coordinates[:, k] = values
        cost = error + np.float32(LAMBDA) * spent
        wins = cost < best
        best[wins], bits[wins], chosen[wins] = cost[wins], spent[wins], number
        decoded[wins] = coordinates[wins] @ kind.components.T + kind.mean
    return Coded(decoded, bits, chosen)


def patches_of(image: Array) -> Array:
    """All overlapping patches of a plane, row after row, (n, 64)."""
    windows = sliding_window_view(image, (PATCH, PATCH))
    return np.ascontiguousarray(windows, np.float32).reshape(-1, NUMBERS)


def averaged(decoded: Array, bits: Array, shape: tuple[int, ...]) -> Array:
    """Plane of decoded patches, those of few bits with more weight."""
    total, weight = _overlapped(decoded, bits, shape)
    return total / weight


def fit_quantiser(values: Array) -> Quantiser:
    """Quantiser of least ``squared error + LAMBDA * bits`` for values (n,), by alternating minimisation."""
    low, high = float(values.min()), float(values.max())
    if high - low > _WIDE:
        return _even_quantiser(values)
    first = np.floor(low / _FINE)
    places = (np.rint(values / _FINE) - first).astype(np.int64)
    counts = np.bincount(places).astype(np.float64)
    points = (first + np.arange(len(counts))) * _FINE
    levels = np.arange(np.floor(low / _STEP), np.ceil(high / _STEP) + 1) * _STEP
    share = np.full(len(levels), 1 / len(levels))
    for _ in range(_ROUNDS):
        chosen = _nearest(points, levels, share)
        held = np.bincount(chosen, counts, len(levels))
        kept = held > 0
        levels = np.bincount(chosen, counts * points, len(levels))[kept] / held[kept]
        share = held[kept] / held.sum()
    chosen = _nearest(points, levels, share)
    bits = -np.log2(share)
    return Quantiser(
        float(points[0]), _FINE, levels[chosen].astype(np.float32), bits[chosen].astype(np.float32)
    )


def _nearest(points: NDArray, levels: NDArray, share: NDArray) -> NDArray[np.intp]:
    return np.argmin(np.square(points[:, None] - levels) - LAMBDA * np.log2(share), axis=1)


def _even_quantiser(values: Array) -> Quantiser:
    first = np.rint(values.min() / _STEP)
    counts = np.bincount((np.rint(values / _STEP) - first).astype(np.int64)) + 0.1  # none is impossible
    levels = (first + np.arange(len(counts))) * _STEP
    bits = -np.log2(counts / counts.sum())
    return Quantiser(float(levels[0]), _STEP, levels.astype(np.float32), bits.astype(np.float32))


def _fitted(patches: Array, guide: Array, labels: NDArray[np.intp]) -> tuple[Class, ...]:
    """Classes from noisy patches, their grouping, and the same patches as they were denoised so far."""
    found = []
    for number in np.unique(labels):
        members = labels == number
        share = float(members.mean())
        if members.sum() < min(_LEAST_PATCHES, len(labels)):
            continue
        mean = guide[members].mean(0)
        centred = guide[members] - mean
        components = np.linalg.eigh(centred.T @ centred / len(centred))[1][:, ::-1]
        coordinates = (patches[members] - mean) @ components
        quantisers = tuple(fit_quantiser(coordinates[:, k]) for k in range(NUMBERS))
        found.append(Class(mean, np.ascontiguousarray(components), quantisers, -float(np.log2(share))))
    return tuple(found)


def _grouped(patches: Array, classes: int, seed: int) -> NDArray[np.intp]:
    """First grouping: flat patches are class 0, the others go by their shape whatever its sign."""
    centred = patches - patches.mean(1, keepdims=True)
    contrast = np.sqrt(np.mean(np.square(centred), axis=1))
    alive = np.flatnonzero(contrast > _ALIVE)
    labels = np.zeros(len(patches), np.intp)
    if classes == 1 or len(alive) < classes * _LEAST_PATCHES:
        return labels
    shapes = centred[alive] / (PATCH * contrast[alive, None])
    centres = shapes[np.random.default_rng(seed).choice(len(alive), classes - 1, replace=False)]
    for _ in range(_GROUPINGS):
        likeness = shapes @ centres.T
        nearest = np.abs(likeness).argmax(1)
        for k in range(classes - 1):
            members = nearest == k
            if members.any():
                total = np.sign(likeness[members, k]) @ shapes[members]
                centres[k] = total / max(float(np.linalg.norm(total)), 1e-6)
    labels[alive] = nearest + 1
    return labels


def _overlapped(decoded: Array, bits: Array, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Weighted sum of the patches that cover each pixel, and the sum of their weights."""
    down, across = shape[0] - PATCH + 1, shape[1] - PATCH + 1
    pixels = decoded.reshape(down, across, PATCH, PATCH)
    each = (1 / (bits + np.float32(_FEW_BITS))).reshape(down, across)
    total, weight = np.zeros((2, *shape), np.float32)
    for y in range(PATCH):
        for x in range(PATCH):
            total[y : y + down, x : x + across] += each * pixels[:, :, y, x]
            weight[y : y + down, x : x + across] += each
    return total, weight


def _middle(image: Array) -> Array:
    top, left = (max(0, (n - _LEARN) // 2) for n in image.shape)
    return image[top : top + _LEARN, left : left + _LEARN]
