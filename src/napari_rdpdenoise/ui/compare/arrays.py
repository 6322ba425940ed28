"""Layers that compare the noisy image with its result, as arrays that are computed when they are looked at.

None of them holds a stack, and none runs the network. No Qt here.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.ui.layers.slicing import Sliced, SlicedPlanes
from napari_rdpdenoise.ui.preview.shown import Shown

__all__ = ["Crop", "Difference", "Gap", "Toggle", "Which", "noise_limits", "spread_limits"]

_SAMPLE_STEP = 4  # px; every sixteenth pixel is enough for a contrast
_SPREAD_PERCENT = 99.5


@runtime_checkable
class _FillsIn(Protocol):
    """A result that knows which of its pixels are done, as `Canvas` does."""

    def done_at(self, key: Any) -> NDArray[np.bool_]: ...


class Difference(Sliced):
    """What was removed: noisy - result, float32 raw counts; 0 where the result is not done or no number.

    Args:
        noisy: NumPy, dask or zarr array, raw counts.
        result: Array of such a kind, or a `Canvas`, same shape.

    Raises:
        ValueError: If the shapes differ.
    """

    def __init__(self, noisy: Any, result: Any) -> None:
        self.shape, found = (tuple(int(size) for size in array.shape) for array in (noisy, result))
        if found != self.shape:
            raise ValueError(
                f"result: expected the shape of the noisy image, {self.shape}, found {found}; "
                "compare with a result of the whole layer"
            )
        self.dtype = np.dtype(np.float32)
        self.noisy, self.result = noisy, result

    def _read(self, full: tuple[Any, ...]) -> NDArray[np.float32]:
        noisy, result = np.asarray(self.noisy[full]), np.asarray(self.result[full])
        # exact where float32 holds both; wider counts would lose their last digits before they cancel
        narrow = all(np.can_cast(array.dtype, np.float32) for array in (noisy, result))
        exact = np.float32 if narrow else np.float64
        removed = np.atleast_1d(np.subtract(noisy, result, dtype=exact).astype(np.float32, copy=False))
        if isinstance(self.result, _FillsIn):
            removed[~np.atleast_1d(self.result.done_at(full))] = 0
        if noisy.dtype.kind == "f" or result.dtype.kind == "f":
            removed[~np.isfinite(removed)] = 0
        return removed.reshape(noisy.shape)


class Crop(Sliced):
    """The first pixels of an array along one axis: what lies left of the divider.

    Args:
        array: NumPy, dask or zarr array.
        axis: Axis that is cut, from 0.
        stop: Pixels that stay along it, at least 1.

    Raises:
        ValueError: If there is no such axis or nothing would be left or added.
    """

    def __init__(self, array: Any, axis: int, stop: int) -> None:
        shape = tuple(int(size) for size in array.shape)
        if not 0 <= axis < len(shape):
            raise ValueError(f"axis: expected 0 to {len(shape) - 1} for the shape {shape}, found {axis}")
        if not 1 <= stop <= shape[axis]:
            raise ValueError(f"stop: expected 1 to {shape[axis]}, the length of axis {axis}, found {stop}")
        self.shape = (*shape[:axis], stop, *shape[axis + 1 :])
        self.dtype = np.dtype(array.dtype)
        self._array, self._axis, self._stop = array, axis, stop

    def _read(self, full: tuple[Any, ...]) -> NDArray[Any]:
        part = full[self._axis]
        if isinstance(part, slice):
            # bounds counted from the end, or beyond it, are the crop's: as numbers they suit the whole too
            taken = range(self._stop)[part]
            end = taken.stop if taken.stop >= 0 else None  # -1: downwards through pixel 0
            part = slice(taken.start, end, taken.step) if len(taken) else slice(0, 0)
        return np.asarray(self._array[(*full[: self._axis], part, *full[self._axis + 1 :])])


class Gap(SlicedPlanes):
    """Texture that the data do not determine: realism - fidelity of the shown plane, float32 raw counts.

    0 where it is not done, and in all other planes.

    Args:
        shape: Shape of the layer, pixels.
        axes: Axes of the layer, one upper-case letter each, with Y and X.

    Attributes:
        plane: Plane that was shown last, (height, width).
    """

    def __init__(self, shape: tuple[int, ...], axes: str) -> None:
        super().__init__(shape, axes, np.dtype(np.float32))
        self.plane = np.zeros((shape[self._y], shape[self._x]), np.float32)
        self._index: tuple[int, ...] | None = None

    def show(self, shown: Shown | None) -> bool:
        """Take over what is shown, and tell whether there is a gap; a ValueError refuses a foreign plane."""
        if shown is None or shown.realism is None:
            self._index = None
            return False
        if shown.fidelity.shape != self.plane.shape:
            raise ValueError(
                f"shown: expected a plane of {self.plane.shape} pixels, found {shown.fidelity.shape}; "
                "make a new gap for another layer"
            )
        plane = np.subtract(shown.realism, shown.fidelity, dtype=np.float32)
        plane[~(shown.done & np.isfinite(plane))] = 0
        self.plane, self._index = plane, shown.index
        return True

    def _read(self, full: tuple[Any, ...]) -> NDArray[np.float32]:
        out = np.zeros(self._read_shape(full), np.float32)
        if self._index is not None:
            self._overlay(out, full, self._index, self.plane)
        return out


class Which(Enum):
    """What the viewer shows in the place of the result."""

    NOISY = "Noisy"
    FIDELITY = "Fidelity"
    REALISM = "Realism"
    SLIDER = "Slider"


_ENDS = {Which.FIDELITY: 0.0, Which.REALISM: 1.0}


class Toggle:
    """Which of noisy, fidelity, realism and the slider's own blend is shown; gives the slider back."""

    def __init__(self, set_realism: Callable[[float], None]) -> None:
        self.which = Which.SLIDER
        self._set = set_realism
        self._seen: float | None = None  # where the slider was last seen
        self._former: float | None = None  # where the user had left it
        self._end: float | None = None  # where we put it
        self._arrived = False

    def choose(self, which: Which) -> None:
        """Show something else; the noisy image leaves the slider where it is."""
        self.which = which
        if which in _ENDS:
            if self._end is None:
                self._former = self._seen
            self._end, self._arrived = _ENDS[which], False
            self._set(self._end)
        elif which is Which.SLIDER and self._end is not None:
            former, self._former, self._end = self._former, None, None
            if former is not None:
                self._seen = former
                self._set(former)

    def saw(self, realism: float) -> None:
        """Note where the slider stands; if the user moved it away from an end, it is the slider's turn again.

        A preview may still show the former value just after `choose`: only a value that comes after the one
        asked for is the user's.
        """
        self._seen = realism
        if self._end is None:
            return
        if abs(realism - self._end) < 1e-6:
            self._arrived = True
        elif self._arrived:
            self._former = self._end = None
            if self.which in _ENDS:
                self.which = Which.SLIDER


def noise_limits(shown: Shown | None, deviations: float = 4.0) -> tuple[float, float] | None:
    """Contrast of so many standard deviations of the plane's noise, raw counts; None while not known."""
    if shown is None or shown.noise is None:
        return None
    level = shown.fidelity[::_SAMPLE_STEP, ::_SAMPLE_STEP]
    level = level[np.isfinite(level)]
    if level.size == 0:
        return None
    reach = deviations * float(np.sqrt(np.mean(shown.noise.variance(level))))
    return (-reach, reach) if reach > 0 else None


def spread_limits(plane: NDArray[Any]) -> tuple[float, float]:
    """Symmetric contrast that 99.5 % of a plane's pixels that differ from 0 lie within; +-1 for none."""
    values = np.abs(plane[..., ::_SAMPLE_STEP, ::_SAMPLE_STEP])
    values = values[np.isfinite(values) & (values > 0)]
    reach = float(np.percentile(values, _SPREAD_PERCENT)) if values.size else 1.0
    return -reach, reach
