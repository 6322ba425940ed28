"""What tests ask of structure that goes back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.codec.structure import returned


def structure_share(*given: Any) -> NDArray[np.float32]:
    """Share of the residual that goes back at all frequencies; arguments as of `returned`."""
    return returned(*given).share
