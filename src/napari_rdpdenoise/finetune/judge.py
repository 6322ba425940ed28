"""Figures of a model on held-out noisy images, without their truth.

* ``error``: of the fidelity or realism decode against the unknown truth, in noise variances. With ``z`` white
  noise like the image's own, ``y + tau z`` and ``y - z / tau`` have independent noise (coupled bootstrap,
  Oliveira, Lei and Tibshirani 2022, arXiv 2111.09447), so the first is denoised and compared with the second.
  Its level rests on the noise estimate; differences between two models do not, and are what counts. The same
  by block tells how well such a difference is known: the two models see the same noise in the same places.
* ``residual``: mean square of noisy minus decode, noise variances; 1 where exactly the noise was removed.
* ``mean``: mean of the decode against that of the noisy image, percent, before block means are put right.
* ``background``: root mean square of realism minus fidelity decode in the flattest tenth of the image, in
  noise standard deviations: texture that is drawn where there is none.
* ``texture``: distance of displayed decode and references, see ``texture``.
* ``fidelity error``, ``fidelity residual``: of the fidelity decode, where another decides and it learns too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_rdpdenoise.codec.network_input import reconstruct
from napari_rdpdenoise.codec.normalization import UNIT, Normalization
from napari_rdpdenoise.finetune.images import filled
from napari_rdpdenoise.finetune.references import display_range
from napari_rdpdenoise.finetune.texture import Texture
from napari_rdpdenoise.nn.decoder_names import FIDELITY
from napari_rdpdenoise.nn.network import RdpNetwork
from napari_rdpdenoise.noise import stabilized_variance

_TAU = 0.5  # noise is 1.12 times as strong then; smaller is closer to the image, and noisier
_EDGE = 384  # px of a held-out window
_MOST = 4  # windows
_BLOCK = 16  # px of a block that is flat or not
_ERRORS = 32  # px of a block whose error is kept: wider than what a decoder makes of one pixel's noise
_FLAT = 10.0  # percentile of the blocks
_BLUR = 3.0  # px; what is left of the noise of a window changes its unit by little


class Judge:
    """Figures of a network at one rate.

    Args:
        planes: Held-out noisy planes, counts.
        normalization: Normalisation of all of them.
        rate: Rate at which networks are compared, 0 to 1.
        decoder: Name of the decoder that is judged.
        references: Clean images, counts; without any there is no ``texture``.

    Attributes:
        windows: Middles of some of the planes, (rows, columns), counts.
        blocks: Values of ``error`` of the network judged last, by blocks of about 32 px, always in one order.
    """

    def __init__(
        self,
        planes: Sequence[NDArray[Any]],
        normalization: Normalization,
        rate: float,
        decoder: str = FIDELITY,
        references: Sequence[NDArray[Any]] = (),
    ) -> None:
        self.normalization, self.rate, self.decoder = normalization, rate, decoder
        chosen = [planes[int(k)] for k in np.linspace(0, len(planes) - 1, min(_MOST, len(planes)))]
        self.windows = [_window(filled(plane)) for plane in chosen]
        self._units = [_unit(window, normalization) for window in self.windows]
        shown = [_displayed(filled(r).astype(np.float32), display_range(r)) for r in references[:32]]
        self._texture = Texture(shown) if shown else None
        self.blocks: list[float] = []

    def figures(self, network: RdpNetwork) -> dict[str, float]:
        """The module's figures, by name."""
        self.blocks = []
        rows = [self._of_window(network, window, number) for number, window in enumerate(self.windows)]
        out = {name: float(np.mean([row[name] for row, _ in rows])) for name in rows[0][0]}
        if self._texture is not None:
            out["texture"] = self._texture.distance([shown for _, shown in rows])
        return out

    def fidelity_figures(self, network: RdpNetwork) -> dict[str, float]:
        """Estimated error and residual of the fidelity decode, noise variances."""
        found = []
        for number, (window, unit) in enumerate(zip(self.windows, self._units, strict=True)):
            u = self.normalization.forward(window)
            image = reconstruct(network, u, self.rate)[FIDELITY]
            error = self._errors(network, u, number, FIDELITY).mean()
            found.append((float(error), float(np.mean(np.square((u - image) / unit)))))
        error, residual = np.mean(found, axis=0)
        return {"fidelity error": float(error), "fidelity residual": float(residual)}

    def _of_window(
        self, network: RdpNetwork, noisy: NDArray, number: int
    ) -> tuple[dict[str, float], NDArray[np.float32]]:
        normalization = self.normalization
        u = normalization.forward(noisy)
        images = reconstruct(network, u, self.rate, {FIDELITY, self.decoder})
        fidelity, image = images[FIDELITY], images[self.decoder]
        counts, smooth = normalization.inverse(image), normalization.inverse(fidelity)
        unit = self._units[number]
        mean = float(noisy.mean())
        light = max(mean - min(normalization.noise.offset, float(noisy.min())), 1e-6)
        errors = self._errors(network, u, number, self.decoder)
        self.blocks += _block_means(errors)
        row = {
            "error": float(errors.mean()),
            "residual": float(np.mean(np.square((u - image) / unit))),
            "mean": 100 * (float(counts.mean()) - mean) / light,
            "background": _background((image - fidelity) / unit, fidelity),
        }
        return row, _displayed(counts, display_range(smooth))

    def _errors(self, network: RdpNetwork, u: NDArray, number: int, decoder: str) -> NDArray[np.float64]:
        """Estimated squared error at every pixel, noise variances; only means of many mean anything."""
        z = np.random.default_rng([number, 5]).standard_normal(u.shape).astype(np.float32)
        unit, total = self._units[number], np.zeros(u.shape)
        for sign in (1, -1):  # the pair takes off what z and the image's own noise have in common
            noise = sign * unit * z
            image = reconstruct(network, u + np.float32(_TAU) * noise, self.rate, (decoder,))[decoder]
            total += np.square((image - u + noise / _TAU) / unit)
        return np.asarray(total / 2 - 1 - np.square(z, dtype=np.float64) / _TAU**2)


