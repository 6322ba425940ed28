"""What light a model was trained on, and whether an image looks like that.

An image tells of its light through the noise estimate only: photo-electrons are ``p = (z - offset) / gain``.
The offset is the darkest level seen, because a zero level cannot be seen; light that lies under everything
therefore counts as read noise, and the read noise by itself cannot be checked. What can be checked:

* dim: the bright end of ``p`` after a light blur is below what was trained;
* lost: nothing stands out from the noise of the stabilised values, as far as less light than trained allows;
* bright: the stabilised values span more noise standard deviations than the brightest trained image's.

The margins were set on simulated exposures of the training images (see ``train/data/camera.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray
from pydantic import BaseModel, Field, model_validator

from napari_rdpdenoise.noise import NoiseModel, stabilize

# An electron-multiplying register halves the photo-electrons that the noise line shows, and light under
# everything takes its share of them.
_DIM = 1.5  # times below the trained light from which on the user is told
_LOST = 0.45  # share of the least trained contrast; with less above the noise nothing is seen
_WIDE = 1.25  # times above the trained range of stabilised values
_BLURS = (1.0, 2.0)  # px; spots need a narrow one, faint areas a wide one
_ENDS = (0.1, 99.9)  # percentiles that stand for the dark and the bright end, as in the normalisation
_NOISE_ENDS = 6.18  # standard deviations between these percentiles of a Gaussian
_LEAST = 1024  # px; fewer have no ends


class TrainedRange(BaseModel, frozen=True, extra="forbid"):
    """Light and noise of a model's training images."""

    photons: tuple[float, float] = Field(description="photo-electrons at the bright end, least and most")
    read_electrons: tuple[float, float] = Field(description="read noise, photo-electrons rms")

    @property
    def contrast(self) -> float:
        """Of the bright end above no light, noise standard deviations, in the noisiest trained image."""
        dark = self.read_electrons[1] ** 2 + 0.375
        return float(2 * (np.sqrt(self.photons[0] + dark) - np.sqrt(dark)))

    @model_validator(mode="after")
    def _ascending(self) -> TrainedRange:
        for name in ("photons", "read_electrons"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} must be two ascending numbers above 0, found {low} and {high}")
        return self


def outside(trained: TrainedRange, planes: Sequence[NDArray[Any]], noise: NoiseModel) -> str | None:
    """What to tell the user of an image whose light the model was not trained on; None if it was.

    ``planes`` are a 2-D sample of one channel, raw counts, where missing values may be NaN or masked.
    """
    values = [_filled(stabilize(plane, noise), plane) for plane in planes]
    if sum(t.count() for t in values) < _LEAST or not any(
        np.ptp(t.compressed()) for t in values if t.count()
    ):
        return None
    least, most = trained.photons
    advice = f"this model was trained on {least:g} to {most:g}: check the result against the input"
    span, widest = _span(values), 2 * np.sqrt(most)
    if span > _WIDE * widest:
        return (
            f"the values span {span:.0f} standard deviations of the estimated noise; this model was trained "
            f"on up to {widest:.0f} ({most:g} photo-electrons at the bright end): there is more light, or "
            "more noise than estimated (shared by neighbouring pixels); check the result against the input"
        )
    electrons = _bright_end(planes, noise)
    if electrons is not None and electrons < least / _DIM:
        return f"about {_rounded(electrons)} photo-electrons from the dark to the bright end; {advice}"
    if max(_span(values, blur) - _NOISE_ENDS * _kept(blur) for blur in _BLURS) < _LOST * trained.contrast:
        return f"nothing stands out from the noise: flat, or too few photo-electrons; {advice}"
    return None


def _span(values: Sequence[np.ma.MaskedArray[Any, Any]], blur: float = 0.0) -> float:
    """Between the ends, noise standard deviations."""
    low, high = np.percentile(np.concatenate([_blurred(t, blur) for t in values]), _ENDS)
    return float(high - low)


def _bright_end(planes: Sequence[NDArray[Any]], noise: NoiseModel) -> float | None:
    """Photo-electrons above the darkest level; None where the noise does not tell."""
    if noise.gain == 0:
        return None
    filled = [_filled(np.asarray(plane, np.float32), plane) for plane in planes]
    end = np.percentile(np.concatenate([_blurred(z, _BLURS[0]) for z in filled]), _ENDS[1])
    return float((end - noise.offset) / noise.gain)


def _filled(values: NDArray[np.float32], plane: NDArray[Any]) -> np.ma.MaskedArray[Any, Any]:
    """Values of a plane, masked where it is, with their median in the place of what is not finite."""
    mask, finite = np.ma.getmaskarray(plane), np.isfinite(values)
    if not finite.all():
        level = np.median(values[finite]) if finite.any() else 0
        values = np.where(finite, values, level).astype(np.float32)
    return np.ma.masked_array(values, mask)


def _blurred(values: np.ma.MaskedArray[Any, Any], blur: float) -> NDArray[np.float32]:
    """Values that are not masked, 1-D, after a Gaussian blur of all of them."""
    whole = np.asarray(values)
    if blur:
        whole = scipy.ndimage.gaussian_filter(whole, blur)
    return np.asarray(whole[~np.ma.getmaskarray(values)])


@cache
def _kept(blur: float) -> float:
    """Standard deviation that a Gaussian blur leaves of white noise with 1."""
    impulse = np.zeros(33)
    impulse[16] = 1.0
    return float(np.square(scipy.ndimage.gaussian_filter1d(impulse, blur)).sum())


def _rounded(number: float) -> str:
    """One digit of small numbers and two of large ones: an estimate is not known better."""
    return f"{float(f'{number:.{1 if number < 10 else 2}g}'):g}"
