"""``napari-rdpdenoise demo``: the embedded sample, denoised, measured against its truth, and shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from napari_rdpdenoise.cli.console import guarded, result, say, stdout
from napari_rdpdenoise.cli.options import make_settings, with_fields
from napari_rdpdenoise.cli.progress import follow
from napari_rdpdenoise.jobs.job import Job
from napari_rdpdenoise.settings import RunSettings

if TYPE_CHECKING:
    import numpy as np

    from napari_rdpdenoise.samples import SimulatedSample
    from napari_rdpdenoise.stream import RunReport

NAME = "simulated-timelapse"


@with_fields(RunSettings, "model", "rate", "realism", "device")
def demo(
    given: dict[str, Any],
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Where the result and the picture go.")
    ] = Path("rdpdenoise-demo"),
) -> None:
    """Denoise the embedded sample: numbers, an OME-Zarr and a picture.

    The sample is a simulated time-lapse of nuclei, filaments and mitochondria with camera noise, whose exact
    clean truth is known.
    """
    with guarded() as command:
        settings = make_settings(given).replace(overwrite=True)
        say("simulating a time-lapse of living cells")
        from napari_rdpdenoise.cli.images import read_all
        from napari_rdpdenoise.cli.picture import side_by_side
        from napari_rdpdenoise.jobs.models import load_codec, model_line
        from napari_rdpdenoise.jobs.runner import run
        from napari_rdpdenoise.samples import simulate_timelapse

        sample = simulate_timelapse()
        noisy, target = (out / f"{NAME}.{kind}.ome.zarr" for kind in ("noisy", "denoised"))
        codec = load_codec(settings)  # wrong use, where there is none, is found before anything is written
        say(model_line(codec))
        command.working = True
        _write_noisy(noisy, sample)
        # without a cache, which would make the speed look better than it is
        report = follow(run(Job(noisy, target, settings), codec=codec), noisy.name).report
        denoised = read_all(target).values
        picture = out / f"{NAME}.png"
        side_by_side(picture, sample, denoised)
        _show_figures(sample, denoised, report)
        say("noisy input, denoised result, and noisy | denoised | truth side by side:")
        for path in (noisy, target, picture):
            result(str(path.resolve()))


def _write_noisy(path: Path, sample: SimulatedSample) -> None:
    """Keep the input too, so that both can be opened side by side."""
    import numpy as np

    from napari_rdpdenoise.io import ImageMetadata, OutputSpec, open_sink

    metadata = ImageMetadata(sample.axes, sample.scale, sample.units, sample.channel_names, NAME)
    height, width = sample.noisy.shape[-2:]
    spec = OutputSpec(sample.noisy.shape, sample.axes, sample.noisy.dtype, metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    sink = open_sink(path, spec, overwrite=True)
    for index in np.ndindex(*sample.noisy.shape[:-2]):
        sink.write(index, slice(0, height), slice(0, width), sample.noisy[index])
    sink.finish()


def _show_figures(sample: SimulatedSample, denoised: np.ndarray, report: RunReport) -> None:
    from napari_rdpdenoise.metrics import data_range, psnr, ssim

    top = data_range(sample.clean, sample.noisy.dtype)
    table = Table("", "PSNR (dB)", "SSIM", title="against the exact truth", title_justify="left")
    for name, image in (("noisy", sample.noisy), ("denoised", denoised)):
        table.add_row(name, f"{psnr(image, sample.clean, top):.2f}", f"{ssim(image, sample.clean, top):.4f}")
    stdout.print(table)
    result(f"{report.bpp:.3f} bpp of {8 * sample.noisy.itemsize}, {report.mpps:.2f} MP/s")
