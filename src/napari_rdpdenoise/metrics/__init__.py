"""How good a result is: against a clean image (fidelity, perceptual) and without one (trust)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_rdpdenoise.metrics.errors import MetricUnavailable
from napari_rdpdenoise.metrics.fidelity import (
    FidelityScore,
    affine_match,
    data_range,
    microssim,
    noise_distance,
    psnr,
    score,
    ssim,
)
from napari_rdpdenoise.metrics.table import METRICS, Metric
from napari_rdpdenoise.metrics.trust import ResidualReport, check_residual, texture_share
from napari_rdpdenoise.metrics.words import Check, Verdict, judge_residual

if TYPE_CHECKING:
    from napari_rdpdenoise.metrics.perceptual import dists, load_dists, load_lpips, lpips

__all__ = [
    "METRICS",
    "Check",
    "FidelityScore",
    "Metric",
    "MetricUnavailable",
    "ResidualReport",
    "Verdict",
    "affine_match",
    "check_residual",
    "data_range",
    "dists",
    "judge_residual",
    "load_dists",
    "load_lpips",
    "lpips",
    "microssim",
    "noise_distance",
    "psnr",
    "score",
    "ssim",
    "texture_share",
]

_NEED_TORCH = {"dists", "load_dists", "load_lpips", "lpips"}


def __getattr__(name: str) -> Any:
    if name in _NEED_TORCH:
        return getattr(import_module("napari_rdpdenoise.metrics.perceptual"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
