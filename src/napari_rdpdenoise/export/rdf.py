"""The package itself, by BioImage.IO's own libraries (the extra ``bioimageio``), and their test of it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from bioimageio.core import test_model
from bioimageio.spec import ValidationContext, save_bioimageio_package
from bioimageio.spec.generic.v0_3 import LicenseId
from bioimageio.spec.model import v0_5
from loguru import logger

from napari_rdpdenoise.export.describe import CITE, LEAST, Story
from napari_rdpdenoise.tiles import GRID, HALO

_TOLERANCE = 0.05  # noise standard deviations that the test output may be off
# Pixels of a million that may be off by more: another device may round a latent up, not down.
_MISMATCHED = 1000
_TAGS = ("denoising", "image-restoration", "compression", "fluorescence-light-microscopy", "2d", "pytorch")
_OTHERS = "the napari-rdpdenoise developers"


def write_package(folder: Path, story: Story, authors: list[str] | None, out: Path) -> None:
    """Put the parts in a folder (weights, test tensors, cover, documentation) and their description in a zip.

    Raises:
        ValueError: If a name is not as BioImage.IO wants it.
    """
    with _quiet(), ValidationContext(root=folder):
        save_bioimageio_package(_description(folder, story, authors or [_OTHERS]), output_path=out)


def check_package(path: Path) -> None:
    """Check the description and run the model on the CPU: test output, and other sizes and batches.

    Raises:
        RuntimeError: If the package's own test fails; the message names what.
    """
    with _quiet():
        summary = test_model(path, devices=["cpu"])
    if summary.status == "passed":
        return
    errors = [f"{detail.name}: {error.msg}" for detail in summary.details for error in detail.errors]
    raise RuntimeError(f"export: BioImage.IO's tool refuses the package; {'; '.join(errors)}")


def _description(folder: Path, story: Story, authors: list[str]) -> v0_5.ModelDescr:
    batch, channel = v0_5.BatchAxis(), v0_5.ChannelAxis(channel_names=["intensity"])
    size = v0_5.ParameterizedSize(min=LEAST, step=GRID)
    space = [v0_5.SpaceInputAxis(id=name, size=size, concatenable=True) for name in ("y", "x")]
    cropped = [
        v0_5.SpaceOutputAxisWithHalo(id=i, halo=HALO, size=v0_5.SizeReference(tensor_id="raw", axis_id=i))
        for i in ("y", "x")
    ]
    torch_version = version("torch").split("+")[0]
    return v0_5.ModelDescr(
        name=story.name,
        description=story.description(),
        authors=[v0_5.Author(name=name) for name in authors],
        cite=[v0_5.CiteEntry(text=text, doi=doi) for doi, text in CITE.items()],
        license=_licence(folder, story),
        documentation={"source": "README.md"},
        covers=[{"source": "cover.png"}],
        tags=list(_TAGS),
        inputs=[_tensor(v0_5.InputTensorDescr, "raw", [batch, channel, *space])],
        outputs=[_tensor(v0_5.OutputTensorDescr, "denoised", [batch, channel, *cropped])],
        timestamp=datetime.now(UTC),
        weights={"torchscript": {"source": "weights.pt", "pytorch_version": torch_version}},
        config={"bioimageio": _facts(folder, story), "napari_rdpdenoise": story.config()},
    )


def _tensor(kind: Any, name: str, axes: list[Any]) -> Any:
    return kind(
        id=name,
        description=f"{name} counts",
        axes=axes,
        data=v0_5.IntervalOrRatioDataDescr(type="float32"),
        test_tensor={"source": f"{name}.npy"},
    )


def _licence(folder: Path, story: Story) -> Any:
    """The identifier that the card's words begin with; else the words, as a file."""
    words = story.card.licence
    first = words.split()[0].strip(",;") if words.split() else ""
    try:
        return LicenseId(first)
    except ValueError:
        pass
    (folder / "LICENSE.md").write_text(words + "\n", encoding="utf-8")
    return {"source": "LICENSE.md"}


def _facts(folder: Path, story: Story) -> dict[str, Any]:
    denoised = np.load(folder / "denoised.npy")
    noise = float(np.sqrt(story.fixed.noise.variance(float(np.median(denoised)))))
    return {
        "reproducibility_tolerance": [
            {
                "relative_tolerance": 0.0,
                "absolute_tolerance": min(_TOLERANCE * noise, 0.009 * float(denoised.max())),
                "mismatched_elements_per_million": _MISMATCHED,
            }
        ],
        "architecture_type": "convolutional codec",
        "architecture_description": "encoder, mean-scale hyperprior, integer latents, decoder",
        "modality": "fluorescence microscopy",
        "task": "denoising",
        "bias_risks_limitations": {"limitations": "\n".join(story.card.limitations)},
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the libraries' own lines and warnings; what fails is raised."""
    for name in ("bioimageio.core", "bioimageio.spec"):
        logger.disable(name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name in ("bioimageio.core", "bioimageio.spec"):
            logger.enable(name)
