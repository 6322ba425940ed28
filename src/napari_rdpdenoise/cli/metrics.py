"""``napari-rdpdenoise metrics``: how close a result is to a clean image, or what was removed to make it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from napari_rdpdenoise.cli.console import CommandState, guarded, result, say, stdout
from napari_rdpdenoise.cli.metrics_of_a_run import Compared, show_bound, show_idempotence
from napari_rdpdenoise.cli.progress import bar

UNAVAILABLE = "unavailable"
_MEASURE = "measure"


class _MeasureUnlessNamed(TyperGroup):
    """Takes ``metrics RESULT ...`` for ``metrics measure RESULT ...``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = [_MEASURE, *args]
        return super().parse_args(ctx, args)


metrics_app = typer.Typer(
    cls=_MeasureUnlessNamed,
    no_args_is_help=True,
    help="Compare a result with a clean image, or check what was removed from the noisy one. "
    "`metrics RESULT ...` is short for `metrics measure RESULT ...`.",
)


@metrics_app.command(_MEASURE)
def measure(
    image: Annotated[Path, typer.Argument(metavar="RESULT", help="Denoised image.")],
    reference: Annotated[
        Path | None, typer.Argument(metavar="REFERENCE", help="Clean image of the same size.")
    ] = None,
    noisy: Annotated[
        Path | None,
        typer.Option(
            "--input",
            "--noisy",
            help="Noisy image. With REFERENCE, that is first brought to its scale (least-squares line), and "
            "it is scored too. Without, what was removed from it is checked, in words.",
        ),
    ] = None,
    networks: Annotated[
        Path | None,
        typer.Option(
            "--networks",
            "--backbones",
            metavar="FOLDER",
            help="Folder of the published networks that LPIPS and DISTS need.",
        ),
    ] = None,
    bound: Annotated[
        bool,
        typer.Option(
            "--bound",
            help="With REFERENCE and --input: the errors in units of the noise, beside what an ideal codec "
            "of as many bits guarantees. Needs the job file beside RESULT.",
        ),
    ] = False,
    idempotence: Annotated[
        bool,
        typer.Option(
            "--idempotence",
            help="How many symbols change when RESULT is encoded again, and how far apart the decodes are. "
            "Needs the job file beside RESULT; the noisy image is that of the job file, or --input.",
        ),
    ] = False,
) -> None:
    """Compare a result with a clean image: PSNR, SSIM, MicroSSIM, LPIPS, DISTS.

    A figure whose published network is not on this machine is shown as unavailable, with the reason;
    `metrics fetch` downloads them. Without a clean image, `--input` checks the difference from the noisy one.
    """
    with guarded() as command:
        if networks is not None and not networks.is_dir():
            raise FileNotFoundError(f"--networks: expected a folder, found none at {networks}")
        if bound and (reference is None or noisy is None):
            raise ValueError(
                "--bound: expected a clean image as REFERENCE and the noisy one as --input, found "
                f"{'no REFERENCE' if reference is None else 'no --input'}; errors are told in its noise"
            )
        if reference is not None:
            loaded = _load(image, reference, noisy)
            _show_scores(command, loaded, networks)
            if bound:
                show_bound(image, loaded)
        elif noisy is not None and not idempotence:
            _show_checks(command, image, noisy)
        elif not idempotence:
            raise ValueError("REFERENCE: expected a clean image, or the noisy one as --input, found neither")
        if idempotence:
            show_idempotence(command, image, noisy)


@metrics_app.command()
def fetch(
    large: Annotated[
        bool, typer.Option("--large", help="Also the large network, VGG16 (528 MiB), that DISTS needs.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Agree to the download without being asked.")
    ] = False,
    networks: Annotated[
        Path | None, typer.Option("--networks", metavar="FOLDER", help="Where to keep them.")
    ] = None,
) -> None:
    """Download the published networks that perceptual metrics need: what is missing, after asking."""
    with guarded() as command:
        from napari_rdpdenoise.files import backbones_folder
        from napari_rdpdenoise.metrics import download

        wanted = [network for network in download.NETWORKS if large or not network.large]
        missing = download.missing_networks(networks, wanted)
        if not missing:
            say("the networks are all here")
            return
        say(download.consent_text(missing, networks))
        if not yes and not typer.confirm("\nDownload?", err=True):
            say("nothing was downloaded")
            return
        command.working = True
        with bar("MiB") as progress:
            tasks = {n: progress.add_task(n.metric, total=n.mib, state="") for n in missing}
            for step in download.fetch_networks(missing, networks):
                total = step.total >> 20 or step.network.mib
                progress.update(tasks[step.network], completed=step.done >> 20, total=total)
        result(str(networks or backbones_folder()))


def _show_checks(command: CommandState, image: Path, noisy: Path) -> None:
    """The residual checks of each channel, with the noise that a run would measure, of each plane."""
    from napari_rdpdenoise.axes import channel_axis
    from napari_rdpdenoise.cli.images import match_axes, read_all, squeeze
    from napari_rdpdenoise.io import open_image
    from napari_rdpdenoise.metrics import judge_residual
    from napari_rdpdenoise.stream.sample import sample_channel

    raw = read_all(noisy)
    before, after = squeeze(raw), match_axes(read_all(image), raw, "RESULT")
    command.working = True
    axis = before.axes.find("C")
    with closing(open_image(noisy)) as source:
        has_channels = channel_axis(source.metadata.axes) is not None
        for number in range(1 if axis < 0 else before.values.shape[axis]):
            channel = number if has_channels else None
            noise = sample_channel(source, channel).noise_of_planes(channel)
            y, x = (v if axis < 0 else v.take(number, axis) for v in (before.values, after))
            title = None if axis < 0 else f"channel {number}"
            table = Table("Check", "Found", title=title, title_justify="left")
            for check in judge_residual(y, x, noise).checks:
                found = f"{'ok:' if check.fine else '!'} {check.text}"
                table.add_row(Text(check.name, no_wrap=True), Text(found, overflow="fold"))
            stdout.print(table)


def _show_scores(command: CommandState, loaded: Compared, networks: Path | None) -> None:
    """Every metric of every image, and why one has none."""
    from napari_rdpdenoise.metrics import METRICS, MetricUnavailable

    command.working = True
    images, clean, top = loaded.images, loaded.clean, loaded.top
    table = Table("", *images, title=f"range {top:.6g} counts", title_justify="left")
    reasons: dict[str, None] = {}
    for metric in METRICS:
        name, cells = f"{metric.title} ({metric.unit})" if metric.unit else metric.title, []
        for image in images.values():
            try:
                cells.append(f"{metric.measure(image, clean, top, networks):.4f}")
            except (MetricUnavailable, MemoryError) as reason:
                cells.append(UNAVAILABLE)
                reasons[f"{name}: {UNAVAILABLE}: {reason}"] = None
        table.add_row(name, *cells)
    stdout.print(table)
    for line in reasons:
        say(line)


def _load(image: Path, reference: Path, noisy: Path | None) -> Compared:
    """Images of one shape, the clean one on their scale."""
    from napari_rdpdenoise.cli.images import match_axes, read_all, squeeze
    from napari_rdpdenoise.metrics import affine_match, data_range

    truth = read_all(reference)
    images = {"result": match_axes(read_all(image), truth, "RESULT")}
    plain, dtype = squeeze(truth), truth.values.dtype
    clean = plain.values
    if noisy is not None:
        images["noisy"] = match_axes(read_all(noisy), truth, "--input")
        clean, dtype = affine_match(clean, images["noisy"]), images["noisy"].dtype
    return Compared(images, clean, data_range(clean, dtype), plain.axes)
