"""Layers that compare the noisy image with its result, as arrays that are computed when they are looked at.

None of them holds a stack, and none runs the network. No Qt here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.axes import channel_axis
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.ui.layers.slicing import Sliced, SlicedPlanes
from napari_rdpdenoise.ui.preview.shown import Shown

__all__ = ["Difference", "Gap", "KeptShare", "Removed", "Split"]


NoiseOf = Callable[[int, tuple[int, ...]], NoiseModel | None]
"""Gives the noise model of a channel and of one of its planes; None while it is not known."""


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
        self.shape = _one_shape(noisy, result)
        self.dtype = np.dtype(np.float32)
        self.noisy, self.result, self.deferred = noisy, result, _deferred(noisy, result)

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


class Removed(Difference):
    """What was removed in standard deviations of the noise, float32: white noise of 1 if only that is gone.

    0 where the result is not done or no number, and where the noise is not known yet.

    Args:
        noisy, result: Arrays as `Difference` takes them.
        axes: Axes, one upper-case letter each, such as "TCYX".
        noise_of: Function that gives the noise model of a channel and of one of its planes; None while it is
            not known.
    """

    def __init__(self, noisy: Any, result: Any, axes: str, noise_of: NoiseOf) -> None:
        super().__init__(noisy, result)
        self._leading = [place for place, letter in enumerate(axes) if letter not in "YX"]
        self._channel = channel_axis(axes)
        self._noise_of = noise_of

    def _read(self, full: tuple[Any, ...]) -> NDArray[np.float32]:
        removed, result = super()._read(full), np.asarray(self.result[full])
        for index in product(*(_taken(self.shape[axis], full[axis]) for axis in self._leading)):
            places = dict(zip(self._leading, index, strict=True))
            place = tuple(
                _taken(self.shape[axis], part).index(places[axis]) if axis in places else slice(None)
                for axis, part in enumerate(full)
                if isinstance(part, slice)
            )
            channel = 0 if self._channel is None else places[self._channel]
            removed[place] = self._scaled(removed[place], result[place], channel, index)
        return removed

    def _scaled(self, removed: Any, result: Any, channel: int, index: tuple[int, ...]) -> NDArray[np.float32]:
        noise = self._noise_of(channel, index)
        if noise is None:
            return np.zeros_like(removed)
        deviation = np.sqrt(noise.variance(np.nan_to_num(result, posinf=0.0, neginf=0.0)))
        return np.asarray(removed / deviation, dtype=np.float32)


def _taken(size: int, part: Any) -> Sequence[int]:
    """Places along an axis of so many pixels that a part of a key takes."""
    return range(size)[part] if isinstance(part, slice) else (part,)


class Split(Sliced):
    """The noisy image up to a divider and the result from there on, in the result's dtype.

    Args:
        noisy, result: Arrays of one shape, as `Difference` takes them.
        axis: Axis along which they share the picture, from 0.
        stop: Pixels along it that are noisy, from 0 to its length.

    Raises:
        ValueError: If the shapes differ, or there is no such axis or place on it.
    """

    def __init__(self, noisy: Any, result: Any, axis: int, stop: int) -> None:
        self.shape = _one_shape(noisy, result)
        if not 0 <= axis < len(self.shape):
            raise ValueError(
                f"axis: expected 0 to {len(self.shape) - 1} for the shape {self.shape}, found {axis}"
            )
        self.dtype = np.dtype(result.dtype)
        self.noisy, self.result, self.axis = noisy, result, axis
        self.deferred = _deferred(noisy, result)
        self.stop = stop
        self.move(stop)

    def move(self, stop: int) -> None:
        """Put the divider elsewhere; a ValueError refuses a place outside."""
        if not 0 <= stop <= self.shape[self.axis]:
            raise ValueError(
                f"stop: expected 0 to {self.shape[self.axis]}, the length of axis {self.axis}, found {stop}"
            )
        self.stop = stop

    def _read(self, full: tuple[Any, ...]) -> NDArray[Any]:
        part = full[self.axis]
        if not isinstance(part, slice):
            return np.asarray((self.noisy if part < self.stop else self.result)[full], dtype=self.dtype)
        out = np.array(self.result[full], dtype=self.dtype)  # a copy: the result stays as it is
        taken = np.arange(self.shape[self.axis])[part] < self.stop
        if taken.any():
            place = sum(isinstance(item, slice) for item in full[: self.axis])
            where: Any = (*(slice(None),) * place, taken)
            out[where] = np.asarray(self.noisy[full])[where]
        return out


class _OfShown(SlicedPlanes, ABC):
    """Numbers of the shown plane, float32; 0 where they are not known, and in other planes.

    Args:
        shape: Shape of the layer, pixels.
        axes: Axes of the layer, one upper-case letter each, with Y and X.

    Attributes:
        plane: Numbers of the plane that was shown last, (height, width).
    """

    def __init__(self, shape: tuple[int, ...], axes: str) -> None:
        super().__init__(shape, axes, np.dtype(np.float32))
        self.plane = np.zeros((shape[self._y], shape[self._x]), np.float32)
        self._index: tuple[int, ...] | None = None

    def show(self, shown: Shown | None) -> bool:
        """Take over what is shown, and tell whether its numbers are known.

        Raises:
            ValueError: If the plane is of another size.
        """
        plane = self.of(shown)
        if shown is None or plane is None:
            self._index = None
            return False
        if plane.shape != self.plane.shape:
            raise ValueError(
                f"shown: expected a plane of {self.plane.shape} pixels, found {plane.shape}; "
                f"make a new {type(self).__name__} for another layer"
            )
        self.plane, self._index = plane, shown.index
        return True

    @classmethod
    def of(cls, shown: Shown | None) -> NDArray[np.float32] | None:
        """The numbers of what is shown, 0 where it is not done, (height, width); None while not known."""
        plane = None if shown is None else cls._of(shown)
        if shown is not None and plane is not None:
            plane[~(shown.done & np.isfinite(plane))] = 0
        return plane

    @staticmethod
    @abstractmethod
    def _of(shown: Shown) -> NDArray[np.float32] | None:
        """A new array of the numbers of a plane; None while they are not known."""

    def _read(self, full: tuple[Any, ...]) -> NDArray[np.float32]:
        out = np.zeros(self._read_shape(full), np.float32)
        if self._index is not None:
            self._overlay(out, full, self._index, self.plane)
        return out


class Gap(_OfShown):
    """Texture that the data do not determine: realism - fidelity, in standard deviations of the noise."""

    @staticmethod
    def _of(shown: Shown) -> NDArray[np.float32] | None:
        if shown.realism is None or shown.noise is None:
            return None
        plane = np.subtract(shown.realism, shown.fidelity, dtype=np.float32)
        plane /= np.sqrt(shown.noise.variance(np.nan_to_num(shown.fidelity)))
        return plane


class KeptShare(_OfShown):
    """Share of the residual that was kept from the input because it holds more than noise, 0 to 1."""

    @staticmethod
    def _of(shown: Shown) -> NDArray[np.float32] | None:
        return None if shown.share is None else shown.share.astype(np.float32)


class ExpectedError(_OfShown):
    """Half the width of the interval that is to hold the value without noise in 90 % of pixels, counts."""

    @staticmethod
    def _of(shown: Shown) -> NDArray[np.float32] | None:
        return None if shown.error is None else shown.error.copy()


def _deferred(noisy: Any, result: Any) -> tuple[int, ...]:
    """Axes that one of two arrays defers."""
    return tuple(sorted({*getattr(noisy, "deferred", ()), *getattr(result, "deferred", ())}))


def _one_shape(noisy: Any, result: Any) -> tuple[int, ...]:
    """The shape of both; a ValueError says that they differ."""
    shape, found = (tuple(int(size) for size in array.shape) for array in (noisy, result))
    if found != shape:
        raise ValueError(
            f"result: expected the shape of the noisy image, {shape}, found {found}; "
            "compare with a result of the whole layer"
        )
    return shape
