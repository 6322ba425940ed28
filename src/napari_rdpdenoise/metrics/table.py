"""The metrics that compare a result with a clean image: one table, read by dock, command line and benchmarks.

A new metric is a function and its entry in `METRICS`. What can be said without a clean image is in `words`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_rdpdenoise.metrics.fidelity import microssim, psnr, ssim

REASONS = (RuntimeError, ImportError, ValueError, OSError, MemoryError)
"""What a metric raises where it cannot be had: no network, no package, no structure, no memory."""

Function = Callable[[NDArray[Any], NDArray[Any], float, Path | None], float]


@dataclass(frozen=True)
class Metric:
    """One way to say how near an image is to a clean one.

    Attributes:
        key: Name in records.
        title: Name for a reader.
        digits: Digits after the point that mean something.
        function: Function of the image and the clean one on its scale, both counts (..., Y, X), the range of
            values in counts, and the folder of the networks or None for the usual places.
        unit: Unit of the number; empty for none.
        higher_is_better: Whether a larger number is nearer.
        network: Name in `backbones.BACKBONES` of the published network that it needs; empty for none.
        pixel_bytes: Memory that the network takes while it runs, bytes per pixel of a plane; measured.
    """

    key: str
    title: str
    digits: int
    function: Function
    unit: str = ""
    higher_is_better: bool = True
    network: str = ""
    pixel_bytes: int = 0

    @property
    def name(self) -> str:
        """Title and unit, "PSNR, dB"."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    def measure(self, image: NDArray[Any], clean: NDArray[Any], top: float, folder: Path | None) -> float:
        """The number; arguments as `function` takes them.

        Raises:
            MetricUnavailable: If the network is not here, or the image is too small or too dark.
            MemoryError: If less memory is free than the network takes.
            ValueError: If the images do not fit each other.
        """
        if self.pixel_bytes:
            _check_memory(math.prod(image.shape[-2:]), self.pixel_bytes)
        return self.function(image, clean, top, folder)

    def text(self, value: float) -> str:
        """A number of this metric for a table."""
        return "equal" if math.isinf(value) else f"{value:.{self.digits}f}"


def _lpips(image: NDArray[Any], clean: NDArray[Any], top: float, folder: Path | None) -> float:
    from napari_rdpdenoise.metrics.perceptual import lpips

    return lpips(image, clean, folder=folder)


def _dists(image: NDArray[Any], clean: NDArray[Any], top: float, folder: Path | None) -> float:
    from napari_rdpdenoise.metrics.perceptual import dists

    return dists(image, clean, folder=folder)


PSNR = Metric("psnr", "PSNR", 2, lambda image, clean, top, _: psnr(image, clean, top), unit="dB")
# measured: 135 and 1420 bytes per pixel
LPIPS = Metric("lpips", "LPIPS", 3, _lpips, higher_is_better=False, network="alexnet", pixel_bytes=150)
METRICS = (
    PSNR,
    Metric("ssim", "SSIM", 3, lambda image, clean, top, _: ssim(image, clean, top)),
    Metric("microssim", "MicroSSIM", 3, lambda image, clean, _, __: microssim(image, clean)),
    LPIPS,
    Metric("dists", "DISTS", 3, _dists, higher_is_better=False, network="vgg16", pixel_bytes=1600),
)
"""All of them, quick ones first."""


def _check_memory(pixels: int, each: int) -> None:
    """Refuse a network that would fill the memory."""
    import psutil

    free, need = psutil.virtual_memory().available, pixels * each
    if need > free:
        edge = math.isqrt(int(free / each))
        raise MemoryError(
            f"it takes about {need / 1024**3:.1f} GiB of memory, and {free / 1024**3:.1f} GiB are free: "
            f"choose a region of at most {edge} x {edge} px"
        )
