"""Scores of a network on held-out images while it trains."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import numpy as np
import torch
from torch import Tensor

from napari_rdpdenoise.metrics import MetricUnavailable, lpips
from napari_rdpdenoise.nn.decoders.grain import Place, grain
from napari_rdpdenoise.nn.network import RdpNetwork
from napari_rdpdenoise.train.data.batches import ValidationImage

RATES = (0.25, 0.6, 1.0)
_CROP = 384  # px
_SMALLEST = 32  # px, of LPIPS


def validate(network: RdpNetwork, images: list[ValidationImage]) -> dict[str, float]:
    """Mean scores per source, decoder and rate.

    PSNR in dB over the noisy file's range, bpp from the coder's tables; of a network with a realism decoder
    also that decode's PSNR and the LPIPS (AlexNet) of both, where its network is on this machine.
    """
    rows: dict[str, list[float]] = {}
    network.hyperprior.prepare_coder()
    for image in images:
        for name, value in _scores(network, image).items():
            rows.setdefault(f"{image.source} {name}", []).append(value)
    return {name: float(np.mean(values)) for name, values in rows.items()}


def _with_grain(network: RdpNetwork) -> Callable[[Tensor], Tensor]:
    """The realism decoder with the same grain at every call."""
    decoder, channels = network.realism, network.config.grain_channels
    assert decoder is not None

    def decode(hat: Tensor) -> Tensor:
        size = 2 * hat.shape[-2], 2 * hat.shape[-1]
        numbers = grain(channels, size, Place())[None].to(hat.device) if channels else None
        return decoder(hat, numbers)

    return decode


def _scores(network: RdpNetwork, image: ValidationImage) -> dict[str, float]:
    cut = tuple(slice(0, min(n, _CROP) // 16 * 16) for n in image.noisy.shape)
    noisy, clean = image.noisy[cut], image.clean[cut]
    peak = 255.0 if noisy.max() <= 255 else float(clean.max())
    device = next(network.parameters()).device
    decoders = {"": network.fidelity} | (
        {} if network.realism is None else {"realism ": _with_grain(network)}
    )
    out: dict[str, float] = {}
    with torch.no_grad():
        u = torch.from_numpy(image.normalization.forward(noisy))[None, None].to(device)
        features = network.analysis(u)
        for rate in RATES:
            q = torch.full((1,), rate, device=device)
            symbols = network.quantize(features, q)
            out[f"bpp@{rate}"] = float(network.hyperprior.estimated_bits(symbols).sum()) / noisy.size
            hat = network.latents(symbols, q)
            for name, decoder in decoders.items():
                counts = image.normalization.inverse(decoder(hat)[0, 0].cpu().numpy())
                error = float(np.mean((counts - clean) ** 2))
                out[f"{name}psnr@{rate}"] = 10 * float(np.log10(peak**2 / error))
                if len(decoders) > 1 and min(noisy.shape) >= _SMALLEST:
                    with suppress(MetricUnavailable):
                        out[f"{name}lpips@{rate}"] = lpips(counts, clean)
    return out
