"""The demo's picture: noisy, denoised and truth side by side, one row per channel, equal contrast."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from napari_rdpdenoise.files import atomic

if TYPE_CHECKING:
    from napari_rdpdenoise.samples import SimulatedSample

_GAP = 6  # px between panels
_BAND = 30  # px above each row for its labels
_FONT = 18  # px
_CROP = 448  # px of each panel's edge at most
_BACKGROUND, _INK = 24, 235


def side_by_side(path: Path, sample: SimulatedSample, denoised: np.ndarray) -> None:
    """Write the picture of the middle time point as PNG, which appears whole; both are counts, TCYX."""
    t = sample.noisy.shape[0] // 2
    rows = []
    for c, channel in enumerate(sample.channel_names):
        views = {"noisy": sample.noisy[t, c], "denoised": denoised[t, c], "truth": sample.clean[t, c]}
        limits = contrast_limits(sample.clean[t, c])
        rows.append(_row(channel, views, limits))
    picture = np.concatenate(rows)
    with atomic(path) as fresh:
        Image.fromarray(picture).save(fresh, format="png")


def contrast_limits(truth: np.ndarray) -> tuple[float, float]:
    """Black and white in counts: nearly the truth's whole range, so that noise does not set the scale."""
    low, high = (float(v) for v in np.percentile(truth, [0.5, 99.9]))
    return low, max(high, low + 1e-6)


def to_grey(plane: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Counts to uint8 between the limits, slightly brightened in the dark (gamma 0.8)."""
    low, high = limits
    unit = np.clip((plane.astype(np.float32) - low) / (high - low), 0, 1)
    return np.asarray(np.rint(255 * unit**0.8), dtype=np.uint8)


def _row(channel: str, views: dict[str, np.ndarray], limits: tuple[float, float]) -> np.ndarray:
    panels = []
    for number, (name, plane) in enumerate(views.items()):
        height, width = (min(n, _CROP) for n in plane.shape)
        y, x = (plane.shape[0] - height) // 2, (plane.shape[1] - width) // 2
        grey = to_grey(plane[y : y + height, x : x + width], limits)
        panel = np.pad(grey, ((_BAND, _GAP), (_GAP, _GAP)), constant_values=_BACKGROUND)
        panels.append(_label(panel, f"{name}: {channel}" if number == 0 else name))
    return np.concatenate(panels, axis=1)


def _label(panel: np.ndarray, text: str) -> np.ndarray:
    image = Image.fromarray(panel)
    draw = ImageDraw.Draw(image)
    draw.text((_GAP + 2, _BAND // 2), text, fill=_INK, font=ImageFont.load_default(_FONT), anchor="lm")
    return np.asarray(image)
