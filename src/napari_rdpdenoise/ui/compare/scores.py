"""Images against a clean one, metric by metric: a number, or the reason why there is none. No Qt here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "METRICS",
    "REASONS",
    "UNAVAILABLE",
    "Readout",
    "compare",
    "find_lpips",
    "find_psnr",
    "mean_of",
    "on_scale",
]

UNAVAILABLE = "unavailable"
# bytes per pixel that the networks' features take while they run; measured: 135 and 1420
_LPIPS_BYTES, _DISTS_BYTES = 150, 1600
# what a metric says when it cannot be had: no weights (RuntimeError), no package, no structure, no memory
REASONS = (RuntimeError, ImportError, ValueError, OSError, MemoryError)


@dataclass(frozen=True)
class Readout:
    """One number with its words.

    Attributes:
        name: what is measured, such as "PSNR, dB".
        value: the number; None where there is none.
        text: the number, or what it means, for a table; "unavailable" where there is none.
        why: the reason where there is none.
        of: which image it is about: "noisy", "fidelity", "realism" or "result"; empty for a check.
        fine: whether a check stands; None for what is no check.
    """

    name: str
    value: float | None
    text: str
    why: str = ""
    of: str = ""
    fine: bool | None = None


@dataclass(frozen=True)
class _Metric:
    name: str
    form: str
    ask: Callable[[NDArray[Any], NDArray[Any], float, Path | None], float]


def find_psnr(image: NDArray[Any], clean: NDArray[Any], top: float, folder: Path | None) -> float:
    """PSNR in dB of an image against the clean one on its scale, within range ``top``, counts."""
    from napari_rdpdenoise.metrics import psnr

    return psnr(image, clean, top)


def _ssim(image: NDArray[Any], clean: NDArray[Any], top: float, folder: Path | None) -> float:
    from napari_rdpdenoise.metrics import ssim

    return ssim(image, clean, top)


def _microssim(image: NDArray[Any], clean: NDArray[Any], top: float, folder: Path | None) -> float:
    from napari_rdpdenoise.metrics import microssim

    return microssim(image, clean)


def find_lpips(image: NDArray[Any], clean: NDArray[Any], top: float, folder: Path | None) -> float:
    """LPIPS (AlexNet) of an image against the clean one on its scale; 0 for equal images.

    Raises:
        MetricUnavailable: the network's weights are not here, or the image is too small or too dark.
        MemoryError: less is free than it takes.
    """
    from napari_rdpdenoise.metrics import lpips

    _check_memory(image.size, _LPIPS_BYTES)
    return lpips(image, clean, folder=folder)


def _dists(image: NDArray[Any], clean: NDArray[Any], top: float, folder: Path | None) -> float:
    from napari_rdpdenoise.metrics import dists

    _check_memory(image.size, _DISTS_BYTES)
    return dists(image, clean, folder=folder)


_PSNR, _LPIPS = _Metric("PSNR, dB", ".2f", find_psnr), _Metric("LPIPS", ".3f", find_lpips)
_ALL = (
    _PSNR,
    _Metric("SSIM", ".3f", _ssim),
    _Metric("MicroSSIM", ".3f", _microssim),
    _LPIPS,
    _Metric("DISTS", ".3f", _dists),
)
METRICS = tuple(metric.name for metric in _ALL)


def compare(
    images: Mapping[str, NDArray[Any]], reference: NDArray[Any], noisy: NDArray[Any], folder: Path | None
) -> Iterator[Readout]:
    """Every metric of every image, quick metrics first.

    Args:
        images: what is judged, by the name that `Readout.of` takes, counts, all of one shape (height, width).
        reference: clean, same shape, any linear scale.
        noisy: in its own dtype, same shape; the reference is put on its scale.
        folder: where the networks lie; None looks in the usual places.

    Raises:
        ValueError: if an image holds values that are not numbers.
    """
    clean, top = on_scale(images, reference, noisy)
    for metric in _ALL:
        yield from _row(metric, images, clean, top, folder)


def on_scale(
    images: Mapping[str, NDArray[Any]], reference: NDArray[Any], noisy: NDArray[Any]
) -> tuple[NDArray[Any], float]:
    """The clean image on the noisy one's scale, and the range, both in counts; arguments as `compare`."""
    from napari_rdpdenoise.metrics import affine_match, data_range

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
    metric: _Metric,
    images: Mapping[str, NDArray[Any]],
    clean: NDArray[Any],
    top: float,
    folder: Path | None,
) -> Iterator[Readout]:
    found: dict[int, float] = {}
    why = ""
    for of, image in images.items():
        if not why and id(image) not in found:
            try:
                found[id(image)] = metric.ask(image, clean, top, folder)
            except REASONS as error:
                why = str(error) or type(error).__name__
        value = found.get(id(image))
        if value is None:
            yield Readout(metric.name, None, UNAVAILABLE, why, of)
        else:
            yield Readout(metric.name, value, _text(value, metric.form), of=of)


def _text(value: float, form: str) -> str:
    return "equal" if math.isinf(value) else format(value, form)


def mean_of(column: Sequence[Readout]) -> Readout:
    """The mean of one metric over planes; "unavailable" where one of them has none."""
    values = [readout.value for readout in column if readout.value is not None]
    first, missing = column[0], len(column) - len(values)
    if missing:
        reason = next(readout.why for readout in column if readout.value is None)
        why = f"{missing} of {len(column)} planes have none: {reason}"
        return Readout(first.name, None, UNAVAILABLE, why, first.of)
    mean = float(np.mean(values))
    form = next(metric.form for metric in _ALL if metric.name == first.name)
    return Readout(first.name, mean, _text(mean, form), of=first.of)


def _check_memory(pixels: int, each: int) -> None:
    """Refuse a network that would fill the memory.

    Raises:
        MemoryError: if less is free than it takes.
    """
    import psutil

    free, need = psutil.virtual_memory().available, pixels * each
    if need > free:
        edge = math.isqrt(int(free / each))
        raise MemoryError(
            f"it takes about {need / 1024**3:.1f} GiB of memory, and {free / 1024**3:.1f} GiB are free: "
            f"choose a region of at most {edge} x {edge} px"
        )
