"""Scores of a network on held-out images while it trains."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import torch

from napari_rdpdenoise.codec.network_input import any_of, network_input, normalized_neighbours
from napari_rdpdenoise.metrics import MetricUnavailable, lpips
from napari_rdpdenoise.nn.decoder_names import FIDELITY
from napari_rdpdenoise.nn.decoders.place import Place
from napari_rdpdenoise.nn.network import Frames, RdpNetwork
from napari_rdpdenoise.train.data.batches import ValidationImage

RATES = (0.25, 0.6, 1.0)
_CROP = 384  # px
_SMALLEST = 32  # px, of LPIPS


def validate(network: RdpNetwork, images: list[ValidationImage]) -> dict[str, float]:
    """Mean scores per source, decoder and rate.

    PSNR in dB over the noisy file's range, bpp from the coder's tables; of a network with more decoders
    than that of fidelity also their PSNR and the LPIPS (AlexNet) of all, where its network is on this
    machine.
    """
    rows: dict[str, list[float]] = {}
    network.hyperprior.prepare_coder()
    for image in images:
        for name, value in _scores(network, image).items():
            rows.setdefault(f"{image.source} {name}", []).append(value)
    return {name: float(np.mean(values)) for name, values in rows.items()}


def _scores(network: RdpNetwork, image: ValidationImage) -> dict[str, float]:
    cut = tuple(slice(0, min(n, _CROP) // 16 * 16) for n in image.noisy.shape)
    noisy, clean = image.noisy[cut], image.clean[cut]
    peak = 255.0 if noisy.max() <= 255 else float(clean.max())
    device = next(network.parameters()).device
    out: dict[str, float] = {}
    with torch.no_grad():
        features = network.analysis(*_frames(network, image, cut, device))
        for rate in RATES:
            q = torch.full((1,), rate, device=device)
            latents, bits = network.coded(features, q)
            out[f"bpp@{rate}"] = float(bits.sum()) / noisy.size
            for name, decoded in network.decode(latents, q, network.decoders, [Place()]).items():
                counts = image.normalization.inverse(decoded[0, 0].cpu().numpy())
                error = float(np.mean((counts - clean) ** 2))
                prefix = "" if name == FIDELITY else f"{name} "
                out[f"{prefix}psnr@{rate}"] = 10 * float(np.log10(peak**2 / error))
                if len(network.decoders) > 1 and min(noisy.shape) >= _SMALLEST:
                    with suppress(MetricUnavailable):
                        out[f"{prefix}lpips@{rate}"] = lpips(counts, clean)
    return out


def _frames(
    network: RdpNetwork, image: ValidationImage, cut: tuple[slice, ...], device: torch.device
) -> Frames:
    """A window of an image as the network takes it, beside its neighbours where it has and can see them."""
    noisy, beside = image.noisy[cut], None
    if network.config.planes > 1 and any_of(image.neighbours):
        before, after = (None if other is None else other[cut] for other in image.neighbours)
        beside = [normalized_neighbours(noisy, (before, after), image.normalization)]
    return network_input([image.normalization.forward(noisy)], device, beside)