def _window(plane: NDArray) -> NDArray[np.float32]:
    """The middle of a plane."""
    cut = tuple(slice(max(0, (n - _EDGE) // 2), max(0, (n - _EDGE) // 2) + _EDGE) for n in plane.shape)
    return plane[cut].astype(np.float32)


def _unit(noisy: NDArray, normalization: Normalization) -> NDArray[np.float32]:
    """Noise standard deviation at every pixel, network units.

    Not from the decode: in dim light a decode that is too bright would be given a larger unit, and with it a
    smaller error.
    """
    variance = stabilized_variance(ndimage.gaussian_filter(noisy, _BLUR), normalization.noise)
    return np.asarray(normalization.scale / UNIT * np.sqrt(variance), dtype=np.float32)


def _block_means(errors: NDArray) -> list[float]:
    """Means of blocks of nearly one size that cover the whole."""
    strips = np.array_split(errors, max(1, round(errors.shape[0] / _ERRORS)), axis=0)
    count = max(1, round(errors.shape[1] / _ERRORS))
    blocks = [block for strip in strips for block in np.array_split(strip, count, axis=1)]
    return [float(f"{block.mean():.6g}") for block in blocks]


def _background(difference: NDArray, fidelity: NDArray) -> float:
    rows, columns = (n // _BLOCK * _BLOCK for n in difference.shape)
    texture, spread = (
        part[:rows, :columns]
        .reshape(rows // _BLOCK, _BLOCK, -1, _BLOCK)
        .swapaxes(1, 2)
        .reshape(-1, _BLOCK**2)
        for part in (difference, fidelity)
    )
    flat = spread.std(1) <= np.percentile(spread.std(1), _FLAT)
    return float(np.sqrt(np.mean(np.square(texture[flat]))))


def _displayed(image: NDArray, span: tuple[float, float]) -> NDArray[np.float32]:
    low, white = span
    return np.clip((image - low) / max(white - low, 1e-6), 0, 1).astype(np.float32)
