"""Settings of an export: what the codec is asked for at every run is fixed once."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from napari_rdpdenoise.values import Camera, Rate


class ExportSettings(BaseModel, frozen=True, extra="forbid"):
    """How a model is packed for BioImage.IO."""

    rate: Rate = Field(
        "auto",
        description="0 strongest denoising, 1 weakest; auto and compact choose on the sample, for good",
    )
    realism: float = Field(
        0.0, ge=0.0, le=1.0, allow_inf_nan=False, description="0 lowest error, 1 most natural texture"
    )
    structure: Literal["auto", "none"] = Field(
        "auto",
        description="what the model would remove that is more than noise goes back from the input: auto "
        "where the sample says that it helps, and always without a sample, as the camera is then told",
    )
    camera: Camera | None = Field(
        None,
        description="gain (counts per photo-electron, 0 for Gaussian noise), offset (counts at zero light) "
        "and read noise (counts rms); none measures them on the sample",
    )
    axes: str | None = Field(None, description="of the sample, e.g. TCYX; none takes them from the file")
    channel: int = Field(0, ge=0, description="of the sample, counted from 0")
    seed: int = Field(0, ge=0, description="of the grain of realism above 0")
    name: str | None = Field(
        None, pattern=r"^[A-Za-z0-9_+() -]{5,128}$", description="of the package; none takes the model's"
    )
    authors: list[Annotated[str, Field(pattern="^[^/]+$")]] | None = Field(
        None, description="of the package, one each time"
    )
