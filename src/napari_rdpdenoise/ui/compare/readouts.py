"""Numbers for the dock: how near a result is to a reference, and what can be said without one. No Qt here.

Everything is a generator, quick things first: whoever runs it in a thread shows what there is and may stop
between two numbers. The protocol is that of `metrics.score`: the clean image is put on the noisy one's scale
by the least-squares line, and the range is 255 for 8-bit images, else the clean image's maximum; both are
taken from the very pixels that are measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.codec.decoded import blend
from napari_rdpdenoise.metrics.table import LPIPS, PSNR, REASONS
from napari_rdpdenoise.metrics.trust import texture_share
from napari_rdpdenoise.nn.decoder_names import REALISM, lacks
from napari_rdpdenoise.ui.compare.scores import UNAVAILABLE, Readout, compare, mean_of, on_scale
from napari_rdpdenoise.ui.layers.stacks import Box, SeriesPlane, Stack, overlap
from napari_rdpdenoise.ui.preview.shown import Shown, shifted

__all__ = [
    "PathPoint",
    "RealismPath",
    "SeriesRow",
    "measure",
    "measure_series",
    "measure_shown",
    "measured_box",
    "path",
]


_ALIKE = 0.5  # correlation of a result and a clean image of the same field, at least


@dataclass(frozen=True)
class SeriesRow:
    """All metrics of one plane of a series; ``index`` is None for the mean over the planes."""

    index: tuple[int, ...] | None
    readouts: tuple[Readout, ...]


@dataclass(frozen=True)
class PathPoint:
    """One position of the realism slider, 0 to 1, and where it lies in the plot."""

    alpha: float
    x: float
    y: float


@dataclass(frozen=True)
class RealismPath:
    """What the realism slider trades.

    Attributes:
        points: Points in ascending order of realism; empty where there is nothing to trade.
        x_name: Name of what lies on x, with its unit.
        y_name: Name of what lies on y, with its unit.
        note: What the user should know; empty for nothing.
    """

    points: tuple[PathPoint, ...]
    x_name: str
    y_name: str
    note: str = ""


def measured_box(shown: Shown, region: Box | None = None) -> Box | None:
    """Rows and columns of the arrays that are measured: done throughout, within the region; None for nothing.

    The region is in pixels of the whole plane at full resolution.
    """
    if region is not None and shown.reduction > 1:
        rows, columns = (
            slice(int(part.start / shown.reduction), math.ceil(part.stop / shown.reduction))
            for part in region
        )
        region = rows, columns
    if region is not None and shown.frame is not None:
        inside = overlap(region, shown.frame)
        if inside is None:
            return None
        region = shifted(inside, shown.frame)
    return shown.box if region is None else overlap(shown.box, region)


def measure(
    shown: Shown, reference: NDArray[Any], *, folder: Path | None, region: Box | None = None
) -> Iterator[Readout]:
    """Measure the plane that is shown, one number after another, quick ones first.

    Args:
        shown: Plane that is shown.
        reference: Clean plane, (height, width), any linear scale.
        folder: Folder of the networks of LPIPS and DISTS; None looks in the usual places.
        region: Rows and columns to keep to, px; None for all that is done.

    Yields:
        Every metric of the noisy image, the fidelity and realism decodes and the result.

    Raises:
        ValueError: If the reference has another shape, or what is measured holds values that are not numbers.
    """
    box = measured_box(shown, region)
    if reference.shape != shown.noisy.shape:
        raise ValueError(
            f"reference: expected a plane of the shape of the noisy one, {shown.noisy.shape}, found "
            f"{reference.shape}; crop it or choose another layer"
        )
    if box is None:
        where = "here" if region is None else "in the region"
        yield Readout("preview", None, UNAVAILABLE, f"Nothing is denoised {where} yet: wait for the preview.")
    else:
        yield from compare(_images(shown, box), reference[box], shown.noisy[box], folder)


def measure_series(
    planes: Iterable[SeriesPlane | tuple[Any, ...]], *, folder: Path | None, region: Box | None = None
) -> Iterator[SeriesRow]:
    """Measure the result of plane after plane, then the mean.

    Args:
        planes: Index, result and reference, and the noisy plane where there is one (`SeriesPlane`).
        folder: Folder of the networks of LPIPS and DISTS; None looks in the usual places.
        region: Rows and columns to keep to, px; None for whole planes.

    Yields:
        A row per plane; last the mean over the planes, where a metric that misses a plane has none.

    Raises:
        ValueError: If there is no plane, shapes differ, or a plane holds values that are not numbers.
    """
    rows: list[SeriesRow] = []
    for given in planes:
        plane = SeriesPlane(*given)
        part = region or (slice(None), slice(None))
        noisy = plane.result if plane.noisy is None else plane.noisy
        if plane.reference.shape != plane.result.shape:
            raise ValueError(
                f"reference: expected the shape of the result, {plane.result.shape}, found "
                f"{plane.reference.shape} at plane {plane.where}; choose another layer"
            )
        images = {"result": np.asarray(plane.result[part])}
        found = tuple(compare(images, plane.reference[part], noisy[part], folder))
        rows.append(SeriesRow(plane.where, found))
        yield rows[-1]
    if not rows:
        raise ValueError(
            "planes: expected at least one plane of the result that is done, found none; "
            "wait for the preview, or run the stack"
        )
    yield SeriesRow(None, tuple(mean_of(column) for column in zip(*(r.readouts for r in rows), strict=True)))


def path(
    shown: Shown,
    reference: NDArray[Any] | None,
    folder: Path | None,
    steps: int = 5,
    region: Box | None = None,
) -> Iterator[RealismPath]:
    """Distortion against perception along the realism slider, growing by one point at a time.

    With a reference: PSNR on y, and LPIPS on x, or the strength of the added texture where LPIPS cannot be
    had. Without one: the distance from the fidelity decode, in noise standard deviations, over the slider.
    Takes what `measure` takes, and the number of points from 0 to 1, at least 2.

    Raises:
        ValueError: As `measure`, or for fewer than 2 steps.
    """
    if steps < 2:
        raise ValueError(f"steps: expected at least 2 points from 0 to 1, found {steps}")
    box = measured_box(shown, region)
    if shown.realism is None:
        yield RealismPath((), "", "", f"{lacks(REALISM).capitalize()}: the slider trades nothing.")
    elif box is None:
        yield RealismPath((), "", "", "Nothing is denoised here yet.")
    else:
        alphas = [float(alpha) for alpha in np.linspace(0, 1, steps)]
        if reference is None:
            yield _texture_path(shown, box, alphas)
        else:
            yield from _reference_path(shown, box, reference, folder, alphas)


def measure_shown(
    shown: Shown, clean: Stack, noisy: Stack, folder: Path | None, region: Box | None
) -> Iterator[str | Readout | RealismPath]:
    """All that "Measure plane" shows: where it is measured, in words, the numbers, and the realism path.

    Takes what `measure` takes, and the reference as a stack that is read in here, beside the noisy one.

    Raises:
        ValueError: As `measure`, or if the reference does not fit.
    """
    if shown.reduction > 1:
        raise ValueError(
            f"preview: expected the full image, found a copy at 1/{shown.reduction:.3g} of the size; "
            "zoom in until the full image is previewed"
        )
    reference = clean.beside(noisy, shown.index, shown.frame)
    first = (0, 0) if shown.frame is None else tuple(part.start for part in shown.frame)
    box = measured_box(shown, region)
    if box is not None:
        rows, columns = (
            f"{at + part.start} to {at + part.stop - 1}" for at, part in zip(first, box, strict=True)
        )
        place = f"Against {clean.name}. Measured on rows {rows}, columns {columns}."
        yield f"{place} {_stranger(shown.result[box], reference[box])}".rstrip()
    yield from measure(shown, reference, folder=folder, region=region)
    yield from path(shown, reference, folder, region=region)


def _stranger(result: NDArray[Any], reference: NDArray[Any]) -> str:
    """Words for a reference that hardly goes with the result; empty where it does, or cannot be told."""
    one, other = (np.asarray(image, np.float64) for image in (result, reference))
    if not (np.isfinite(one).all() and np.isfinite(other).all() and one.std() and other.std()):
        return ""
    found = float(np.corrcoef(one.ravel(), other.ravel())[0, 1])
    if found >= _ALIKE:
        return ""
    return (
        f"! It hardly goes with the result (correlation {found:.2f}; 1 is the same image): numbers against "
        "another channel or another field say nothing."
    )


def _texture_path(shown: Shown, box: Box, alphas: Sequence[float]) -> RealismPath:
    share = _texture(shown, box)
    points: tuple[PathPoint, ...] = ()
    note = "The noise is not known yet."
    if math.isfinite(share):
        points = tuple(PathPoint(alpha, alpha, alpha * share) for alpha in alphas)
        note = "Without a clean image: how much texture realism adds, in standard deviations of the noise."
    return RealismPath(points, "realism", "texture, s.d.", note)


def _reference_path(
    shown: Shown, box: Box, reference: NDArray[Any], folder: Path | None, alphas: Sequence[float]
) -> Iterator[RealismPath]:
    images = _images(shown, box)
    low, high = images["fidelity"], images["realism"]
    clean, top = on_scale(images, reference[box], shown.noisy[box])
    perception, name, note = _perception(shown, box, low, clean, folder)
    points: list[PathPoint] = []
    for alpha in alphas:
        image = blend(low, high, alpha)
        x = perception(image, alpha)
        points.append(PathPoint(alpha, x, PSNR.measure(image, clean, top, folder)))
        yield RealismPath(tuple(points), name, PSNR.name, note)


def _perception(
    shown: Shown, box: Box, low: NDArray[Any], clean: NDArray[Any], folder: Path | None
) -> tuple[Callable[[NDArray[Any], float], float], str, str]:
    """How the x of a path is found, its name, and why it is not LPIPS (or nothing)."""
    try:
        first = LPIPS.measure(low, clean, 0.0, folder)
    except REASONS as error:
        share, unit = _texture(shown, box), "noise s.d."
        if not math.isfinite(share) and shown.realism is not None:
            gap = shown.realism[box] - shown.fidelity[box]
            share, unit = float(np.sqrt(np.mean(np.square(gap, dtype=np.float64)))), "counts"
        return lambda _, alpha: alpha * share, f"texture added, {unit}", f"LPIPS is unavailable: {error}"
    return (
        lambda blend, alpha: first if alpha == 0 else LPIPS.measure(blend, clean, 0.0, folder),
        "LPIPS (lower: nearer)",
        "",
    )


def _texture(shown: Shown, box: Box) -> float:
    """Strength of the texture at realism 1, noise standard deviations; NaN where it cannot be known."""
    if shown.realism is None or shown.noise is None:
        return float("nan")
    return texture_share(shown.fidelity[box], shown.realism[box], shown.noise)


def _images(shown: Shown, box: Box) -> dict[str, NDArray[Any]]:
    """What is compared; one array under two names where they are the same image."""
    images = {"noisy": shown.noisy[box], "fidelity": shown.fidelity[box]}
    if shown.realism is not None:
        images["realism"] = shown.realism[box]
    ends = {0.0: images["fidelity"], 1.0: images.get("realism")}
    end = images["fidelity"] if shown.realism is None else ends.get(shown.alpha)
    images["result"] = shown.result[box] if end is None else end
    return images
