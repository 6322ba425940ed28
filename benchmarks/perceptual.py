"""All scores that an image of the ``rdp`` benchmark gets, and which of them this machine cannot compute."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from benchmarks.peers import Plane
from benchmarks.quality import backbones, judge
from napari_rdpdenoise.metrics import MetricUnavailable, affine_match, dists, lpips, microssim

_WHITE_PERCENTILE = 99.9  # as our LPIPS scales images
# Name in the tables and whether more is better, by name in the records
NAMES = {
    "psnr": ("PSNR dB", True),
    "ssim": ("SSIM", True),
    "microssim": ("MicroSSIM", True),
    "lpips": ("LPIPS-Alex", False),
    "lpips_squeeze": ("LPIPS-Squeeze", False),
    "st_lpips": ("ST-LPIPS", False),
    "dists": ("DISTS", False),
}


def judge_all(image: Plane, clean: Plane, noisy: Plane) -> dict[str, float]:
    """Every score that can be computed here."""
    row, reference = judge_fast(image, clean, noisy), affine_match(clean, noisy)
    for name, metric in _SLOW.items():
        with contextlib.suppress(MetricUnavailable):
            row[name] = metric(image, reference)
    return row


def judge_fast(image: Plane, clean: Plane, noisy: Plane) -> dict[str, float]:
    """Fidelity and LPIPS-Alex: the other perceptual scores cost ten times as much."""
    return judge(image, clean, noisy) | {"microssim": microssim(image, affine_match(clean, noisy))}


def unavailable() -> dict[str, str]:
    """Why a score cannot be computed on this machine, by its name in the records."""
    plane, found = np.full((64, 64), 100.0), {}
    for name, metric in {"lpips": lpips_alex, **_SLOW}.items():
        try:
            metric(plane, plane)
        except MetricUnavailable as error:
            found[name] = str(error).split(":")[0]  # what follows says where to put it on this machine
    return found


def lpips_alex(image: Plane, reference: Plane) -> float:
    """LPIPS over AlexNet."""
    return lpips(image, reference, folder=backbones())


def _lpips_squeeze(image: Plane, reference: Plane) -> float:
    return lpips(image, reference, net="squeeze", folder=backbones())


def _dists(image: Plane, reference: Plane) -> float:
    return dists(image, reference, folder=backbones())


def st_lpips(image: Plane, reference: Plane) -> float:
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


_SLOW: dict[str, Callable[[Plane, Plane], float]] = {
    "lpips_squeeze": _lpips_squeeze,
    "st_lpips": st_lpips,
    "dists": _dists,
}
