"""Settings of one run: frozen, validated once, kept in job files.

The command line and the dock are generated from the fields of `RunSettings`, so each field carries a title, a
description, its bounds, and marks (`fields`): what it decides in the result, its flag, its place in forms. A
settings object never changes; `replace` returns a new, validated one.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from napari_rdpdenoise.fields import Decides, Marked, Marks
from napari_rdpdenoise.tiles import GRID, HALO, TILE
from napari_rdpdenoise.values import Camera, Index, Invalid, Quantity, Rate

__all__ = ["DECODED", "RESULT", "RunSettings"]

DECODED = Decides.DECODES, Decides.ROUNDING
"""What tells decoded images apart that are kept in memory, realism still to be blended."""
RESULT = Decides.DECODES, Decides.BLEND, Decides.OUTPUT
"""What tells results apart: an interrupted run goes on where all of it is the same."""


class RunSettings(Marked):
    """Everything that decides how a stack is denoised, apart from the stack and the target.

    Raises:
        pydantic.ValidationError: (a `ValueError`) naming each field that is not as described.
    """

    model: Annotated[str, Marks(Decides.DECODES)] = Field(
        default="default",
        min_length=1,
        title="Model",
        description="Name of a model, shipped or your own, or path of a model folder; 'default' is the one "
        "shipped for microscopy, for pictures in colour that of photographs.",
    )
    rate: Annotated[Rate, Marks(Decides.DECODES)] = Field(
        default="auto",
        title="Rate",
        description="Bits the image may keep: 0 fewest (strongest denoising), 1 most; "
        "'auto' measures the noise and takes the rate of the least error, 'compact' the fewest bits whose "
        "error is at most 2 % larger, as stores do for 'auto'.",
    )
    realism: Annotated[float, Marks(Decides.BLEND)] = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        allow_inf_nan=False,
        title="Realism",
        description="0 for the lowest error, 1 for the most natural texture.",
    )
    decoder: Annotated[Literal["realism", "flow"], Marks(Decides.DECODES, "expert", 3)] = Field(
        default="realism",
        title="Natural end",
        description="What realism 1 shows: 'realism', one image that looks natural, or 'flow', a sample of "
        "what the data leave open; realism is then 1 unless it is given.",
    )
    steps: Annotated[int, Marks(Decides.DECODES, "expert", 4)] = Field(
        default=3,
        ge=1,
        le=1000,
        title="Steps",
        description="Steps of a sample; each takes as long as a decode.",
    )
    samples: Annotated[int, Marks(Decides.DECODES, "expert", 5)] = Field(
        default=1,
        ge=1,
        le=1000,
        title="Samples",
        description="Samples that are drawn and averaged: more are nearer to the lowest error.",
    )
    rho: Annotated[float, Marks(Decides.DECODES, "expert", 6)] = Field(
        default=0.9,
        ge=0.0,
        le=0.9,
        allow_inf_nan=False,
        title="Perception",
        description="Weight of perception that samples are asked for, 0 to 0.9.",
    )
    kd: Annotated[float, Marks(Decides.DECODES, "expert", 7)] = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        allow_inf_nan=False,
        title="Near the lowest error",
        description="Strength that holds a sample near the image of lowest error (DCIC's K_D).",
    )
    kp: Annotated[float, Marks(Decides.DECODES, "expert", 8)] = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        allow_inf_nan=False,
        title="Same bits again",
        description="Strength that holds a sample to the bits it was drawn from (DCIC's K_P).",
    )
    quantity: Annotated[Quantity, Marks(Decides.DECODES)] = Field(
        default="image",
        title="Quantity",
        description="'image', denoised, or 'error': half the width, in counts, of the interval around it "
        "that is to hold the value without noise in 90 % of the pixels, or 'kept': the share of what the "
        "model would have removed that was kept from the input, 0 to 1.",
    )
    structure: Annotated[Literal["auto", "none"], Marks(Decides.DECODES, "advanced", 6)] = Field(
        default="auto",
        title="Structure",
        description="Structure that the model would remove as noise is taken from the input: 'auto' where "
        "that lessens the estimated error, or 'none'.",
    )
    neighbours: Annotated[Literal["auto", "none", "T", "Z", "S"], Marks(Decides.DECODES, "advanced", 7)] = (
        Field(
            default="auto",
            title="Neighbours",
            description="Planes before and after that are looked at as well: 'T' in time (two each), "
            "'Z' in depth, 'S' the other colours of a picture, 'auto' those that lessen the estimated error, "
            "or 'none'.",
        )
    )
    ensemble: Annotated[int, Marks(Decides.DECODES, "advanced", 10)] = Field(
        default=1,
        ge=1,
        le=4,
        title="Ensemble",
        description="Images that are averaged at realism 0: the image as it is, and up to three mirrored; "
        "each takes the time of one, and the result is nearer to the truth than the expected error says, "
        "which is that of one. A store holds one.",
    )
    invalid: Annotated[Invalid, Marks(Decides.DECODES)] = Field(
        default="auto",
        title="Invalid value",
        description="Value of pixels that are not image (padding, masks, scale bars), which stay as they are "
        "and count nowhere; 'auto' looks for such values and for hot pixels, 'none' takes all as image; the "
        "path of a mask, of the image's shape or of that of its last axes, says where more of them are.",
    )
    hot_pixels: Annotated[Literal["replace", "keep"], Marks(Decides.DECODES, "advanced", 8)] = Field(
        default="replace",
        title="Hot pixels",
        description="Hot and cold pixels and cosmic rays: 'replace' by what their surroundings say, or "
        "'keep' as they are.",
    )
    camera: Annotated[Camera | None, Marks(Decides.DECODES)] = Field(
        default=None,
        title="Camera",
        description="Gain (counts per photo-electron, 0 for Gaussian noise), offset (counts at zero light) "
        "and read noise (counts rms), as a calibration says; none measures the noise in the image.",
    )
    axes: Annotated[str | None, Marks(Decides.DECODES)] = Field(
        default=None,
        title="Axes",
        description="One upper-case letter per axis, e.g. TZCYX; none takes them from the file.",
    )
    series: Annotated[Index | Literal["all"] | None, Marks(Decides.DECODES)] = Field(
        default=None,
        title="Series",
        description="Image to take from a file of several (positions, scenes, wells), counted from 0; 'all' "
        "takes each, to a result of its own; none takes the first and says what else is there.",
    )
    stack: Annotated[Literal["T", "Z", "C"] | None, Marks(Decides.DECODES)] = Field(
        default=None,
        title="Stack",
        description="Axis along which all files that match a pattern are one image, in the order of the "
        "numbers in their names; none takes every file as an image.",
    )
    dtype: Annotated[Literal["input", "float32", "auto"], Marks(Decides.OUTPUT, "advanced", 3)] = Field(
        default="input",
        title="Output type",
        description="'input' keeps the input's number type (clipping is counted, rounding keeps sums), "
        "'float32' keeps fractions, 'auto' takes float32 where whole counts add more than a tenth of the "
        "noise.",
    )
    tile: Annotated[int, Marks(Decides.DECODES, "advanced", 1, unit="px", most=4096)] = Field(
        default=TILE,
        ge=GRID,
        multiple_of=GRID,
        title="Block",
        description=f"Edge of the block that one pass writes, in pixels; a multiple of {GRID}.",
    )
    halo: Annotated[int, Marks(Decides.DECODES, "expert", 1)] = Field(
        default=HALO,
        ge=0,
        multiple_of=GRID,
        title="Halo",
        description=f"Context read on each side of a tile, in pixels; a multiple of {GRID}.",
    )
    batch: Annotated[int | None, Marks(Decides.NOTHING, "expert", 2)] = Field(
        default=None,
        ge=1,
        title="Batch",
        description="Tiles computed together; none chooses from the device's memory.",
    )
    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], Marks(Decides.ROUNDING, "advanced", 2)] = Field(
        default="auto",
        title="Device",
        description="Where to compute; 'auto' takes a GPU where there is one.",
    )
    precision: Annotated[Literal["auto", "float32", "bfloat16"], Marks(Decides.DECODES, "advanced", 9)] = (
        Field(
            default="auto",
            title="Precision",
            description="Numbers the network computes with: 'auto' takes bfloat16 where the CPU (AMX, "
            "AVX512-BF16) or the GPU is faster with it, else float32. bfloat16 moves results by up to "
            "a tenth of the noise.",
        )
    )
    channels: Annotated[tuple[Index, ...] | None, Marks(Decides.OUTPUT, "advanced", 4, "--channel")] = Field(
        default=None,
        title="Channels",
        description="Channels to denoise, counted from 0, in the order of the output; none takes all.",
    )
    time: Annotated[tuple[Index, Index] | None, Marks(Decides.OUTPUT, "advanced", 5)] = Field(
        default=None,
        title="Time range",
        description="First time point and the one after the last, counted from 0; none takes all.",
    )
    seed: Annotated[int, Marks(Decides.DECODES)] = Field(
        default=0,
        ge=0,
        title="Seed",
        description="Seed of everything random; the same seed gives the same pixels.",
    )
    overwrite: Annotated[bool, Marks(Decides.NOTHING)] = Field(
        default=False, title="Overwrite", description="Replace a finished result of the same name."
    )
    output_format: Annotated[
        Literal["ome-zarr", "ome-tiff"] | None, Marks(Decides.NOTHING, flag="--format")
    ] = Field(
        default=None,
        title="Format",
        description="File format of the result; none follows the target's ending or the input's family.",
    )

    @model_validator(mode="before")
    @classmethod
    def _show_samples(cls, given: Any) -> Any:
        """Who asks for samples wants to see them."""
        if isinstance(given, dict) and given.get("decoder") == "flow" and "realism" not in given:
            return {**given, "realism": 1.0}
        return given

    @model_validator(mode="after")
    def _error_of_the_lowest(self) -> Self:
        if self.quantity != "image" and self.realism > 0:
            raise ValueError(
                f"quantity {self.quantity!r} is that of the image of lowest error, expected realism 0, found "
                f"{self.realism:g}; leave realism out, or ask for quantity 'image'"
            )
        return self

    @field_validator("axes")
    @classmethod
    def _check_axes(cls, axes: str | None) -> str | None:
        if axes is None:
            return None
        upper = all("A" <= letter <= "Z" for letter in axes)
        if not upper or len(set(axes)) != len(axes) or not {"Y", "X"} <= set(axes):
            raise ValueError(
                f"axes must be different upper-case letters with Y and X among them, got {axes!r}; "
                "write for example 'TZCYX'"
            )
        return axes

    @field_validator("channels")
    @classmethod
    def _check_channels(cls, channels: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if channels is not None and (not channels or len(set(channels)) != len(channels)):
            raise ValueError(
                f"channels must name at least one channel and none twice, got {channels}; "
                "leave it out to take all channels"
            )
        return channels

    @field_validator("time")
    @classmethod
    def _check_time(cls, time: tuple[int, int] | None) -> tuple[int, int] | None:
        if time is not None and time[0] >= time[1]:
            raise ValueError(
                f"time must be (first, one after the last) with first below the second, got {time}; "
                f"for the one time point {time[0]} give ({time[0]}, {time[0] + 1})"
            )
        return time

    def replace(self, **changes: Any) -> Self:
        """Return a validated copy with some fields changed.

        Args:
            **changes: New values by field name.

        Raises:
            pydantic.ValidationError: (a `ValueError`) if a name is unknown or a value is out of range.
        """
        return type(self)(**{**self.model_dump(), **changes})
