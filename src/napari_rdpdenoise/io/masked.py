"""An image beside which a mask says what is not image."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.io.arrays import ArraySource
from napari_rdpdenoise.io.opening import open_image
from napari_rdpdenoise.io.source import ImageSource, Index

_LETTERS = "ABDEFGHIJKLMNOPQRUVW"  # of leading axes of a mask, whose names do not matter


class MaskedSource:
    """A source with a mask of invalid pixels; closing it closes both.

    Args:
        source: Image.
        mask: Array, or open image, of the image's shape (in canonical order of axes) or of that of its last
            axes; what is not 0 is invalid.

    Raises:
        ValueError: If the shapes do not fit.
    """

    def __init__(self, source: ImageSource, mask: ImageSource | NDArray[Any]) -> None:
        if not isinstance(mask, ImageSource):
            mask = _plain(mask)
        shape = tuple(mask.shape)
        if shape != source.shape[len(source.shape) - len(shape) :]:
            raise ValueError(
                f"invalid: expected a mask of the image's shape {source.shape} or of its last axes, found "
                f"{shape}; rows and columns come last"
            )
        self._source, self._mask = source, mask
        self.shape, self.dtype, self.metadata = source.shape, source.dtype, source.metadata

    def read(self, index: Index, y: slice, x: slice) -> NDArray[Any]:
        """Read one block of the image."""
        return self._source.read(index, y, x)

    def read_invalid(self, index: Index, y: slice, x: slice) -> NDArray[np.bool_]:
        """Pixels of a block that the mask declares invalid."""
        leading = len(self._mask.shape) - 2
        return np.asarray(self._mask.read(index[len(index) - leading :], y, x) != 0)

    def close(self) -> None:
        """Close image and mask."""
        self._source.close()
        self._mask.close()

    def fingerprint(self) -> str:
        """Identity of image and mask."""
        both = f"{self._source.fingerprint()}|{self._mask.fingerprint()}"
        return hashlib.blake2b(both.encode(), digest_size=16).hexdigest()


def _plain(mask: NDArray[Any]) -> ArraySource:
    """A mask in hand as a source of 0 and 1."""
    array = (np.asarray(mask) != 0).astype(np.uint8)
    if array.ndim < 2:
        raise ValueError(f"invalid: expected a mask of rows and columns at least, found shape {array.shape}")
    return ArraySource(array, _LETTERS[: array.ndim - 2] + "YX")


def open_mask(path: str) -> ImageSource:
    """A mask in a file: TIFF, Zarr or ``.npy``.

    Raises as `open_image` does, its words about the mask.
    """
    try:
        if path.lower().endswith(".npy"):
            return _plain(np.load(path))
        return open_image(path)
    except (OSError, ValueError, TypeError) as error:
        raise type(error)(f"invalid: expected a mask at {path}: {error}") from error
