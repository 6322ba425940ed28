"""Defects of known place in simulated exposures, and exposures without defects that look like some.

The kinds that `benchmarks.invalid` counts misses and false alarms on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SIZE = 256  # px
GAIN, OFFSET, READ = 2.0, 100.0, 3.0  # counts per photo-electron, counts, counts rms
Mask = NDArray[np.bool_]
Image = NDArray[Any]
Put = Callable[[Image, np.random.Generator], tuple[Image, Mask]]


@dataclass(frozen=True)
class Member:
    """A kind of defect.

    Attributes:
        name: Name in the table.
        put: Function that puts it into an exposure (float, counts); gives the image and where it is.
        dtype: Number type of the image.
        defect: Whether it is a defect of the camera, else a value that is no image.
        offset: Counts at zero light.
    """

    name: str
    put: Put
    dtype: type = np.uint16
    defect: bool = False
    offset: float = OFFSET


@cache
def _light(seed: int) -> Image:
    """Photo-electrons of a field of cells and filaments."""
    from napari_rdpdenoise.samples import GAIN as SAMPLE_GAIN
    from napari_rdpdenoise.samples import OFFSET as SAMPLE_OFFSET
    from napari_rdpdenoise.samples import simulate_timelapse

    clean = simulate_timelapse((1, SIZE, SIZE), photons=80, seed=seed).clean[0]
    return np.asarray((clean - SAMPLE_OFFSET) / SAMPLE_GAIN, np.float64)


def exposure(seed: int, offset: float = OFFSET) -> Image:
    """Counts of a simulated exposure, not rounded."""
    rng = np.random.default_rng(seed)
    light = _light(seed)
    return offset + GAIN * rng.poisson(light) + rng.normal(0, READ, light.shape)


def _region(shape: str, rng: np.random.Generator) -> Mask:
    y, x = np.mgrid[:SIZE, :SIZE]
    lost = np.zeros((SIZE, SIZE), bool)
    first, other = (int(rng.integers(20, SIZE // 2)) for _ in range(2))
    if shape == "border":
        lost[:first] = lost[:, -other:] = True
    elif shape == "strip":
        lost[: 1 + first % 6] = True
    elif shape == "triangle":
        lost = y + x < SIZE // 2 + first
    elif shape == "circle":
        lost = np.hypot(y - SIZE / 2, x - SIZE / 2) > SIZE / 2 - 10
    elif shape == "holes":
        for cy, cx in rng.integers(0, SIZE, (12, 2)):
            lost |= np.hypot(y - cy, x - cx) < 4 + cx % 9
    elif shape == "lines":
        lost[first] = lost[:, other] = lost[SIZE - first] = True
    elif shape == "slanted line":
        lost = np.abs(y - x * first / SIZE - other) < 0.7
    elif shape == "grid":
        lost[::32] = lost[:, ::40] = True
    elif shape == "bar":
        lost[SIZE - 24 : SIZE - 18, SIZE - 90 : SIZE - 14] = True
    elif shape == "frame":
        lost[first : first + 60, other : other + 60] = True
        lost[first + 2 : first + 58, other + 2 : other + 58] = False
    elif shape == "text":
        lost = text() > 127
    else:
        raise ValueError(shape)
    return lost


@cache
def text() -> Image:
    """A time stamp and a scale in smooth letters, bytes: 255 where they cover a pixel."""
    from PIL import Image as Pictures
    from PIL import ImageDraw, ImageFont

    picture = Pictures.new("L", (SIZE, SIZE))
    ImageDraw.Draw(picture).text((12, 12), "00:12:45.3  5 um", 255, font=ImageFont.load_default(18))
    return np.asarray(picture)


def fill(value: float, shape: str) -> Put:
    """A region of one value."""

    def put(image: Image, rng: np.random.Generator) -> tuple[Image, Mask]:
        lost = _region(shape, rng)
        return np.where(lost, value, image), lost

    return put


def _smooth(value: float, shape: str) -> Put:
    """Antialiased text, or a bar whose edges cover a part of their pixels."""

    def put(image: Image, rng: np.random.Generator) -> tuple[Image, Mask]:
        share = text() / 255.0
        if shape == "bar":
            fine = np.zeros((4 * SIZE, 4 * SIZE))
            top, left = (int(n) for n in rng.integers(2 * SIZE, 3 * SIZE, 2))
            fine[top : top + 22, left : left + 220] = 1
            share = fine.reshape(SIZE, 4, SIZE, 4).mean((1, 3))
        return image * (1 - share) + value * share, share > 0.05

    return put


def _turned(order: int) -> Put:
    def put(image: Image, rng: np.random.Generator) -> tuple[Image, Mask]:
        angle = float(rng.uniform(5, 40))
        mode = "constant" if order == 3 else "grid-constant"  # a spline of zeros rings
        turned = ndimage.rotate(image, angle, reshape=False, order=order, mode=mode)
        inside = ndimage.rotate(np.ones_like(image), angle, reshape=False, order=order, mode=mode)
        return turned, inside < 0.9

    return put


def _points(share: float, strength: float, sign: int = 1) -> Put:
    def put(image: Image, rng: np.random.Generator) -> tuple[Image, Mask]:
        lost = rng.random(image.shape) < share
        sigma = np.sqrt(READ**2 + GAIN * np.maximum(image - OFFSET, 0))
        return np.clip(image + sign * lost * strength * sigma, 0, 65535), lost

    return put


def _tracks(image: Image, rng: np.random.Generator) -> tuple[Image, Mask]:
    lost = np.zeros(image.shape, bool)
    for y, x in rng.integers(10, SIZE - 10, (10, 2)):
        length, angle = int(rng.integers(2, 9)), rng.uniform(0, np.pi)
        for step in range(length):
            lost[int(y + step * np.sin(angle)), int(x + step * np.cos(angle))] = True
    return image + lost * rng.uniform(300, 5000, image.shape), lost


def members() -> list[Member]:
    """All kinds of defects that are tried."""
    shapes = ("border", "strip", "triangle", "circle", "holes", "lines", "slanted line", "grid")
    codes: list[tuple[float, type]] = [
        (0, np.uint16),
        (65535, np.uint16),
        (0, np.uint8),
        (255, np.uint8),
        (-1, np.int16),
    ]
    codes += [(-9999, np.float32), (0, np.float32), (1e30, np.float32), (32767, np.int16)]
    found = [
        Member(
            f"{shape} of {value:g}, {np.dtype(dtype).name}", fill(value, shape), dtype, offset=_offset(dtype)
        )
        for value, dtype in codes
        for shape in shapes
    ]
    found += [Member(f"{shape} of 65535", fill(65535, shape)) for shape in ("bar", "frame", "text")]
    found += [Member(f"{shape} of 255 in 16 bits", fill(255, shape)) for shape in ("bar", "frame", "text")]
    found += [Member(f"{s} of 255, uint8", fill(255, s), np.uint8, offset=10) for s in ("bar", "text")]
    found += [Member(f"smooth {s} of {v}", _smooth(v, s)) for s in ("text", "bar") for v in (65535, 1000)]
    found += [Member(f"turned, order {order}", _turned(order)) for order in (0, 1, 3)]
    found += [Member(f"turned, order {order}, float32", _turned(order), np.float32) for order in (0, 1)]
    found.append(Member("border of the background's level", fill(OFFSET + 13, "border")))
    for share, strength in ((1e-4, 12), (1e-4, 1000), (1e-3, 30), (1e-2, 30), (3e-2, 100)):
        name = f"hot, {100 * share:g} %, {strength} noise sd"
        found.append(Member(name, _points(share, strength), defect=True))
    found.append(Member("cold, 0.1 %, 20 noise sd", _points(1e-3, 20, -1), defect=True))
    found.append(Member("tracks of cosmic rays", _tracks, defect=True))
    return found


def _offset(dtype: type) -> float:
    return 20.0 if np.dtype(dtype).itemsize == 1 else OFFSET


def as_stored(image: Image, dtype: type) -> Image:
    """Counts in a number type."""
    if np.dtype(dtype).kind == "f":
        return image.astype(dtype)
    limits = np.iinfo(np.dtype(dtype).name)
    return np.clip(np.rint(image), limits.min, limits.max).astype(dtype)


def innocent(seed: int) -> Iterator[tuple[str, Image]]:
    """Simulated images without defects that look like some."""
    rng = np.random.default_rng(seed)
    light = _light(seed)
    counts = rng.poisson(light)
    yield "black background, 8 bits", as_stored(2 * counts - 20, np.uint8)
    yield "thresholded background, float32", np.maximum(exposure(seed) - 130, 0).astype(np.float32)
    for top in (255, 4095):
        dtype = np.uint8 if top == 255 else np.uint16
        stretched = exposure(seed) * top / np.quantile(exposure(seed), 0.98)
        yield f"saturated cells, top {top}", as_stored(np.minimum(stretched, top), dtype)
    for mean in (0.02, 0.1, 0.5):
        photons = rng.poisson(light * mean / light.mean())
        yield f"photon counting, {mean:g} a pixel", as_stored(photons, np.uint8)
        yield f"photon counting x 37, {mean:g} a pixel", as_stored(37 * photons, np.uint8)
    events = rng.poisson(light * 0.05 / light.mean()) * rng.exponential(300, light.shape)
    multiplied = 100 + events + rng.normal(0, 10, light.shape)
    yield "photon counting, electron-multiplying", as_stored(multiplied, np.uint16)
    for mean in (0.05, 0.5, 5.0, 50.0):
        counts = (
            100 + rng.gamma(rng.poisson(light * mean / light.mean()), 300) + rng.normal(0, 10, light.shape)
        )
        yield f"electron-multiplying, gamma, {mean:g} a pixel", as_stored(counts, np.uint16)
    levels = np.rint(light + rng.normal(0, 0.21, light.shape))
    yield "8 bits in much light", as_stored(100 + 120 * levels + rng.normal(0, 15, light.shape), np.uint16)
    for sigma in (0.7, 1.0, 1.4):
        for strength in (50, 1000, 20000):
            name = f"spots, sigma {sigma:g} px, {strength} photons"
            yield name, as_stored(_spots(sigma, strength, rng), np.uint16)


def _spots(sigma: float, photons: float, rng: np.random.Generator) -> Image:
    places = np.zeros((SIZE * 5, SIZE * 5))
    for y, x in rng.integers(40, SIZE * 5 - 40, (120, 2)):
        places[y, x] += photons
    blurred = ndimage.gaussian_filter(places, sigma * 5)
    light = 5 + blurred.reshape(SIZE, 5, SIZE, 5).sum((1, 3))
    return OFFSET + GAIN * rng.poisson(light) + rng.normal(0, READ, light.shape)
