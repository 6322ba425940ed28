"""Models on disk: a folder with ``card.yaml`` (what, from what, licence) and ``model.safetensors``."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor

from napari_rdpdenoise.codec.card import ModelCard, read_card
from napari_rdpdenoise.codec.codec import Codec
from napari_rdpdenoise.nn.config import NetworkConfig
from napari_rdpdenoise.nn.network import RdpNetwork

DEFAULT_MODEL = "fluo-light"
MODELS_FOLDER = Path(__file__).parent.parent / "models"
FORMAT_VERSION = 1
# Buffers that the entropy coder rebuilds from the weights.
_REBUILT = ("_quantized_cdf", "_offset", "_cdf_length", "scale_table", "scale_bound", ".target", ".bound")


def list_models() -> list[ModelCard]:
    """Cards of the shipped models, by name."""
    folders = sorted(p.parent for p in MODELS_FOLDER.glob("*/card.yaml"))
    return [read_card(folder) for folder in folders]


def load_model(name: str | Path = "default", device: str = "auto") -> Codec:
    """Load a shipped model by name, or one from a folder.

    Args:
        name: ``"default"``, a shipped model's name, or a folder with card.yaml and model.safetensors.
        device: ``"auto"`` (a GPU where there is one), ``"cpu"``, ``"cuda"`` or ``"mps"``.

    Raises:
        FileNotFoundError: if there is no such model.
        ValueError: if the device is not available, or the weights are not those the card describes.
    """
    from safetensors.torch import load

    folder = model_folder(name)
    card = read_card(folder)
    if card.format_version > FORMAT_VERSION:
        raise ValueError(
            f"model: {card.name} needs format {card.format_version}, this version reads up to "
            f"{FORMAT_VERSION}; update napari-rdpdenoise"
        )
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise FileNotFoundError(f"model: {weights} is missing; install the package again or train the model")
    data = weights.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != card.sha256:
        raise ValueError(
            f"model: {weights} is not the file its card describes (sha256 {found}, expected {card.sha256}); "
            "it is damaged or was replaced: install it again"
        )
    network = build_network(card.network, load(data))
    return Codec(network, card, bytes.fromhex(found)[:16], choose_device(device))


def model_digest(name: str | Path = "default") -> str:
    """`Codec.digest` of a model as hex text, from its card alone; empty if there is no such model."""
    try:
        return read_card(model_folder(name)).sha256[:32]
    except FileNotFoundError:
        return ""


def build_network(config: NetworkConfig, tensors: dict[str, Tensor]) -> RdpNetwork:
    """A network of ``config`` with shipped tensors in single precision, its coder ready.

    Raises:
        ValueError: if the tensors are not those of such a network.
    """
    network = RdpNetwork(config)
    load_tensors(network, tensors)
    network.eval()
    network.hyperprior.prepare_coder()
    return network


def load_tensors(network: RdpNetwork, tensors: dict[str, Tensor]) -> None:
    """Put shipped tensors into a network, in single precision.

    Raises:
        ValueError: if the tensors are not those of such a network.
    """
    state = {k: v.float() for k, v in tensors.items()}
    try:
        missing, unexpected = network.load_state_dict(state, strict=False)
    except RuntimeError as error:  # a tensor of another size
        raise ValueError(f"model: the weights do not fit the card's network; {error}") from error
    missing = [k for k in missing if not k.endswith(_REBUILT)]
    if missing or unexpected:
        raise ValueError(
            f"model: the weights do not fit the card's network; missing {missing[:3]}, "
            f"unexpected {unexpected[:3]}"
        )


def network_tensors(network: RdpNetwork) -> dict[str, Tensor]:
    """The tensors that are shipped: half precision, without the coder's tables."""
    state = {k: v for k, v in network.state_dict().items() if not k.endswith(_REBUILT)}
    return {k: v.detach().cpu().half().contiguous() for k, v in state.items()}


def choose_device(device: str) -> str:
    """Resolve ``"auto"``, and refuse a device that this machine does not have.

    Raises:
        ValueError: naming the device and what is available.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        return next(name for name, there in available.items() if there)
    if not available.get(device, False):
        have = ", ".join(name for name, there in available.items() if there)
        raise ValueError(
            f"device: {device!r} is not available here, found {have}; "
            "use auto (--device auto on the command line, Device under Advanced)"
        )
    return device


def model_folder(name: str | Path) -> Path:
    """Folder of a shipped model, or of one given by its path.

    Raises:
        FileNotFoundError: if there is no such model.
    """
    name = DEFAULT_MODEL if name == "default" else name
    for folder in (MODELS_FOLDER / name, Path(name)):
        if (folder / "card.yaml").is_file():
            return folder
    shipped = ", ".join(card.name for card in list_models()) or "none"
    raise FileNotFoundError(
        f"model: no model {str(name)!r}; expected one of the shipped ones ({shipped}) or a folder "
        "with card.yaml"
    )
