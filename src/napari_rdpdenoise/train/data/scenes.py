"""Simulated scenes: fibres, spots, membranes, bodies and textures, as a microscope's optics would show them.

Real training images are few, and most of them show nuclei and sparse structures. What is drawn here covers
what they lack: dense meshes of fibres and evenly textured ground, of every fineness, contrast and direction.
That images made by chance teach a denoiser what real ones are like is known from dead leaves (Achddou,
Gousseau and Ladjal, SSVM 2021); the ingredients here are those of fluorescence microscopy.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

Scene = NDArray[np.float32]
Layer = Callable[[int, np.random.Generator], NDArray[np.float64]]

_AREA = 152.0**2  # px that the numbers of fibres and spots below are for
_MARGIN = 24  # px around the scene where fibres may begin
_MOST_POINTS = 60_000  # of the fibres of one layer
_BRIGHT = 99.5  # percentile that is the brightness of a layer


def draw_scene(size: int, rng: np.random.Generator) -> Scene:
    """A scene of one to four layers, out-of-focus haze included, blurred by the optics.

    Args:
        size: Edge, px, 2 or more.
        rng: Generator of everything.

    Returns:
        Light (size, size) without unit, above 0.
    """
    scene = np.zeros((size, size))
    for number in range(1 + int(rng.binomial(3, 0.45))):
        layer = _LAYERS[int(rng.integers(len(_LAYERS)))](size, rng)
        layer /= max(float(np.percentile(layer, _BRIGHT)), 1e-6)
        if rng.random() < 0.5:
            layer *= _inside_regions(size, rng)
        scene += layer * (1.0 if number == 0 else _log_uniform(0.05, 1.5, rng))
    if rng.random() < 0.5:
        scene += ndimage.gaussian_filter(scene, rng.uniform(4.0, 16.0)) * rng.uniform(0.0, 1.5)
    scene = ndimage.gaussian_filter(scene, _log_uniform(0.5, 2.0, rng))
    return (scene + rng.uniform(0.0, 0.3) * scene.max() + 1e-3).astype(np.float32)


def _fibres(size: int, rng: np.random.Generator, dense: bool = False) -> NDArray[np.float64]:
    """Fibres in all directions, or along a common one that turns slowly; dense: many, close together."""
    length = _log_uniform(25.0, 250.0, rng)
    fewest, most = (100.0, 2000.0) if dense else (6.0, 600.0)
    number = _log_uniform(fewest, most, rng) * (size + 2 * _MARGIN) ** 2 / _AREA
    count, steps = max(2, int(min(number, _MOST_POINTS / length))), int(length)
    start = rng.uniform(-_MARGIN, size + _MARGIN, (2, count, 1))
    if rng.random() < 0.6:
        turns = _smooth(size, rng.uniform(15.0, 60.0), rng) * rng.uniform(0.0, 0.6)
        at = np.clip(start[..., 0], 0, size - 1).astype(int)
        heading = rng.uniform(0, np.pi) + turns[at[0], at[1]] + rng.normal(0, rng.uniform(0.02, 0.4), count)
    else:
        heading = rng.uniform(0, 2 * np.pi, count)
    bends = rng.normal(0.0, _log_uniform(0.003, 0.12, rng), (count, steps)).cumsum(1)
    angles = heading[:, None] + bends
    y, x = start[0] + np.sin(angles).cumsum(1), start[1] + np.cos(angles).cumsum(1)
    light = np.exp(rng.normal(0.0, rng.uniform(0.1, 0.8), (count, 1))) * np.ones((1, steps))
    if rng.random() < 0.3:
        light = light * np.exp(rng.normal(0.0, 0.6, light.shape))
    return _splatted(y, x, light, size)


def _mesh(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Fibres upon fibres, as dense as actin: evenly textured ground, without anything dark between."""
    sets = [_fibres(size, rng, dense=True) for _ in range(int(rng.integers(2, 6)))]
    mesh = sum(part / max(float(part.mean()), 1e-6) for part in sets) / len(sets)
    return mesh + rng.uniform(0.0, 2.0) * ndimage.gaussian_filter(mesh, rng.uniform(3.0, 10.0))


