"""A simulated fluorescence time-lapse with its exact clean truth: the embedded input of demo and viewer.

The way of the light, per frame and channel:

    structures (nuclei | filaments | mitochondria)  relative fluorophore density on the pixel grid
      -> optics      Gaussian core of the point-spread function plus a wide out-of-focus halo
      -> p           expected photo-electrons per pixel (the brightest structures reach ``photons``)
      -> clean       offset + gain * p                                  counts, float32, the exact truth
      -> noisy       round(offset + gain * Poisson(p) + read noise)     counts, uint16

Everything lives in the frame of its cell, which drifts and turns; nuclei carry a texture, filaments sway,
mitochondria crawl along their own paths. One seed, one movie.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

Array = NDArray[np.float32]
Points = NDArray[np.float64]

PIXEL_UM, FRAME_SECONDS = 0.2, 10.0
GAIN, OFFSET, READ_NOISE = 4.5, 100.0, 7.5  # counts per photo-electron, counts, counts rms
_PSF_SIGMA, _HALO_SIGMA, _HALO_SHARE = 1.1, 7.0, 0.25  # px, px, share of the light
_CELL_SPACING = 120.0  # px between neighbouring cells, 24 um
_BLEACHING = 0.02  # share of the light lost per frame
_BACKGROUND = 0.08  # of the peak: medium and stray light
_HAZE_SIGMA, _HAZE = 11.0, 0.9  # px; unbound dye in the cytoplasm, relative to what is bound nearby
_STRUCTURES = ("nuclei", "filaments", "mitochondria")
_CHANNELS: dict[int, tuple[tuple[str, ...], ...]] = {
    1: (_STRUCTURES,),
    2: (("nuclei",), ("filaments", "mitochondria")),
    3: tuple((name,) for name in _STRUCTURES),
}
_WEIGHTS = {"nuclei": 1.0, "filaments": 0.55, "mitochondria": 0.8}


@dataclass(frozen=True)
class SimulatedSample:
    """A noisy movie, its truth, and the camera that took it.

    Attributes:
        noisy: Counts, uint16, axes as in ``axes``.
        clean: Counts, float32, same shape: expectation of ``noisy`` (up to rounding and clipping).
        axes: "TYX" or "TCYX".
        channel_names: Names, one per channel.
        scale: Pixel size in micrometer (Y, X) and frame interval in seconds (T).
        units: Names of the units of the axes in ``scale``.
        gain: Counts per photo-electron.
        offset: Counts at zero light.
        read_noise: Read noise, counts rms.
    """

    noisy: NDArray[np.uint16]
    clean: Array
    axes: str
    channel_names: tuple[str, ...]
    scale: dict[str, float]
    units: dict[str, str]
    gain: float
    offset: float
    read_noise: float


@dataclass(frozen=True)
class _Curves:
    """Many bright points along curves, in cell coordinates (px from the cell's centre)."""

    points: Points  # (curve, step, 2) as (y, x)
    brightness: Points  # (curve,)
    phase: Points  # (curve,) of swaying or crawling, radians


@dataclass(frozen=True)
class _Cell:
    """One cell: where it goes and what it holds."""

    path: Points  # (T, 2), px
    angle: Points  # (T,), radians
    nucleus: Array  # square patch of relative density, cell coordinates
    filaments: _Curves
    mitochondria: _Curves


def simulate_timelapse(
    shape: tuple[int, ...] = (5, 2, 512, 512), *, photons: float = 20.0, seed: int = 0
) -> SimulatedSample:
    """Simulate living cells under a wide-field fluorescence microscope.

    Args:
        shape: ``(T, Y, X)`` (all structures in one channel) or ``(T, C, Y, X)`` with C = 1, 2 (nuclei;
            filaments with mitochondria) or 3 (one each); every size at least 1.
        photons: Photo-electrons per pixel that the brightest 0.1 % of a channel reach in the first frame,
            above 0 and below 10000.
        seed: Seed of NumPy's generator; the same seed gives the same movie.

    Raises:
        ValueError: If a shape or a light level cannot be simulated.
    """
    groups = _check(shape, photons)
    frames, (height, width) = shape[0], shape[-2:]
    rng, camera = (np.random.default_rng([seed, stream]) for stream in (0, 1))
    cells = [_grow_cell(rng, path) for path in _paths(rng, frames, height, width)]
    light = np.empty((frames, len(groups), height, width), dtype=np.float32)
    for t in range(frames):
        layers = {name: _draw(name, cells, t, (height, width)) for name in _STRUCTURES}
        for c, names in enumerate(groups):
            light[t, c] = _optics(np.sum([_WEIGHTS[n] * layers[n] for n in names], axis=0))
        light[t] *= (1 - _BLEACHING) ** t
    peak = np.maximum(np.quantile(light[0], 0.999, axis=(1, 2), keepdims=True), 1e-6)
    electrons = (photons * (light / peak + _BACKGROUND)).astype(np.float32)
    clean = (OFFSET + GAIN * electrons).astype(np.float32)
    noisy = _expose(electrons, camera)
    flat = len(shape) == 3
    return SimulatedSample(
        noisy=noisy[:, 0] if flat else noisy,
        clean=clean[:, 0] if flat else clean,
        axes="TYX" if flat else "TCYX",
        channel_names=tuple(" + ".join(names) for names in groups),
        scale={"T": FRAME_SECONDS, "Y": PIXEL_UM, "X": PIXEL_UM},
        units={"T": "second", "Y": "micrometer", "X": "micrometer"},
        gain=GAIN,
        offset=OFFSET,
        read_noise=READ_NOISE,
    )


def napari_sample() -> list[tuple[NDArray[np.uint16], dict[str, Any], str]]:
    """The noisy movie as layers of a viewer, one per channel (napari's sample-data contribution)."""
    sample = simulate_timelapse()
    layers = []
    for c, (name, colour) in enumerate(zip(sample.channel_names, ("cyan", "magenta"), strict=True)):
        data = sample.noisy[:, c]
        options = {
            "name": f"simulated {name}",
            "colormap": colour,
            "blending": "additive",
            "contrast_limits": (sample.offset, float(np.quantile(data, 0.9995))),
            "scale": tuple(sample.scale[a] for a in "TYX"),
            "units": tuple(sample.units[a] for a in "TYX"),
            "axis_labels": ("t", "y", "x"),
        }
        layers.append((data, options, "image"))
    return layers


def _check(shape: tuple[int, ...], photons: float) -> tuple[tuple[str, ...], ...]:
    if len(shape) not in (3, 4) or min(shape) < 1:
        raise ValueError(f"shape must be (T, Y, X) or (T, C, Y, X) with sizes of at least 1, found {shape}")
    channels = shape[1] if len(shape) == 4 else 1
    if channels not in _CHANNELS:
        raise ValueError(
            f"shape must name 1, 2 or 3 channels on its second axis, found {channels} in {shape}"
        )
    if not 0 < photons < 10_000:
        raise ValueError(
            f"photons must be above 0 and below 10000 per pixel, found {photons}; 20-200 is usual"
        )
    return _CHANNELS[channels]


def _expose(electrons: Array, rng: np.random.Generator) -> NDArray[np.uint16]:
    """What the camera reports for the expected photo-electrons."""
    counts = OFFSET + GAIN * rng.poisson(electrons) + rng.normal(0.0, READ_NOISE, electrons.shape)
    return np.clip(np.rint(counts), 0, np.iinfo(np.uint16).max).astype(np.uint16)


def _optics(density: Array) -> Array:
    """Blur by the core of the point-spread function and its out-of-focus halo."""
    core, halo = gaussian_filter(density, _PSF_SIGMA), gaussian_filter(density, _HALO_SIGMA)
    return np.asarray((1 - _HALO_SHARE) * core + _HALO_SHARE * halo, dtype=np.float32)


def _smooth_walk(rng: np.random.Generator, frames: int, step: float, size: int) -> Points:
    """Random walk with inertia, ``(frames, size)``, starting at 0; ``step`` is a usual distance per frame."""
    speed = rng.normal(0.0, step, (1, size)) + np.cumsum(rng.normal(0.0, 0.3 * step, (frames, size)), axis=0)
    walk = np.cumsum(speed, axis=0)
    return np.asarray(walk - walk[:1])


def _paths(rng: np.random.Generator, frames: int, height: int, width: int) -> Iterator[Points]:
    """Cell centres on a shaken grid, so that cells fill the field and rarely pile up."""
    rows, columns = (max(1, round(n / _CELL_SPACING)) for n in (height, width))
    for row in range(rows):
        for column in range(columns):
            start = (np.array([row, column]) + 0.5 + rng.uniform(-0.3, 0.3, 2)) / (rows, columns)
            yield start * (height, width) + _smooth_walk(rng, frames, 1.5, 2)


def _grow_cell(rng: np.random.Generator, path: Points) -> _Cell:
    radius = rng.uniform(17.0, 27.0)  # of the nucleus, px
    angle = rng.uniform(0, 2 * np.pi) + _smooth_walk(rng, len(path), 0.02, 1)[:, 0]
    return _Cell(
        path=path,
        angle=angle,
        nucleus=_nucleus(rng, radius),
        filaments=_curves(rng, 40, 190, (0.6 * radius, 1.6 * radius), bend=0.014),
        mitochondria=_curves(rng, 24, 110, (1.1 * radius, 2.4 * radius), bend=0.05),
    )


def _nucleus(rng: np.random.Generator, radius: float) -> Array:
    """A nucleus as a square patch: a bumpy ellipse of textured chromatin with dark nucleoli."""
    half = int(1.5 * radius) + 4
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float64)
    theta = np.arctan2(y, x)
    bumps = sum(rng.normal(0, 0.03) * np.cos(k * theta + rng.uniform(0, 2 * np.pi)) for k in (2, 3, 4, 5))
    stretch = rng.uniform(1.05, 1.3)
    distance = np.hypot(y * np.sqrt(stretch), x / np.sqrt(stretch)) - radius * (1 + bumps)
    body = 1 / (1 + np.exp(distance / 0.7))
    chromatin = sum(
        w * gaussian_filter(rng.normal(size=y.shape), s) * 2 * np.sqrt(np.pi) * s  # unit variance
        for s, w in ((1.6, 0.22), (4.0, 0.18))
    )
    nucleoli = np.zeros_like(y)
    for _ in range(rng.integers(2, 5)):
        at, size = rng.uniform(-0.5, 0.5, 2) * radius, rng.uniform(0.10, 0.2) * radius
        nucleoli = np.maximum(nucleoli, 1 / (1 + np.exp((np.hypot(y - at[0], x - at[1]) - size) / 0.6)))
    density = body * np.clip(0.75 + chromatin, 0.15, 2.0) * (1 - 0.75 * nucleoli)
    focus = max(rng.normal(0.0, 1.0), 0.0)  # px; about half of them lie in the focal plane
    return np.asarray(rng.uniform(0.45, 1.0) * gaussian_filter(density, focus), dtype=np.float32)


