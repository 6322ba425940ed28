"""Images against a clean one, metric by metric: a number, or the reason why there is none. No Qt here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.metrics.fidelity import affine_match, data_range
from napari_rdpdenoise.metrics.table import METRICS, REASONS, Metric

__all__ = ["UNAVAILABLE", "Readout", "compare", "mean_of", "on_scale"]

UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class Readout:
    """One number with its words.

    Attributes:
        name: Name of what is measured, such as "PSNR, dB".
        value: Number; None where there is none.
        text: Number, or what it means, for a table; "unavailable" where there is none.
        why: Reason where there is none.
        of: Image it is about: "noisy", "fidelity", "realism" or "result"; empty for none.
    """

    name: str
    value: float | None
    text: str
    why: str = ""
    of: str = ""


def compare(
    images: Mapping[str, NDArray[Any]], reference: NDArray[Any], noisy: NDArray[Any], folder: Path | None
) -> Iterator[Readout]:
    """Every metric of every image, quick metrics first.

    Args:
        images: Images that are judged, by the name that `Readout.of` takes, counts, all of one shape
            (height, width).
        reference: Clean image, same shape, any linear scale.
        noisy: Noisy image in its own dtype, same shape; the reference is put on its scale.
        folder: Folder of the networks; None looks in the usual places.

    Raises:
        ValueError: If an image holds values that are not numbers.
    """
    clean, top = on_scale(images, reference, noisy)
    for metric in METRICS:
        yield from _row(metric, images, clean, top, folder)


def on_scale(
    images: Mapping[str, NDArray[Any]], reference: NDArray[Any], noisy: NDArray[Any]
) -> tuple[NDArray[Any], float]:
    """The clean image on the noisy one's scale, and the range, both in counts; arguments as `compare`."""
    for name, image in {"reference": reference, "noisy": noisy, **images}.items():
        wrong = int(image.size - np.isfinite(image).sum())
        if wrong:
            raise ValueError(
                f"{name}: expected numbers throughout, found {wrong} pixels without one in what is measured; "
                "choose a region without them"
            )
    clean = affine_match(reference, noisy)
    return clean, data_range(clean, noisy.dtype)


def _row(
    metric: Metric, images: Mapping[str, NDArray[Any]], clean: NDArray[Any], top: float, folder: Path | None
) -> Iterator[Readout]:
    found: dict[int, float] = {}
    why = ""
    for of, image in images.items():
        if not why and id(image) not in found:
            try:
                found[id(image)] = metric.measure(image, clean, top, folder)
            except REASONS as error:
                why = str(error) or type(error).__name__
        value = found.get(id(image))
        if value is None:
            yield Readout(metric.name, None, UNAVAILABLE, why, of)
        else:
            yield Readout(metric.name, value, metric.text(value), of=of)


def mean_of(column: Sequence[Readout]) -> Readout:
    """The mean of one metric over planes; "unavailable" where one of them has none."""
    values = [readout.value for readout in column if readout.value is not None]
    first, missing = column[0], len(column) - len(values)
    if missing:
        reason = next(readout.why for readout in column if readout.value is None)
        why = f"{missing} of {len(column)} planes have none: {reason}"
        return Readout(first.name, None, UNAVAILABLE, why, first.of)
    mean = float(np.mean(values))
    metric = next(metric for metric in METRICS if metric.name == first.name)
    return Readout(first.name, mean, metric.text(mean), of=first.of)