def _spots(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Points of light of unequal brightness, some of them larger."""
    count = int(_log_uniform(8.0, 4000.0, rng) * size**2 / _AREA) + 1
    y, x = rng.uniform(0, size, (2, count))
    light = np.exp(rng.normal(0.0, rng.uniform(0.2, 1.2), count))
    image = _splatted(y, x, light, size)
    return ndimage.gaussian_filter(image, rng.uniform(0.5, 3.0)) if rng.random() < 0.4 else image


def _texture(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A random field, finer in one direction than in the other."""
    fineness, stretch = _log_uniform(0.7, 6.0, rng), _log_uniform(1.0, 4.0, rng)
    angle = rng.uniform(0, np.pi)
    fy, fx = np.meshgrid(np.fft.fftfreq(size), np.fft.rfftfreq(size), indexing="ij")
    along, across = fy * np.cos(angle) + fx * np.sin(angle), fx * np.cos(angle) - fy * np.sin(angle)
    distance = 2 * np.pi * fineness * np.hypot(along * stretch, across)
    power = (1 + distance**2) ** -rng.uniform(0.8, 2.5)
    field = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(size, size))) * power, (size, size))
    field /= max(float(field.std()), 1e-6)
    kind = int(rng.integers(3))
    if kind == 0:
        return np.exp(field * rng.uniform(0.1, 1.2))
    return np.abs(field) if kind == 1 else np.maximum(field + rng.uniform(-1.0, 2.0), 0.0)


def _membranes(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Closed lines: where a smooth field crosses a level."""
    field = _smooth(size, _log_uniform(3.0, 25.0, rng), rng)
    gradient = np.hypot(*np.gradient(field))
    distance = (field - rng.normal(0.0, 0.7)) / np.maximum(gradient, 0.02 * gradient.max())
    return np.exp(-0.5 * (distance / rng.uniform(0.4, 1.5)) ** 2)


def _bodies(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Bodies with soft or sharp edges and, inside, a texture of low contrast."""
    body = _inside_regions(size, rng)
    inner = _texture(size, rng)
    return body * (1 + rng.uniform(0.0, 1.0) * (inner / max(float(inner.mean()), 1e-6) - 1).clip(-1, 4))


# Evenly textured ones come more often: they are what a denoiser takes for noise most easily
_LAYERS: tuple[Layer, ...] = (
    _fibres,
    _fibres,
    _mesh,
    _mesh,
    _mesh,
    _spots,
    _texture,
    _texture,
    _membranes,
    _bodies,
)


def _inside_regions(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    field = _smooth(size, _log_uniform(8.0, 50.0, rng), rng)
    steepness = _log_uniform(2.0, 40.0, rng)
    return special.expit(steepness * (field - rng.normal(0.0, 0.7)))


def _smooth(size: int, sigma: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """A smooth random field of variance 1."""
    coarse = max(1, int(sigma / 3))
    field = ndimage.gaussian_filter(rng.normal(size=(size // coarse + 8,) * 2), sigma / coarse)
    field = ndimage.zoom(field, coarse, order=1)[:size, :size] if coarse > 1 else field[:size, :size]
    return (field - field.mean()) / max(float(field.std()), 1e-6)


def _splatted(
    y: NDArray[np.float64], x: NDArray[np.float64], light: NDArray[np.float64], size: int
) -> NDArray[np.float64]:
    """Points of light on the pixels around them, by their distance; those outside are left out."""
    y, x, light = y.ravel(), x.ravel(), light.ravel()
    there = (y >= 0) & (x >= 0) & (y < size - 1) & (x < size - 1)
    y, x, light = y[there], x[there], light[there]
    row, column = y.astype(int), x.astype(int)
    down, right = y - row, x - column
    image = np.zeros(size * size)
    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
        share = (down if dy else 1 - down) * (right if dx else 1 - right)
        image += np.bincount((row + dy) * size + column + dx, light * share, size * size)
    return image.reshape(size, size)


def _log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
