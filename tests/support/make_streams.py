"""Coded streams that every machine must read alike: run it to make them again, when their layout changes.

    PYTHONPATH=tests:src python tests/support/make_streams.py            # streams.npz, again
    PYTHONPATH=tests:src python tests/support/make_streams.py NAME       # NAME.npz: images, encoded here

The model has random weights, so large that the scales of its latents cover all rows of the coder's tables. It
is made only where there is none: ``by_kind.npz`` has streams of it in layout 3, which nothing makes now.
Images that are encoded are another matter than symbols: on another machine the encoder may round other
features up. What it once wrote is read alike everywhere. ``streams/README.md`` says which machines wrote.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "streams"
TRAINED = Path(__file__).parent / "fluo-light-1"
COUNT = 6


def random_latents(codec, number):
    """Symbols of a tile of random size that its own scales make likely, with some that are far off."""
    import torch

    from napari_rdpdenoise.codec import Latents, Normalization
    from napari_rdpdenoise.noise import NoiseModel

    rng = np.random.default_rng(number)
    rows, columns = (int(n) for n in rng.integers(1, 6, 2))
    hyperprior = codec._network.hyperprior
    channels = dict(zip(hyperprior.kinds, codec._network.symbol_channels, strict=True))
    z = np.rint(rng.normal(0, 2 + 6 * rng.random(), (channels["z"], rows, columns))).astype(np.int16)
    with torch.no_grad():
        moments = hyperprior._moments(torch.from_numpy(z)[None].float() + hyperprior._medians())
    parts = []
    for moment in moments:
        symbols = rng.normal(size=moment.sigma.shape[1:]) * np.minimum(moment.sigma[0].numpy(), 3000)
        symbols[rng.random(symbols.shape) < 0.002] = rng.integers(-3000, 3000)
        parts.append(np.rint(symbols).astype(np.int16))
    shape = (16 * rows - int(rng.integers(16)), 16 * columns - int(rng.integers(16)))
    means = rng.integers(-(2**20), 2**20, [-(-n // 64) for n in shape]).astype(np.int32)
    normalization = Normalization(NoiseModel(2.0, 100.0, 3.0), float(rng.normal()), 1.0)
    return Latents(
        (parts[0], z, *parts[1:]), means, shape, float(np.float32(rng.random())), normalization, 1.0
    )


def make_model(folder):
    """Write the model."""
    import hashlib

    import yaml
    from conftest import make_tiny_model
    from safetensors.torch import load_file, save

    make_tiny_model(folder, detail_channels=8)
    tensors = load_file(folder / "model.safetensors")
    for name in tensors:
        if "hyperprior.synthesis" in name or "detail_synthesis" in name:
            tensors[name] = (tensors[name].float() * (3 if name.endswith("weight") else 1)).half()
    weights = save(tensors)
    (folder / "model.safetensors").write_bytes(weights)
    card = yaml.safe_load((folder / "card.yaml").read_text())
    card["sha256"] = hashlib.sha256(weights).hexdigest()
    (folder / "card.yaml").write_text(yaml.safe_dump(card), encoding="utf-8")


def make(folder):
    """Write the streams with their symbols."""
    from napari_rdpdenoise.codec import load_model

    if not (folder / "card.yaml").is_file():
        make_model(folder)
    codec = load_model(folder, "cpu")
    kept = {}
    for number in range(COUNT):
        latents = random_latents(codec, number)
        kept[f"{number}.bytes"] = np.frombuffer(codec.compress(latents), np.uint8)
        for kind, part in zip(codec._network.hyperprior.kinds, latents.symbols, strict=True):
            kept[f"{number}.{kind}"] = part
        kept[f"{number}.means"] = latents.means
    np.savez_compressed(folder / "streams.npz", **kept)


def image_of(number):
    """A tile of uint16 that every machine makes alike."""
    rng = np.random.default_rng([7, number])
    rows, columns = (int(n) for n in rng.integers(40, 90, 2))
    bright = 20 * 4**number * (1 + rng.integers(0, 2, (rows // 8 + 1, columns // 8 + 1)))
    return rng.poisson(np.kron(bright, np.ones((8, 8), int))[:rows, :columns]).astype(np.uint16) + 100


def make_encoded(folder, name):
    """Write images that this machine encodes in both precisions, with their symbols and decodes.

    By a trained model, whose features bfloat16 moves.
    """
    import torch

    from napari_rdpdenoise.codec import Normalization, load_model
    from napari_rdpdenoise.noise import NoiseModel

    codec = load_model(TRAINED, "cpu")
    kept = {"machine": np.array(machine_words(torch))}
    for precision in ("float32", "bfloat16"):
        for number in range(2):
            normalization = Normalization(NoiseModel(1.0, 100.0, 1.0), 12.0 * 2**number, 1.0)
            (latents,) = codec.at(precision).encode([image_of(number)], normalization, 0.5)
            key = f"{precision}.{number}"
            kept[f"{key}.bytes"] = np.frombuffer(codec.compress(latents), np.uint8)
            for kind, part in zip(codec._network.hyperprior.kinds, latents.symbols, strict=True):
                kept[f"{key}.{kind}"] = np.asarray(part)
            kept[f"{key}.decode"] = codec.at("float32").decode([latents])[0].first.astype(np.float32)
    np.savez_compressed(folder / f"{name}.npz", **kept)


def machine_words(torch):
    """Processor, what it can do, and what computes on it."""
    import platform

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [
        line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "cpu family"))
    ]
    words = [platform.machine(), *dict.fromkeys(names), torch.backends.cpu.get_cpu_capability()]
    return ", ".join([*words, f"PyTorch {torch.__version__}", f"NumPy {np.__version__}"])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        make_encoded(FOLDER, sys.argv[1])
    else:
        make(FOLDER)