def _curves(
    rng: np.random.Generator, count: int, steps: int, ring: tuple[float, float], bend: float
) -> _Curves:
    """Persistent random walks that start in a ring around the cell's centre; one step is half a pixel."""
    start_angle = rng.uniform(0, 2 * np.pi, count)
    start = rng.uniform(*ring, count)[:, None] * np.stack([np.sin(start_angle), np.cos(start_angle)], axis=1)
    heading = start_angle + rng.normal(0, 0.7, count)
    # curvature itself wanders, so the curves bend smoothly instead of jittering
    curvature = np.cumsum(rng.normal(0, bend / 6, (count, steps)), axis=1) * 0.5 + rng.normal(
        0, bend / 3, (count, 1)
    )
    direction = heading[:, None] + np.cumsum(np.clip(curvature, -bend, bend), axis=1)
    along = np.cumsum(0.5 * np.stack([np.sin(direction), np.cos(direction)], axis=2), axis=1)
    return _Curves(
        points=start[:, None] + along,
        brightness=rng.lognormal(-0.1, 0.4, count),
        phase=rng.uniform(0, 2 * np.pi, count),
    )


def _draw(name: str, cells: list[_Cell], t: int, shape: tuple[int, int]) -> Array:
    """Relative density of one kind of structure in frame ``t`` (before the optics)."""
    if name == "nuclei":
        canvas = np.zeros(shape, dtype=np.float32)
        for cell in cells:
            _paste_nucleus(canvas, cell, t)
        return canvas
    placed = [_place(*_posed(name, cell, t), cell, t) for cell in cells]
    where, weight = (np.concatenate(parts) for parts in zip(*placed, strict=True))
    canvas = _splat(shape, where, weight)
    if name == "mitochondria":
        return np.asarray(2.2 * gaussian_filter(canvas, 1.2))
    return np.asarray(canvas + _HAZE * gaussian_filter(canvas, _HAZE_SIGMA))


