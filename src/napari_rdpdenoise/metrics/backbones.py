"""Published ImageNet networks of the perceptual metrics: where they lie, and that they are the right ones.

A network is never shipped and never replaced: a file that is absent or altered makes its metric unavailable.
Two forms are read: torchvision's published checkpoint (``alexnet-owt-7be5be79.pth``) and the bare convolution
tensors (``alexnet_features.npz``, keys as in torchvision's ``features``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.files import BACKBONES_VARIABLE, backbones_folder, user_data
from napari_rdpdenoise.metrics.errors import MetricUnavailable

Tensors = dict[str, NDArray[np.float32]]

SOURCE = "https://download.pytorch.org/models/"


@dataclass(frozen=True)
class Backbone:
    """How to know one published network.

    Attributes:
        checkpoint: File name of torchvision's release.
        checkpoint_sha256: Digest of that file, or the leading part that its name carries.
        bare: File name of the bare convolution tensors.
        tensors_sha256: ``tensor_digest`` of the convolution tensors; None where no verified value exists, and
            then only the checkpoint is taken.
        large: Whether it is so large that it is fetched on request only.
    """

    checkpoint: str
    checkpoint_sha256: str
    bare: str
    tensors_sha256: str | None
    large: bool = False


BACKBONES: Mapping[str, Backbone] = {
    "alexnet": Backbone(
        "alexnet-owt-7be5be79.pth",
        "7be5be79",
        "alexnet_features.npz",
        "934bb23e729c2d9811e913ecb9c23435cfe61864ce23be42e0c3555ad596e5f1",
    ),
    "squeezenet1_1": Backbone(
        "squeezenet1_1-b8a52dc0.pth",
        "b8a52dc0",
        "squeezenet1_1_features.npz",
        "4d971b5a3639f53752364a69b8dd85c6d77d2e138bffcf6b308edce33b8d5699",
    ),
    "vgg16": Backbone(
        "vgg16-397923af.pth",
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        "vgg16_features.npz",
        None,
        large=True,
    ),
}


def load_backbone(name: str, folder: str | Path | None = None) -> Tensors:
    """Read a network's convolution tensors and check that they are the published ones.

    Args:
        name: "alexnet", "squeezenet1_1" or "vgg16".
        folder: Only place to look; None looks into the folder named by RDPDENOISE_BACKBONES, this
            package's folder in the user's data, and torch's own download cache, in this order.

    Returns:
        float32 arrays by torchvision's key within ``features``: ``"0.weight"`` (out, in, height, width) ...

    Raises:
        ValueError: The name is unknown.
        MetricUnavailable: No file found, or one whose content is not the published one.
    """
    if name not in BACKBONES:
        raise ValueError(f"name must be one of {', '.join(BACKBONES)}, found {name!r}")
    known = BACKBONES[name]
    for path in (p / f for p in _places(folder) for f in (known.bare, known.checkpoint)):
        if path.is_file() and (path.name == known.checkpoint or known.tensors_sha256):
            return _read(path, known)
    raise MetricUnavailable(
        f"the published {name} weights are not here: run napari-rdpdenoise metrics fetch"
        f"{' --large' if known.large else ''}, put "
        f"{known.checkpoint} from {SOURCE} into {folder or backbones_folder()}, or name its folder in "
        f"{BACKBONES_VARIABLE}"
    )


def tensor_digest(tensors: Tensors) -> str:
    """SHA-256 over key, shape text and little-endian float32 bytes, keys by layer number, then name."""

    def order(key: str) -> tuple[int, str]:
        layer, _, name = key.partition(".")
        return (int(layer) if layer.isdecimal() else -1, name)

    total = hashlib.sha256()
    for key in sorted(tensors, key=order):
        total.update(key.encode())
        total.update(str(tensors[key].shape).encode())
        total.update(np.ascontiguousarray(tensors[key], dtype="<f4").tobytes())
    return total.hexdigest()


def _places(folder: str | Path | None) -> Iterator[Path]:
    if folder is not None:
        yield Path(folder)
        return
    yield backbones_folder()
    yield user_data("backbones")
    import torch

    yield Path(torch.hub.get_dir()) / "checkpoints"


def _read(path: Path, known: Backbone) -> Tensors:
    if path.name == known.checkpoint:
        check_file(path, known)
        tensors = _from_checkpoint(path)
    else:
        tensors = _from_bare(path)
    if known.tensors_sha256 and tensor_digest(tensors) != known.tensors_sha256:
        raise MetricUnavailable(f"{path} does not hold the published tensors: remove it and fetch it again")
    return tensors


def _from_bare(path: Path) -> Tensors:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (ValueError, TypeError, OSError, EOFError, BadZipFile) as error:  # TypeError: a lone array
        raise MetricUnavailable(f"{path} cannot be read ({error}): remove it and fetch it again") from error


def _from_checkpoint(path: Path) -> Tensors:
    import torch

    state = torch.load(path, map_location="cpu", weights_only=True)
    head = "features."
    return {k.removeprefix(head): v.numpy() for k, v in state.items() if k.startswith(head)}


def check_file(path: Path, known: Backbone) -> None:
    """Refuse a checkpoint that is not the published one: raises `MetricUnavailable`."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(known.checkpoint_sha256):
        raise MetricUnavailable(
            f"{path} has SHA-256 {found}, expected {known.checkpoint_sha256}...: remove it and fetch it again"
        )
