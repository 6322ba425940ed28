"""What decoders make of one tile, and the way from one image to another. Loads no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.nn.decoder_names import REALISM, DecoderMissing


class Decoded(Mapping[str, NDArray[np.float32]]):
    """Images of one tile by decoder, float32 raw counts, (height, width) each.

    Args:
        images: Images by the name of their decoder; the first one is shown at realism 0, the second at 1.
    """

    def __init__(self, images: Mapping[str, NDArray[np.float32]]) -> None:
        self._images = dict(images)

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        return self._images[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._images)

    def __len__(self) -> int:
        return len(self._images)

    @property
    def first(self) -> NDArray[np.float32]:
        """The image at realism 0: the fidelity decode, unless only another was asked for."""
        return next(iter(self._images.values()))

    @property
    def natural(self) -> NDArray[np.float32] | None:
        """The image at realism 1: the realism decode, or the sample that was asked for; None without one."""
        return next(islice(self._images.values(), 1, None), None)

    def blend(self, realism: float, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Blend of the first and the natural image; the first one itself at realism 0.

        Args:
            realism: Share of the natural image, 0 (lowest error) to 1 (most natural texture).
            out: Where the blend is written, float32 of the images' shape; None for a new array.

        Raises:
            DecoderMissing: If ``realism`` is above 0 and there is no natural image.
        """
        if realism == 0:
            return self.first
        if self.natural is None:
            raise DecoderMissing(REALISM, self, "this decode", realism)
        return blend(self.first, self.natural, realism, out)


def blend(
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    share: float | NDArray[np.float32],
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """``(1 - share) * low + share * high``, the optimal path between two decodes (Freirich 2021).

    Args:
        low: Image at share 0, float32.
        high: Image at share 1, float32 of the same shape.
        share: Position between the two, 0 to 1; one for all pixels, or an array with one for each.
        out: Where the result is written, neither of the images; None for a new array.
    """
    out = np.subtract(high, low, out=out)
    np.multiply(out, np.asarray(share, np.float32), out=out)
    return np.add(low, out, out=out)