def _posed(name: str, cell: _Cell, t: int) -> tuple[Points, Points]:
    """Points (n, 2) and their weights (n,) in cell coordinates at frame ``t``."""
    if name == "filaments":
        curves = cell.filaments
        s = np.linspace(0.0, 1.0, curves.points.shape[1])
        sway = 2.5 * s * np.sin(curves.phase[:, None] + 2.5 * s + 0.5 * t)  # px; the anchored end stays
        normal = np.gradient(curves.points, axis=1)[..., ::-1] * (1, -1) * 2.0
        points = curves.points + sway[..., None] * normal
        weight = np.broadcast_to(curves.brightness[:, None] * 0.35, points.shape[:2])
    else:
        curves = cell.mitochondria
        steps = curves.points.shape[1]
        length = np.rint(steps * (0.25 + 0.3 * (1 + np.sin(3 * curves.phase)) / 2)).astype(int)
        begin = np.rint((steps - length) * (0.5 + 0.5 * np.sin(curves.phase + 0.25 * t))).astype(int)
        step = np.arange(steps)
        shown = (step >= begin[:, None]) & (step < (begin + length)[:, None])
        points, weight = curves.points, shown * curves.brightness[:, None]
    return points.reshape(-1, 2), weight.reshape(-1)


def _place(points: Points, weight: Points, cell: _Cell, t: int) -> tuple[Points, Points]:
    """Cell coordinates to image coordinates at frame ``t``."""
    lit = weight > 0
    sine, cosine = np.sin(cell.angle[t]), np.cos(cell.angle[t])
    y, x = points[lit].T
    turned = np.stack([cosine * y + sine * x, cosine * x - sine * y], axis=1)
    return turned + cell.path[t], weight[lit]


