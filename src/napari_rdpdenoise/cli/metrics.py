"""``napari-rdpdenoise metrics``: how close a result is to a clean reference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from napari_rdpdenoise.cli.console import guarded, say, stdout

if TYPE_CHECKING:
    import numpy as np

UNAVAILABLE = "unavailable"


def metrics(
    image: Annotated[Path, typer.Argument(metavar="RESULT", help="Denoised image.")],
    reference: Annotated[Path, typer.Argument(metavar="REFERENCE", help="Clean image of the same size.")],
    noisy: Annotated[
        Path | None,
        typer.Option(
            help="Noisy image: the reference is first brought to its scale (least-squares line), and it is "
            "scored too."
        ),
    ] = None,
    backbones: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder of the published weights that LPIPS and DISTS need."),
    ] = None,
) -> None:
    """Compare a result with a clean reference: PSNR, SSIM, MicroSSIM, LPIPS, DISTS.

    A figure whose published network is not on this machine is shown as unavailable, with the reason.
    """
    with guarded() as stage:
        if backbones is not None and not backbones.is_dir():
            raise FileNotFoundError(f"--backbones: expected a folder, found none at {backbones}")
        images, top = _load(image, reference, noisy)
        stage.working = True
        clean = images.pop("reference")
        table = Table("", *images, title=f"range {top:.6g} counts", title_justify="left")
        reasons: dict[str, None] = {}
        for name, measure in _measures(top, backbones).items():
            cells = [_cell(measure, img, clean, f"{name}: ", reasons) for img in images.values()]
            table.add_row(name, *cells)
        stdout.print(table)
        for reason in reasons:
            say(reason)


def _load(image: Path, reference: Path, noisy: Path | None) -> tuple[dict[str, np.ndarray], float]:
    """Images of one shape by name, and the range of values that PSNR and SSIM count with."""
    from napari_rdpdenoise.cli.images import match_axes, read_all, squeeze
    from napari_rdpdenoise.metrics import affine_match, data_range

    truth = read_all(reference)
    images = {"result": match_axes(read_all(image), truth, "RESULT")}
    clean, dtype = squeeze(truth).values, truth.values.dtype
    if noisy is not None:
        images["noisy"] = match_axes(read_all(noisy), truth, "--noisy")
        clean, dtype = affine_match(clean, images["noisy"]), images["noisy"].dtype
    return {**images, "reference": clean}, data_range(clean, dtype)


def _measures(top: float, backbones: Path | None) -> dict[str, Callable[[np.ndarray, np.ndarray], float]]:
    from napari_rdpdenoise import metrics as m

    return {
        "PSNR (dB)": lambda img, ref: m.psnr(img, ref, top),
        "SSIM": lambda img, ref: m.ssim(img, ref, top),
        "MicroSSIM": m.microssim,
        "LPIPS": lambda img, ref: m.lpips(img, ref, folder=backbones),
        "DISTS": lambda img, ref: m.dists(img, ref, folder=backbones),
    }


def _cell(
    measure: Callable[[np.ndarray, np.ndarray], float],
    image: np.ndarray,
    clean: np.ndarray,
    name: str,
    reasons: dict[str, None],
) -> Text:
    from napari_rdpdenoise.metrics import MetricUnavailable

    try:
        return Text(f"{measure(image, clean):.4f}")
    except MetricUnavailable as reason:
        reasons[f"{name}{UNAVAILABLE}: {reason}"] = None
        return Text(UNAVAILABLE)
