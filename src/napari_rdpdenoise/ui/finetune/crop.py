"""A part of a held-out image, as two networks denoise it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.nn.decoder_names import FIDELITY
from napari_rdpdenoise.ui.finetune.events import Crop

if TYPE_CHECKING:
    from napari_rdpdenoise.finetune.plan import Plan
    from napari_rdpdenoise.nn.network import RdpNetwork

__all__ = ["CropRenderer", "most_varied_part"]

EDGE = 96  # px of the part: three of them fit beside each other into a narrow dock
_AROUND = 32  # px that are denoised with it, so that its edges look like the rest


class CropRenderer:
    """Makes pictures of one place in a plan's held-out images, beside those of the network it starts from.

    Realism is 1 where that is what is learned, and 0 else.
    """

    def __init__(self, plan: Plan, start: RdpNetwork) -> None:
        judged = plan.judge
        if judged is not None:
            window, self._decoder = judged.windows[0], judged.decoder
            self._normalization = judged.normalization
        else:
            held = plan.data.validation()[0]
            window, self._normalization, self._decoder = held.noisy, held.normalization, FIDELITY
        self._rate = plan.rate
        before = self._denoised(start, window)
        y, x = most_varied_part(before, EDGE)
        outer = tuple(slice(max(0, n - _AROUND), n + EDGE + _AROUND) for n in (y, x))
        self._noisy = window[outer]
        self._inner = tuple(
            slice(n - part.start, n - part.start + EDGE) for n, part in zip((y, x), outer, strict=True)
        )
        self._before = self._denoised(start, self._noisy)[self._inner]

    def __call__(self, network: RdpNetwork, step: int) -> Crop:
        """The place as a network denoises it after a step."""
        after = self._denoised(network, self._noisy)[self._inner]
        return Crop(self._noisy[self._inner].astype(np.float32), self._before, after, step)

    def _denoised(self, network: RdpNetwork, noisy: NDArray[Any]) -> NDArray[np.float32]:
        from napari_rdpdenoise.codec.network_input import reconstruct

        decoder = self._decoder if self._decoder in network.decoders else FIDELITY
        images = reconstruct(network, self._normalization.forward(noisy), self._rate, (decoder,))
        return self._normalization.inverse(images[decoder])


def most_varied_part(image: NDArray[Any], edge: int) -> tuple[int, int]:
    """First row and column of the part (edge, edge), px, of greatest standard deviation."""
    places = [range(0, max(n - edge, 0) + 1, edge // 4) for n in image.shape]
    return max(
        ((y, x) for y in places[0] for x in places[1]),
        key=lambda at: float(image[at[0] : at[0] + edge, at[1] : at[1] + edge].std()),
    )