def _splat(shape: tuple[int, int], where: Points, weight: Points) -> Array:
    """Sum of points spread bilinearly over their four pixels; light outside the field is lost."""
    base = np.floor(where).astype(int)
    part = where - base
    canvas = np.zeros((shape[0] + 2) * (shape[1] + 2))
    for dy in (0, 1):
        for dx in (0, 1):
            share = np.abs(1 - dy - part[:, 0]) * np.abs(1 - dx - part[:, 1]) * weight
            # a frame of one pixel swallows everything outside
            row, column = (np.clip(base[:, a] + d, -1, shape[a]) + 1 for a, d in ((0, dy), (1, dx)))
            canvas += np.bincount(row * (shape[1] + 2) + column, share, minlength=canvas.size)
    return canvas.reshape(shape[0] + 2, shape[1] + 2)[1:-1, 1:-1].astype(np.float32)


def _paste_nucleus(canvas: Array, cell: _Cell, t: int) -> None:
    """Add a turned and shifted nucleus to the canvas, in place."""
    half = cell.nucleus.shape[0] // 2
    reach = int(1.5 * half) + 1
    top, left = (np.floor(cell.path[t]) - reach).astype(int)
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + 2 * reach + 1, canvas.shape[0]), min(left + 2 * reach + 1, canvas.shape[1])
    if y0 >= y1 or x0 >= x1:
        return
    y, x = np.mgrid[y0:y1, x0:x1] - cell.path[t][:, None, None]
    sine, cosine = np.sin(cell.angle[t]), np.cos(cell.angle[t])
    source = np.stack([cosine * y - sine * x, cosine * x + sine * y]) + half
    canvas[y0:y1, x0:x1] += map_coordinates(cell.nucleus, source, order=1)
