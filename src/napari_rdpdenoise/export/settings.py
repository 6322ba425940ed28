"""Settings of an export: what the codec is asked for at every run is fixed once."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, Field, field_validator


class ExportSettings(BaseModel, frozen=True, extra="forbid"):
    """How a model is packed for BioImage.IO."""

    rate: Annotated[float, Field(ge=0.0, le=1.0)] | Literal["auto"] = Field(
        "auto", description="0 strongest denoising, 1 weakest; auto chooses on the sample, for good"
    )
    realism: float = Field(
        0.0, ge=0.0, le=1.0, allow_inf_nan=False, description="0 lowest error, 1 most natural texture"
    )
    camera: tuple[float, float, float] | None = Field(
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

    @field_validator("camera")
    @classmethod
    def _check_camera(cls, camera: tuple[float, float, float] | None) -> tuple[float, float, float] | None:
        if camera is None:
            return None
        gain, _, read_noise = camera
        if not all(map(math.isfinite, camera)) or gain < 0 or read_noise <= 0:
            raise ValueError(
                "expected a gain of at least 0, an offset and a read noise above 0, in counts; "
                "give a small read noise where there is none"
            )
        return camera
