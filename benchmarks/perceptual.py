"""All scores that an image of the ``rdp`` benchmark gets, and which of them this machine cannot compute."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import Plane
from benchmarks.quality import backbones, judge
from napari_rdpdenoise import metrics
from napari_rdpdenoise.metrics import Metric, MetricUnavailable, affine_match, data_range, lpips, microssim

_WHITE_PERCENTILE = 99.9  # as our LPIPS scales images


def judge_all(image: Plane, clean: Plane, noisy: Plane) -> dict[str, float]:
    """Every score that can be computed here."""
    row, reference = judge_fast(image, clean, noisy), affine_match(clean, noisy)
    top = data_range(reference, noisy.dtype)
    for key in [key for key in METRICS if key not in row]:
        with contextlib.suppress(MetricUnavailable):
            row[key] = METRICS[key].measure(image, reference, top, backbones())
    return row


def judge_fast(image: Plane, clean: Plane, noisy: Plane) -> dict[str, float]:
    """Fidelity and LPIPS-Alex: the other perceptual scores cost ten times as much."""
    return judge(image, clean, noisy) | {"microssim": microssim(image, affine_match(clean, noisy))}


def unavailable() -> dict[str, str]:
    """Why a score cannot be computed on this machine, by its name in the records."""
    plane, found = np.full((64, 64), 100.0), {}
    for key in [key for key in METRICS if key not in ("psnr", "ssim", "microssim")]:  # flat planes have none
        try:
            METRICS[key].measure(plane, plane, 100.0, backbones())
        except MetricUnavailable as error:
            found[key] = str(error).split(":")[0]  # what follows says where to put it on this machine
    return found


def _lpips_squeeze(image: Plane, reference: Plane, top: float, folder: Path | None) -> float:
    return lpips(image, reference, net="squeeze", folder=folder)


def _st_lpips(image: Plane, reference: Plane, top: float, folder: Path | None) -> float:
    """Shift-tolerant LPIPS (Ghildyal and Liu, ECCV 2022) over AlexNet, images scaled as for our LPIPS.

    Raises:
        MetricUnavailable: if its package is not installed.
    """
    import torch

    network = _st_network()
    white = float(np.percentile(reference, _WHITE_PERCENTILE))

    def tensor(plane: Plane) -> torch.Tensor:
        unit = np.clip(plane.astype(np.float64) / white, 0, 1).astype(np.float32)
        return torch.from_numpy(2 * unit - 1).expand(1, 3, *plane.shape)

    with torch.inference_mode():
        return float(network(tensor(image), tensor(reference)))


@lru_cache(maxsize=1)
def _st_network() -> Any:
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # its imports and constructor print
            from stlpips_pytorch import stlpips

            return stlpips.LPIPS(net="alex", variant="shift_tolerant", verbose=False)
    except ImportError as error:
        raise MetricUnavailable(f"ST-LPIPS needs the extra 'bench': {error}") from error


METRICS = {
    metric.key: metric
    for metric in (
        *(replace(m, title="LPIPS-Alex") if m.key == "lpips" else m for m in metrics.METRICS),
        Metric("lpips_squeeze", "LPIPS-Squeeze", 3, _lpips_squeeze, higher_is_better=False),
        Metric("st_lpips", "ST-LPIPS", 3, _st_lpips, higher_is_better=False),
    )
}
"""Those of the package and two that only the benchmarks have, by key."""


def heading(key: str) -> str:
    """Title and unit of a metric for a table."""
    return f"{METRICS[key].title} {METRICS[key].unit}".rstrip()
