"""Neighbours of a still image: the scene shifted, deformed, bleached, out of focus, or something else.

For networks that see three planes. ``amount`` of motion is the standard deviation of shift and deformation in
px; a scene is given `MARGIN` px wider on every side than what is kept, so that things move in from outside.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_rdpdenoise.codec.network_input import Neighbours
from napari_rdpdenoise.train.settings import MotionRange

MARGIN = 12  # px
_ENDS = (0.5, 99.9)  # percentiles that stand for the dark and the bright end, as in an exposure
_DEFORMED = 0.6  # share of motions that deform
_KNOTS = (2, 6)  # an edge of the grid of a smooth deformation, from and below

Scene = NDArray[np.float32]


def draw_presence(settings: MotionRange, rng: np.random.Generator) -> tuple[bool, bool]:
    """Whether the planes before and after are there."""
    if rng.random() >= settings.missing:
        return True, True
    if rng.random() < settings.both:
        return False, False
    before = bool(rng.random() < 0.5)
    return before, not before


def inside(scene: Scene) -> Scene:
    """A scene without its margin."""
    return scene[MARGIN:-MARGIN, MARGIN:-MARGIN]


def neighbours_of(
    scene: Scene, settings: MotionRange, other: Callable[[], Scene], rng: np.random.Generator
) -> Neighbours:
    """Scenes before and after a still one.

    Args:
        scene: Scene with its margin (2-D).
        settings: Range of the motion.
        other: Function that gives another scene without margin, of any scale.
        rng: Generator.
    """
    presence = draw_presence(settings, rng)
    amount = 0.0
    if rng.random() >= settings.still:
        amount = float(np.exp(rng.uniform(*np.log(settings.amount))))
    before, after = (_neighbour(scene, settings, other, amount, rng) if there else None for there in presence)
    return before, after


def _neighbour(
    scene: Scene,
    settings: MotionRange,
    other: Callable[[], Scene],
    amount: float,
    rng: np.random.Generator,
) -> Scene:
    low, high = np.percentile(inside(scene), _ENDS)
    if rng.random() < settings.unrelated:
        found = other()
        dark, bright = np.percentile(found, _ENDS)
        return np.asarray(low + (found - dark) * ((high - low) / max(bright - dark, 1e-6)), np.float32)
    plane = moved(scene, amount, rng) if amount else inside(scene)
    if rng.random() < settings.bleached:
        plane = low + (plane - low) * float(np.exp(rng.normal(0.0, settings.bleaching)))
    if rng.random() < settings.defocused:
        plane = ndimage.gaussian_filter(plane, float(rng.uniform(*settings.defocus)))
    return np.asarray(plane, np.float32)


def moved(scene: Scene, amount: float, rng: np.random.Generator) -> Scene:
    """The inside of a scene after a shift and, often, a smooth deformation."""
    shape = tuple(n - 2 * MARGIN for n in scene.shape)
    shifts = [np.full(shape, rng.normal(0.0, amount) if rng.random() < 0.5 else 0.0) for _ in shape]
    if rng.random() < _DEFORMED:
        knots = int(rng.integers(*_KNOTS))
        shifts = [shift + _smooth(rng.normal(0.0, amount, (knots, knots)), shape) for shift in shifts]
    places = [
        grid + MARGIN + np.clip(shift, 1 - MARGIN, MARGIN - 1)
        for grid, shift in zip(np.indices(shape), shifts, strict=True)
    ]
    return np.asarray(ndimage.map_coordinates(scene, places, order=3, mode="mirror"), np.float32)


def _smooth(knots: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """A field (2-D) through knots, which lie from edge to edge."""
    axes = [np.linspace(0, n - 1, size) for n, size in zip(knots.shape, shape, strict=True)]
    return np.asarray(
        ndimage.map_coordinates(knots, np.meshgrid(*axes, indexing="ij"), order=min(3, len(knots) - 1))
    )
