"""``napari-rdpdenoise export``: a model as a BioImage.IO package, for programs that do not know this one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from napari_rdpdenoise.cli.console import guarded, result, say
from napari_rdpdenoise.cli.options import validated, with_fields
from napari_rdpdenoise.export.settings import ExportSettings
from napari_rdpdenoise.settings import RunSettings


@with_fields(ExportSettings)
def export(
    given: dict[str, Any],
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model's name, or a folder.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The package, ending in .zip.")],
    sample: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Image like those to be denoised, for noise and rate; it does not go into the package.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help=str(RunSettings.model_fields["overwrite"].description))
    ] = False,
) -> None:
    """Write a model as a BioImage.IO package for one camera, rate and realism.

    Other programs run it without this one: raw counts in, denoised counts out. It appears when BioImage.IO's
    own tool has tested it. Needs the extra: `pip install 'napari-rdpdenoise[bioimageio]'`.
    """
    with guarded() as command:
        settings = validated(ExportSettings, given)
        from napari_rdpdenoise.export.package import export_bioimageio

        say("packing, and testing with BioImage.IO's tool")
        written = export_bioimageio(model, out, sample=sample, overwrite=overwrite, **settings.model_dump())
        command.working = True
        result(str(written))
