"""Pixel-wise agreement with a clean image: PSNR, SSIM, MicroSSIM, and the line that puts two scales together.

Symbols: ``image`` is what is judged, ``reference`` the clean image, both in the same counts and of one shape
``(..., Y, X)``; ``data_range`` the largest meaningful difference, in counts, above 0. A stack is scored as
the mean over its planes, except PSNR, which takes the mean squared error over everything it is given, of any
shape.

Sources: SSIM, Wang et al., IEEE TIP 2004, with the 11 px Gaussian window of that paper (sigma 1.5 px,
population covariance). MicroSSIM, Ashesh et al., arXiv:2408.08747: background (3 % percentile) taken from
each image, both divided by the reference's maximum, and one factor alpha maximising
SSIM(reference, alpha * image).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy.ndimage import gaussian_filter

from napari_rdpdenoise.metrics.errors import MetricUnavailable
from napari_rdpdenoise.noise import NoiseModel, expected_stabilized, stabilize

Array = NDArray[np.float64]

_SIGMA, _TRUNCATE = 1.5, 3.5
_RADIUS = int(_TRUNCATE * _SIGMA + 0.5)  # 5 px; the frame that SSIM leaves out
_WINDOW = 2 * _RADIUS + 1
_K1, _K2 = 0.01, 0.03
_BACKGROUND_PERCENT = 3.0
_COARSE_PIXELS = 65536  # enough to bracket alpha; every pixel decides in the end


@dataclass(frozen=True)
class FidelityScore:
    """What the tables of this project print for one image.

    Attributes:
        psnr: Peak signal-to-noise ratio, dB; infinite where the images are equal.
        ssim: -1..1.
        mean_bias_pct: Distance of the result's mean from the noisy image's, percent of the latter, >= 0.
    """

    psnr: float
    ssim: float
    mean_bias_pct: float


@dataclass(frozen=True)
class _Moments:
    """Windowed means, variances and covariance of two planes: what SSIM is made of, before any scaling."""

    ux: Array
    uy: Array
    vx: Array
    vy: Array
    vxy: Array
    c1: float
    c2: float

    def similarity(self, alpha: float = 1.0) -> Array:
        """SSIM at every pixel when the second image is multiplied by ``alpha``."""
        top = (2 * alpha * self.ux * self.uy + self.c1) * (2 * alpha * self.vxy + self.c2)
        bottom = (self.ux**2 + alpha**2 * self.uy**2 + self.c1) * (self.vx + alpha**2 * self.vy + self.c2)
        return np.asarray(top / bottom)

    def thinned(self, step: int) -> _Moments:
        """Every ``step``-th pixel of the plane, flattened."""
        ux, uy, vx, vy, vxy = (m.ravel()[::step] for m in (self.ux, self.uy, self.vx, self.vy, self.vxy))
        return _Moments(ux, uy, vx, vy, vxy, self.c1, self.c2)


def affine_match(reference: ArrayLike, target: ArrayLike) -> Array:
    """Map a reference onto another image's scale by the least-squares line ``target = a * reference + b``.

    Public image sets are often contrast-stretched one by one; the line undoes that before scoring. A flat
    reference becomes the target's mean. The result is float64 of the shape that both have.

    Raises:
        ValueError: Shapes differ, or an image is empty.
    """
    ref, tgt = _pair(reference, target, ("reference", "target"))
    centred = ref - ref.mean()
    power = float(np.vdot(centred, centred))
    slope = float(np.vdot(centred, tgt - tgt.mean())) / power if power > 0 else 0.0
    return slope * centred + tgt.mean()


def data_range(reference: ArrayLike, dtype: DTypeLike) -> float:
    """Range of the tables: 255 for 8-bit noisy images, else the maximum of the reference on their scale."""
    return 255.0 if np.dtype(dtype) == np.uint8 else float(np.max(reference))


def psnr(image: ArrayLike, reference: ArrayLike, data_range: float) -> float:
    """Peak signal-to-noise ratio, in dB; infinite for equal images.

    Raises:
        ValueError: Shapes differ, an image is empty, or ``data_range`` is not above 0.
    """
    img, ref = _pair(image, reference)
    _check_range(data_range)
    error = float(np.mean((img - ref) ** 2))
    return 10.0 * float(np.log10(data_range**2 / error)) if error > 0 else float("inf")


def noise_distance(
    image: ArrayLike, reference: ArrayLike, noise: NoiseModel, *, noisy: bool = False
) -> float:
    """Rms distance from a clean image in noise standard deviations; about 1 for the noisy image.

    Both are stabilised. Pixels where one of the two is not finite are left out; NaN where none is left.

    Args:
        image: Image that is judged, counts.
        reference: Clean image on its scale, of the same shape.
        noise: Noise of the image that it was made from.
        noisy: Whether the image has that noise itself; False for a denoised one.

    Raises:
        ValueError: If the shapes differ or the image is empty.
    """
    img, ref = _pair(image, reference)
    finite = np.isfinite(img) & np.isfinite(ref)
    stabilised = (stabilize if noisy else expected_stabilized)(img[finite], noise)
    gap = np.asarray(stabilised, np.float64) - expected_stabilized(ref[finite], noise)
    return float(np.sqrt(np.mean(np.square(gap)))) if gap.size else float("nan")


def ssim(image: ArrayLike, reference: ArrayLike, data_range: float) -> float:
    """Structural similarity, mean over pixels and planes; 1 for equal images.

    Raises:
        ValueError: Shapes differ, fewer than two axes, or ``data_range`` is not above 0.
        MetricUnavailable: A plane is smaller than the window (11 px).
    """
    img, ref = _pair(image, reference)
    _check_range(data_range)
    found = [_moments(x, y, data_range).similarity().mean() for y, x in _planes(img, ref, "SSIM")]
    return float(np.mean(found))


def microssim(image: ArrayLike, reference: ArrayLike) -> float:
    """MicroSSIM, mean over pixels and planes: SSIM that forgives a background and one global factor.

    Background, maximum and factor are taken once for the whole stack; each plane keeps its own range, and the
    covariance is the sample's, as in the authors' package (``microssim`` 0.0.2). One difference: the package
    fits the factor under another window (7 px, uniform) than it scores with; here the factor maximises the
    very figure that is returned, as the paper defines it. Ours is never lower, and within 0.003.

    Raises:
        ValueError: Shapes differ or fewer than two axes.
        MetricUnavailable: A plane is smaller than 11 px, or flat in the reference.
    """
    img, ref = _pair(image, reference)
    low_ref, low_img = np.percentile(ref, _BACKGROUND_PERCENT), np.percentile(img, _BACKGROUND_PERCENT)
    top = float(ref.max() - low_ref)
    planes = []
    for y, x in _planes(img, ref, "MicroSSIM"):
        span = float(np.ptp(x))
        if span == 0 or top <= 0:
            raise MetricUnavailable(
                "MicroSSIM needs structure in the reference; found a flat plane: leave it out"
            )
        planes.append(_moments((x - low_ref) / top, (y - low_img) / top, span / top, sample=True))
    alpha = _best_factor(planes)
    return float(np.mean([p.similarity(alpha).mean() for p in planes]))


def score(image: ArrayLike, reference: ArrayLike, noisy: ArrayLike) -> FidelityScore:
    """Score one result, in the noisy image's counts, by the protocol of this project's tables.

    The clean image, of any linear scale, is mapped onto the noisy one's (``affine_match``), the range is 255
    for 8-bit input and the mapped clean image's maximum otherwise (``data_range``).
    """
    raw = np.asarray(noisy)
    matched = affine_match(reference, raw)
    top = data_range(matched, raw.dtype)
    img = np.asarray(image, dtype=np.float64)
    mean = float(raw.mean(dtype=np.float64))
    bias = 100.0 * abs(float(img.mean()) - mean) / abs(mean) if mean else float("nan")
    return FidelityScore(psnr(img, matched, top), ssim(img, matched, top), bias)


def _pair(
    first: ArrayLike, second: ArrayLike, names: tuple[str, str] = ("image", "reference")
) -> tuple[Array, Array]:
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(
            f"{names[0]} and {names[1]} must have one shape, found {a.shape} and {b.shape}; crop first"
        )
    if a.size == 0:
        raise ValueError(f"{names[0]} must hold at least one pixel, found shape {a.shape}")
    return a, b


def _check_range(value: float) -> None:
    if not value > 0 or not np.isfinite(value):
        raise ValueError(f"data_range must be a number above 0 counts, found {value}; 255 for 8-bit images")


def _planes(a: Array, b: Array, metric: str) -> Iterator[tuple[Array, Array]]:
    if a.ndim < 2:
        raise ValueError(f"{metric} needs images with axes (..., Y, X), found shape {a.shape}")
    if min(a.shape[-2:]) < _WINDOW:
        raise MetricUnavailable(
            f"{metric} needs planes of at least {_WINDOW} x {_WINDOW} px, found {a.shape[-2:]}"
        )
    yield from zip(a.reshape(-1, *a.shape[-2:]), b.reshape(-1, *b.shape[-2:]), strict=True)


def _moments(x: Array, y: Array, span: float, *, sample: bool = False) -> _Moments:
    """Windowed moments of two planes without the frame the window does not fill."""

    def window(z: Array) -> Array:
        inner = slice(_RADIUS, -_RADIUS)
        return np.asarray(gaussian_filter(z, _SIGMA, truncate=_TRUNCATE, mode="reflect")[inner, inner])

    norm = _WINDOW**2 / (_WINDOW**2 - 1) if sample else 1.0
    ux, uy = window(x), window(y)
    vx, vy = norm * (window(x * x) - ux * ux), norm * (window(y * y) - uy * uy)
    return _Moments(ux, uy, vx, vy, norm * (window(x * y) - ux * uy), (_K1 * span) ** 2, (_K2 * span) ** 2)


def _best_factor(planes: list[_Moments]) -> float:
    """The alpha > 0 with the largest mean similarity: a coarse search on few pixels, then all of them."""
    step = max(1, sum(p.ux.size for p in planes) // _COARSE_PIXELS)
    few = [p.thinned(step) for p in planes]
    power = sum(float(np.vdot(p.uy, p.uy)) for p in few)
    guess = abs(sum(float(np.vdot(p.ux, p.uy)) for p in few)) / power if power > 0 else 1.0
    exponents = np.linspace(-2.0, 2.0, 41) + np.log10(guess if guess > 0 else 1.0)
    best = int(np.argmin([_loss(few)(e) for e in exponents]))
    low, high = exponents[max(best - 1, 0)], exponents[min(best + 1, len(exponents) - 1)]
    from scipy.optimize import minimize_scalar  # slow to import, and a dock opens with this module

    found = minimize_scalar(_loss(planes), bounds=(low, high), method="bounded", options={"xatol": 1e-5})
    return float(10.0**found.x)


def _loss(planes: list[_Moments]) -> Callable[[float], float]:
    weight = sum(p.ux.size for p in planes)
    return lambda exponent: -sum(float(p.similarity(10.0**exponent).sum()) for p in planes) / weight
