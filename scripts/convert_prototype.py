"""Turn averaged weights of the prototype of format 2 into a model's folder.

python scripts/convert_prototype.py average-light.pt OUT --size light
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from napari_rdpdenoise.codec.card import write_card
from napari_rdpdenoise.codec.models import build_network, network_tensors
from napari_rdpdenoise.codec.trained_range import TrainedRange
from napari_rdpdenoise.nn.config import NetworkConfig
from napari_rdpdenoise.nn.network import RdpNetwork
from napari_rdpdenoise.train.settings import load_settings

_MODELS = Path(__file__).parents[1] / "models"
RECIPES = {"light": _MODELS / "fluo-light" / "series.yaml", "base": _MODELS / "fluo-base" / "train.yaml"}
_SAME = {
    "stem": "analysis.layers.1",
    "to_detail": "analysis.detail",
    "from_detail": "fidelity.detail",
    "hyper_in": "hyperprior.detail_analysis.1",
    "hyper_detail.1": "hyperprior.detail_synthesis.0",
}


def our_name(name: str, config: NetworkConfig) -> str:
    """Name of a tensor in our network, given that in the prototype's."""
    for theirs, ours in _SAME.items():
        if name.startswith(f"{theirs}."):
            return ours + name[len(theirs) :]
    for part, first in (("fine", 2), ("coarse", 2 + config.encoder_blocks[0])):
        if name.startswith(f"{part}."):
            _, number, rest = name.split(".", 2)
            return f"analysis.layers.{first + int(number)}.{rest}"
    return name


def our_tensors(tensors: dict[str, Tensor], config: NetworkConfig) -> dict[str, Tensor]:
    """Tensors of the prototype under our names, without those that our network makes anew.

    Args:
        tensors: Tensors of the prototype's averaged network by name.
        config: Sizes of our network, without a realism decoder.
    """
    wanted = network_tensors(RdpNetwork(config))
    renamed = {our_name(name, config): value for name, value in tensors.items()}
    return {name: renamed[name] for name in wanted}


def main() -> None:
    """Convert, and write weights and card."""
    from safetensors.torch import save_file

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", choices=RECIPES, required=True)
    options = parser.parse_args()
    settings = load_settings(RECIPES[options.size])
    config = settings.network.model_copy(update={"realism": False, "grain_channels": 0})
    tensors = our_tensors(torch.load(options.weights, weights_only=True), config)
    options.out.mkdir(parents=True, exist_ok=True)
    save_file(network_tensors(build_network(config, tensors)), options.out / "model.safetensors")
    light = settings.noise
    write_card(
        options.out,
        {"converted from": options.weights.name},
        name=settings.name,
        description="Second format: three planes, details, every light; fidelity decoder alone.",
        licence="not stated: the licences of the training images decide",
        network=config,
        trained_range=TrainedRange(photons=light.photons, read_electrons=light.read_electrons),
    )


if __name__ == "__main__":
    main()
