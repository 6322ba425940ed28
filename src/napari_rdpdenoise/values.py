"""Types of single settings, each checked with one message in words."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidatorFunctionWrapHandler, WrapValidator

Index = Annotated[int, Field(ge=0)]
"""A place along an axis, counted from 0."""


def _rate_or_auto(value: Any, handler: ValidatorFunctionWrapHandler) -> float | str:
    """One message in place of pydantic's two, one per member of the union."""
    try:
        return handler(value)
    except ValueError:
        raise ValueError(
            f"rate must be a number from 0 to 1, 'auto' or 'compact', got {value!r}; "
            "use 'auto' unless you want to fix the denoising strength"
        ) from None


def _check_camera(camera: tuple[float, float, float]) -> tuple[float, float, float]:
    gain, _, read_noise = camera
    if not all(map(math.isfinite, camera)) or gain < 0 or read_noise <= 0:
        raise ValueError(
            f"camera: expected a gain of at least 0, an offset and a read noise above 0, in counts, found "
            f"{camera}; give a small read noise where there is none"
        )
    return camera


Camera = Annotated[tuple[float, float, float], AfterValidator(_check_camera)]
"""Gain, offset and read noise of a camera, counts."""


def _invalid_value(value: Any, handler: ValidatorFunctionWrapHandler) -> float | str:
    """One message in place of one per member of the union."""
    try:
        return handler(value)
    except ValueError:
        raise ValueError(
            "invalid must be a number, 'auto' or 'none', or the path of a mask (.tif, .npy or .zarr), "
            f"got {value!r}; NaN is invalid always"
        ) from None


Invalid = Annotated[
    Annotated[float, Field(allow_inf_nan=False)]
    | Literal["auto", "none"]
    | Annotated[str, Field(pattern=r"(?i).\.(tiff?|npy|zarr)$")],
    WrapValidator(_invalid_value),
]
"""A value of pixels that are not image, "auto", which looks for such values, "none", or a mask's path."""

Rate = Annotated[
    Annotated[float, Field(ge=0.0, le=1.0)] | Literal["auto", "compact"], WrapValidator(_rate_or_auto)
]
"""A point of a model's rate range, from 0 (fewest bits) to 1, or a rule that measures the noise.

"auto" takes the rate of the least error, "compact" the fewest bits whose error is nearly as small.
"""


Quantity = Literal["image", "error", "kept"]
"""What a run gives: the denoised image, how far it may be off, or what of it was kept from the input."""
