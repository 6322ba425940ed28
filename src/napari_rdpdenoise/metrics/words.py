"""Residual checks in words: what was removed, and whether to believe it. No clean image is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.metrics.trust import ResidualReport, check_residual
from napari_rdpdenoise.noise import NoiseModel, estimate_noise
from napari_rdpdenoise.noise.invalid import screen
from napari_rdpdenoise.noise.invalid_sample import rule_of_values, screen_sample, with_limits

RATIO_OFF = 0.10  # of the noise variance; a good denoiser's own error is some percent of it
CORRELATED = 0.05
MEAN_OFF = 0.5  # percent, the promise of this package
_CHANCE = 3.0  # standard errors that say nothing: of few pixels, or of a mean near 0


@dataclass(frozen=True)
class Check:
    """One residual check.

    Attributes:
        name: Name of what is checked.
        value: Number, in the unit that ``text`` names; NaN where it could not be found.
        text: Number and meaning in words.
        fine: Whether nothing stands out.
    """

    name: str
    value: float
    text: str
    fine: bool


@dataclass(frozen=True)
class Verdict:
    """All residual checks of an image, and the report they come from."""

    report: ResidualReport
    checks: tuple[Check, ...]

    @property
    def fine(self) -> bool:
        """Whether nothing stands out in any check."""
        return all(check.fine for check in self.checks)


def judge_residual(
    noisy: NDArray[Any],
    result: NDArray[Any],
    noise: NoiseModel | Sequence[NoiseModel] | None = None,
    done: NDArray[np.bool_] | None = None,
) -> Verdict:
    """Check what was removed from an image or stack, without any clean one.

    Both are raw counts of one channel (..., Y, X), the noisy one in the camera's own dtype, whose noise is
    measured where it is not given; it is one model, or one for each plane, the last leading axis fastest.
    ``done``, of the same shape, is where ``result`` is the result; None for
    everywhere.

    Raises:
        ValueError: If the shapes differ, there is no pixel, or there are not as many models as planes.
    """
    _same_shape("result", result, noisy)
    if done is not None:
        _same_shape("done", done, noisy)
        result = np.where(done, result, np.nan)  # the report leaves out what is not a number
    if noisy.ndim < 2 or noisy.size == 0:
        raise ValueError(f"noisy must be an image with axes (..., Y, X), found shape {noisy.shape}")
    noise, invalid = _screened(noisy, noise)
    report = check_residual(noisy, result, noise, invalid)
    return Verdict(report, (_removed(report), _white(report), _structure(report), _mean(report)))


def _screened(
    noisy: NDArray[Any], noise: NoiseModel | Sequence[NoiseModel] | None
) -> tuple[NoiseModel | Sequence[NoiseModel], NDArray[np.bool_]]:
    """Noise of an image or stack, measured where it is not given, and what of it is not image."""
    planes = list(noisy.reshape(-1, *noisy.shape[-2:]))
    if noise is None:
        rule, found = screen_sample(planes)
        noise = rule.noise or estimate_noise(planes)
    else:
        each = [noise] * len(planes) if isinstance(noise, NoiseModel) else noise
        if len(each) != len(planes):
            raise ValueError(f"noise: expected a model for each of {len(planes)} planes, found {len(each)}")
        rule = rule_of_values(planes)
        struck = [screen(plane, rule).filled for plane in planes]
        rule = with_limits(rule, struck, each)
        rules = [replace(rule, noise=own) for own in each]
        found = [screen(plane, own) for plane, own in zip(planes, rules, strict=True)]
    return noise, np.array([np.ma.getmaskarray(part.masked) for part in found]).reshape(noisy.shape)


def _removed(report: ResidualReport) -> Check:
    ratio = report.noise_ratio
    if not np.isfinite(ratio):
        return Check("noise removed", ratio, "No usable pixel: nothing to compare with the noise.", False)
    meaning = "as expected"
    if ratio > 1 + RATIO_OFF:
        meaning = (
            "more than the noise: structure may be gone with it, or the noise is stronger than estimated"
        )
    if ratio < 1 - RATIO_OFF:
        meaning = "less than the noise: the rest is still in the image, or the noise is weaker than estimated"
    fine = abs(ratio - 1) <= RATIO_OFF
    return Check("noise removed", ratio, f"{ratio:.2f} of the expected noise was removed: {meaning}.", fine)


def _white(report: ResidualReport) -> Check:
    lag = max(report.lag_y, report.lag_x, key=abs)
    fine = abs(lag) <= _allowed(report)
    where = f"{report.lag_y:+z.2f} down and {report.lag_x:+z.2f} across"
    meaning = "what was removed is independent from pixel to pixel, as noise is"
    if not fine:
        meaning = (
            "what was removed is smooth: structure went with it, or the noise itself is smooth"
            if lag > 0
            else "what was removed is finer than the noise, whose coarse part is still in the image"
        )
    return Check("whiteness", lag, f"Correlation of neighbouring pixels {where}: {meaning}.", fine)


def _structure(report: ResidualReport) -> Check:
    value = report.signal_correlation
    fine = abs(value) <= _allowed(report)
    meaning = "does not follow the image" if fine else "follows the image: contrast was changed"
    text = f"Correlation with the result {value:+z.2f}: what was removed {meaning}."
    return Check("structure", value, text, fine)


def _mean(report: ResidualReport) -> Check:
    bias = report.mean_bias_pct
    if not np.isfinite(bias):
        return Check("mean", bias, "The mean is 0: its change has no percentage.", True)
    meaning = "it is kept"
    if abs(bias) > MEAN_OFF:
        chance = abs(bias) <= _CHANCE * report.mean_chance_pct
        meaning = "no more than chance, as the mean is near 0" if chance else "too much"
    text = f"The mean intensity changed by {bias:+z.2f} %: {meaning}."
    return Check("mean", bias, text, meaning != "too much")


def _allowed(report: ResidualReport) -> float:
    """Size of a correlation that says nothing: a small one, or, of few pixels, one that chance gives."""
    return max(CORRELATED, _CHANCE / max(report.pixels, 1) ** 0.5)


def _same_shape(name: str, image: NDArray[Any], noisy: NDArray[Any]) -> None:
    if image.shape != noisy.shape:
        raise ValueError(
            f"{name}: expected the shape of noisy, {noisy.shape}, found {image.shape}; "
            "pass the same plane or tile of both"
        )
