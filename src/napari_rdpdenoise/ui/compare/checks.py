"""What was removed, what was added, and whether to believe it: images, numbers and words for the dock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_rdpdenoise.metrics import ResidualReport
    from napari_rdpdenoise.noise import NoiseModel

__all__ = ["Check", "Verdict", "judge", "realism_gap", "residual", "texture_share"]


@dataclass(frozen=True)
class Check:
    """One residual check.

    Attributes:
        name: what is checked.
        value: the number, in the unit that ``text`` names; NaN where it could not be found.
        text: number and meaning in words.
        fine: whether nothing stands out.
    """

    name: str
    value: float
    text: str
    fine: bool


@dataclass(frozen=True)
class Verdict:
    """All residual checks of a tile or plane, and the report they come from."""

    report: ResidualReport
    checks: tuple[Check, ...]

    @property
    def fine(self) -> bool:
        """Whether nothing stands out in any check."""
        return all(check.fine for check in self.checks)


def residual(noisy: NDArray[Any], result: NDArray[Any]) -> NDArray[np.float32]:
    """What was removed: noisy - result, float32 raw counts.

    Raises:
        ValueError: if the shapes differ.
    """
    _same_shape(noisy=noisy, result=result)
    # float64 first: unsigned counts would wrap around, and 32-bit ones lose their last digits
    return np.subtract(noisy, result, dtype=np.float64).astype(np.float32)


def realism_gap(fidelity: NDArray[np.float32], realism: NDArray[np.float32]) -> NDArray[np.float32]:
    """Where the two decodes differ, realism - fidelity: texture that the data do not determine, raw counts.

    Raises:
        ValueError: if the shapes differ.
    """
    _same_shape(fidelity=fidelity, realism=realism)
    return np.subtract(realism, fidelity, dtype=np.float32)


def texture_share(
    fidelity: NDArray[np.float32], realism: NDArray[np.float32], noise: NoiseModel, amount: float = 1.0
) -> float:
    """Strength of the added texture: rms of the realism gap over the noise's, 0 where nothing is added.

    Args:
        fidelity: decode of lowest error, raw counts.
        realism: decode of most natural texture, same shape.
        noise: of the channel.
        amount: position of the realism slider, 0 to 1.

    Returns:
        A ratio; NaN for no finite pixel.
    """
    gap = realism_gap(fidelity, realism).astype(np.float64) / np.sqrt(noise.variance(fidelity))
    finite = np.isfinite(gap)
    return amount * float(np.sqrt(np.mean(np.square(gap[finite])))) if finite.any() else float("nan")


def judge(
    noisy: NDArray[Any],
    result: NDArray[Any],
    noise: NoiseModel,
    done: NDArray[np.bool_] | None = None,
) -> Verdict:
    """Check the residual of a tile or plane without any clean image.

    Args:
        noisy: raw counts in the camera's own dtype, (height, width).
        result: raw counts, same shape.
        noise: of the channel.
        done: where ``result`` is the result, same shape; None for everywhere.

    Raises:
        ValueError: if the shapes differ or there is no pixel.
    """
    from napari_rdpdenoise.metrics.trust import check_residual

    _same_shape(noisy=noisy, result=result)
    if done is not None:
        _same_shape(noisy=noisy, done=done)
        result = np.where(done, result, np.nan)  # the report leaves out what is not a number
    report = check_residual(noisy, result, noise)
    return Verdict(report, (_removed(report), _white(report), _structure(report), _mean(report)))


def _removed(report: ResidualReport) -> Check:
    from napari_rdpdenoise.metrics.trust import RATIO_OFF

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
    from napari_rdpdenoise.metrics.trust import CORRELATED

    lag = max(report.lag_y, report.lag_x, key=abs)
    fine = abs(lag) <= CORRELATED
    where = f"rows {report.lag_y:+.2f}, columns {report.lag_x:+.2f}"
    meaning = (
        "what was removed is white, as noise is"
        if fine
        else "what was removed is smooth: structure went with it, or the noise itself is not white"
    )
    return Check("whiteness", lag, f"Correlation of neighbours {where}: {meaning}.", fine)


def _structure(report: ResidualReport) -> Check:
    from napari_rdpdenoise.metrics.trust import CORRELATED

    value = report.signal_correlation
    fine = abs(value) <= CORRELATED
    meaning = "does not follow the image" if fine else "follows the image: contrast was changed"
    return Check(
        "structure", value, f"Correlation with the result {value:+.2f}: the residual {meaning}.", fine
    )


def _mean(report: ResidualReport) -> Check:
    from napari_rdpdenoise.metrics.trust import MEAN_OFF

    bias = report.mean_bias_pct
    if not np.isfinite(bias):
        return Check("mean", bias, "The mean is 0: its change has no percentage.", True)
    fine = abs(bias) <= MEAN_OFF
    text = f"The mean intensity changed by {bias:+.2f} %" + (": it is kept." if fine else ": too much.")
    return Check("mean", bias, text, fine)


def _same_shape(**images: NDArray[Any]) -> None:
    (first, a), (second, b) = images.items()
    if a.shape != b.shape:
        raise ValueError(
            f"{second}: expected the shape of {first}, {a.shape}, found {b.shape}; "
            "pass the same plane or tile of both"
        )
