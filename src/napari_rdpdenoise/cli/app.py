"""The program ``napari-rdpdenoise`` and its commands.

Exit codes: 0 done, 1 failed, 2 wrong use, 130 interrupted.
"""

from __future__ import annotations

import signal
from types import FrameType
from typing import Annotated

import typer

from napari_rdpdenoise._version import __version__
from napari_rdpdenoise.cli.allocator import keep_freed_memory
from napari_rdpdenoise.cli.cache import cache_app
from napari_rdpdenoise.cli.demo import demo
from napari_rdpdenoise.cli.denoise import denoise
from napari_rdpdenoise.cli.doctor import doctor
from napari_rdpdenoise.cli.export import export
from napari_rdpdenoise.cli.finetune import finetune_app
from napari_rdpdenoise.cli.metrics import metrics_app
from napari_rdpdenoise.cli.models import models
from napari_rdpdenoise.cli.store import store_app
from napari_rdpdenoise.cli.train import train

app = typer.Typer(
    name="napari-rdpdenoise",
    help="Denoise microscopy by learned compression: the bits spent are the denoising strength.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong use, 130 interrupted.",
    no_args_is_help=True,
    rich_markup_mode="markdown",  # joins the lines of a paragraph
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(denoise)
app.command()(demo)
app.add_typer(store_app, name="store")
app.add_typer(metrics_app, name="metrics")
app.command()(models)
app.add_typer(cache_app, name="cache")
app.command()(doctor)
app.command()(train)
app.add_typer(finetune_app, name="finetune")
app.command()(export)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"napari-rdpdenoise {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the program; a request to terminate stops as cleanly as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _interrupt)
    keep_freed_memory()
    app()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
