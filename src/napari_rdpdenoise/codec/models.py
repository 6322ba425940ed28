"""From a model's folder to a codec, and from a network to the tensors that are kept."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from napari_rdpdenoise.codec.codec import Codec
from napari_rdpdenoise.codec.library import find
from napari_rdpdenoise.nn.config import NetworkConfig
from napari_rdpdenoise.nn.network import RdpNetwork

_USUAL_WIDTH, _USUAL_BLOCKS = 256, 24  # channels and blocks of a network that any machine has memory for
# Buffers that the entropy coder rebuilds from the weights.
_REBUILT = ("_quantized_cdf", "_offset", "_cdf_length", "scale_table", "scale_bound", ".target", ".bound")


def load_model(name: str | Path = "default", device: str = "auto") -> Codec:
    """Load a model, shipped or the user's own, by its name, or one from a folder.

    Args:
        name: ``"default"``, name of a model that ``list_models`` lists, or path of a model's folder.
        device: ``"auto"`` (a GPU where there is one), ``"cpu"``, ``"cuda"`` or ``"mps"``.

    Raises:
        FileNotFoundError: If there is no such model.
        ValueError: If the device is not available, or the weights are not those the card describes.
    """
    model = find(name)
    card, weights = model.card, model.folder / "model.safetensors"
    data = weights.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != card.sha256:
        raise ValueError(
            f"model: {weights} is not the file its card describes (sha256 {found}, expected {card.sha256}); "
            "it is damaged or was replaced: install it again"
        )
    network = build_network(card.network, _loaded(data, weights))
    return Codec(network, card, bytes.fromhex(found)[:16], choose_device(device))


def build_network(config: NetworkConfig, tensors: dict[str, Tensor]) -> RdpNetwork:
    """A network of ``config`` with shipped tensors in single precision, its coder ready.

    Raises:
        ValueError: If the tensors are not those of such a network.
    """
    if _is_large(config):
        with torch.device("meta"):  # takes no memory, whatever the card says, but loads torch's compiler
            _check_tensors(RdpNetwork(config), tensors)
    network = RdpNetwork(config)
    load_tensors(network, tensors)
    network.eval()
    network.hyperprior.prepare_coder()
    return network


def _is_large(config: NetworkConfig) -> bool:
    widths = config.quarter_channels, config.eighth_channels, config.latent_channels, config.hyper_channels
    blocks = sum(config.encoder_blocks) + sum(config.decoder_blocks)
    return max(widths) > _USUAL_WIDTH or blocks > _USUAL_BLOCKS


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a file of weights.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is no whole file of weights.
    """
    return _loaded(path.read_bytes(), path)


def load_tensors(network: RdpNetwork, tensors: dict[str, Tensor]) -> None:
    """Put shipped tensors into a network, in single precision.

    Raises:
        ValueError: If the tensors are not those of such a network.
    """
    _check_tensors(network, tensors)
    network.load_state_dict({k: v.float() for k, v in tensors.items()}, strict=False)


def _loaded(data: bytes, path: Path) -> dict[str, Tensor]:
    try:
        return load(data)
    except SafetensorError as error:
        raise ValueError(
            f"model: expected weights in {path}, found another file or a part of one ({error}); "
            "install the model again, or train it again"
        ) from None


def _check_tensors(network: RdpNetwork, tensors: dict[str, Tensor]) -> None:
    """Refuse tensors of other names or sizes than the network's, and what is no number in them."""
    expected = {k: v.shape for k, v in network.state_dict().items() if not k.endswith(_REBUILT)}
    missing, unexpected = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if missing or unexpected:
        raise ValueError(
            f"model: the weights do not fit the card's network; missing {missing[:3]}, "
            f"unexpected {unexpected[:3]}"
        )
    for name, shape in expected.items():
        if tensors[name].shape != shape:
            raise ValueError(
                f"model: the weights do not fit the card's network; {name}: expected {tuple(shape)}, found "
                f"{tuple(tensors[name].shape)}"
            )
        if not torch.isfinite(tensors[name]).all():
            raise ValueError(
                f"model: expected finite weights, found NaN or infinity in {name}; train it again"
            )


def network_tensors(network: RdpNetwork) -> dict[str, Tensor]:
    """The tensors that are shipped: half precision, without the coder's tables."""
    state = {k: v for k, v in network.state_dict().items() if not k.endswith(_REBUILT)}
    return {k: v.detach().cpu().half().contiguous() for k, v in state.items()}


def choose_device(device: str) -> str:
    """Resolve ``"auto"``, and refuse a device that this machine does not have.

    Raises:
        ValueError: If it is not available; the message names what is.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    available = [name for name, found in there.items() if found]
    if device == "auto":
        return available[0]
    if device not in available:
        raise ValueError(
            f"device: {device!r} is not available here, found {', '.join(available)}; "
            "use auto (--device auto on the command line, Device under More)"
        )
    return device
