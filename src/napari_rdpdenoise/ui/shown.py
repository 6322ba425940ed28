"""What the dock shows at the moment, as plain arrays: for comparison, readouts and plots. No Qt here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..noise import NoiseModel
    from ..stream.prepare import ChannelPlan

__all__ = ["Shown"]


@dataclass(frozen=True)
class Shown:
    """One plane of the chosen layer with its preview.

    Attributes:
        layer: name of the noisy layer.
        index: of the plane: one number per axis of the layer beside Y and X.
        noisy: raw counts, (height, width); not to be written to.
        fidelity: the decode of lowest error, float32 raw counts, (height, width); NaN where not done.
        realism: the decode of most natural texture, likewise; None if the model has none.
        done: bool (height, width), which pixels were denoised.
        alpha: where the realism slider stands, 0 to 1.
        plan: noise, normalisation and rate of the plane's channel; None while they are not known.
        bpp: bits per pixel of the tiles that are done; NaN for none.
    """

    layer: str
    index: tuple[int, ...]
    noisy: NDArray[Any]
    fidelity: NDArray[np.float32]
    realism: NDArray[np.float32] | None
    done: NDArray[np.bool_]
    alpha: float
    plan: ChannelPlan | None
    bpp: float

    @property
    def noise(self) -> NoiseModel | None:
        """Noise model of the plane's channel; None while it is not known."""
        return None if self.plan is None else self.plan.normalization.noise

    @property
    def result(self) -> NDArray[np.float32]:
        """The blend that the slider asks for, float32 raw counts, NaN where not done."""
        if self.realism is None or self.alpha == 0:
            return self.fidelity
        return self.fidelity + np.float32(self.alpha) * (self.realism - self.fidelity)

    @property
    def box(self) -> tuple[slice, slice] | None:
        """The largest rows and columns around what is done that are done throughout; None for nothing.

        The bounding box of what is done, if all in it is done; else the largest block of whole rows.
        """
        rows, columns = np.flatnonzero(self.done.any(1)), np.flatnonzero(self.done.any(0))
        if rows.size == 0:
            return None
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        if self.done[box].all():
            return box
        full = self.done[:, box[1]].all(1)
        if not full.any():
            return None
        edges = np.flatnonzero(np.diff(np.concatenate(([0], full.astype(np.int8), [0]))))
        starts, stops = edges[::2], edges[1::2]
        longest = int(np.argmax(stops - starts))
        return slice(int(starts[longest]), int(stops[longest])), box[1]
