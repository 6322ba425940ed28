"""Trained peers: Noise2Void on the very image that is denoised, and the U-Nets of ``train_unet.py``.

Noise2Void (Krull et al., CVPR 2019) replaces a few pixels of each patch by a neighbour's value and asks the
network for what stood there; it never sees a clean image. Its numbers here are the published ones (patches of
64 px, 0.198 % of the pixels, neighbours from 11 x 11, Adam at 4e-4) but for batch and number of steps, which
fit into about a minute per image on two CPU cores, and for batch norm, which is left out: with it two images
of the training set came out 1.0 and 1.7 dB worse (after 200 steps).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.networks import PlainUNet
from benchmarks.peers import ESTIMATE_VERSION, Peer, Plane
from napari_rdpdenoise.codec import fit_normalization
from napari_rdpdenoise.noise import estimate_noise

PATCH = 64  # px
MASKED = 0.00198  # share of a patch's pixels
RADIUS = 5  # px, of the square that replacements come from
LEARNING_RATE = 4e-4
BATCH, STEPS = 16, 400
SETS_OF_N2V = ("FMD raw", "W2S 081-100")  # minutes per image: two images of each, see ``every``
MODES = {"n2c": "clean targets", "n2n": "noisy targets"}
Places = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]  # patch, row, column


def blind_spots(
    patches: NDArray[np.float32], rng: np.random.Generator, share: float = MASKED
) -> tuple[NDArray[np.float32], Places]:
    """Patches with some pixels replaced, and where: (n, h, w) to the same and the places.

    A replacement never comes from a replaced pixel, neither itself nor another: the network would see values
    that it is asked for.
    """
    count, height, width = patches.shape
    each = max(1, round(share * height * width))
    flat = np.stack([rng.choice(height * width, each, replace=False) for _ in range(count)])
    n = np.repeat(np.arange(count), each)
    row, column = (part.ravel() for part in np.divmod(flat, width))
    hidden = np.zeros(patches.shape, bool)
    hidden[n, row, column] = True
    from_row, from_column = row.copy(), column.copy()
    while (again := np.flatnonzero(hidden[n, from_row, from_column])).size:
        for at, source, size in ((row, from_row, height), (column, from_column, width)):
            low, high = np.maximum(at[again] - RADIUS, 0), np.minimum(at[again] + RADIUS, size - 1)
            source[again] = rng.integers(low, high + 1)
    masked = patches.copy()
    masked[n, row, column] = patches[n, from_row, from_column]
    return masked, (n, row, column)


def random_patches(image: NDArray[np.float32], rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Windows of ``PATCH`` px at random places, turned and mirrored: (count, PATCH, PATCH)."""
    out = []
    for _ in range(count):
        y, x = (int(rng.integers(n - PATCH + 1)) for n in image.shape)
        patch = np.rot90(image[y : y + PATCH, x : x + PATCH], int(rng.integers(4)))
        out.append(patch[:, ::-1] if rng.integers(2) else patch)
    return np.stack(out)


def n2v_network() -> PlainUNet:
    """The U-Net of CAREamics' N2V layout, without batch norm."""
    return PlainUNet(batch_norm=False)


def noise2void(
    noisy: Plane, _clean: Plane, threads: int, steps: int = STEPS
) -> tuple[Plane, dict[str, float]]:
    """Train on the image, then denoise it; image at least ``PATCH`` px on a side."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    network = n2v_network().to(memory_format=torch.channels_last).train()
    image = noisy.astype(np.float32)
    mean, spread = float(image.mean()), float(image.std()) or 1.0
    image = (image - mean) / spread
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    for _ in range(steps):
        patches = random_patches(image, rng, BATCH)
        masked, (n, row, column) = blind_spots(patches, rng)
        given = torch.from_numpy(masked)[:, None].contiguous(memory_format=torch.channels_last)
        asked = torch.from_numpy(patches[n, row, column])
        loss = nn.functional.mse_loss(network(given)[n, 0, row, column], asked)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return predict(network, image) * spread + mean, {"steps": steps}


def predict(network: nn.Module, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """One pass over a plane of any size, which is mirrored up to multiples of 4 px."""
    height, width = image.shape
    padded = np.pad(image, [(0, -height % 4), (0, -width % 4)], mode="symmetric")
    device = next(network.parameters()).device
    given = torch.from_numpy(padded)[None, None].to(device, memory_format=torch.channels_last)
    with torch.inference_mode():
        return network.eval()(given)[0, 0, :height, :width].cpu().numpy()


def load_unet(file: Path) -> PlainUNet:
    """What ``train_unet.py`` wrote."""
    kept = torch.load(file, map_location="cpu", weights_only=True)
    network = PlainUNet(kept["channels"], kept["batch_norm"])
    network.load_state_dict(kept["network"])
    return network.to(memory_format=torch.channels_last).eval()


def _unet(noisy: Plane, _clean: Plane, threads: int, *, network: PlainUNet) -> Plane:
    """In the units our codec works in, from the same noise estimate, back through the same exact inverse."""
    torch.set_num_threads(threads)
    normalization = fit_normalization([noisy], estimate_noise([noisy]))
    return normalization.inverse(predict(network, normalization.forward(noisy)))


def learned_peers(folders: Iterable[Path]) -> tuple[list[Peer], dict[str, str]]:
    """The peers that can run, and of the others why not.

    Args:
        folders: where ``unet-n2c.pt`` and ``unet-n2n.pt`` may lie, the first one that holds a file counts.
    """
    name, version = "N2V U-Net, trained on the image", f"1 {STEPS}x{BATCH}"
    peers = [Peer(name, noise2void, True, version, every=6, sets=SETS_OF_N2V)]
    missing = {}
    for mode, targets in MODES.items():
        name = f"U-Net, {targets} ({mode.upper()})"
        file = next((f for folder in folders if (f := folder / f"unet-{mode}.pt").is_file()), None)
        if file is None:
            missing[name] = f"not trained: run python -m benchmarks.train_unet --mode {mode}"
            continue
        digest = blake2b(file.read_bytes(), digest_size=4).hexdigest()
        denoise: Any = partial(_unet, network=load_unet(file))
        peers.append(Peer(name, denoise, True, f"1 {digest} {ESTIMATE_VERSION}"))
    return peers, missing
