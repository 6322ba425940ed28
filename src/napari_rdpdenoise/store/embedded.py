"""The model of a store inside the store: what was coded stays readable where that model is not installed.

::

    STORE.ome.zarr/0/model/<digest>/      beside the chunks of the full resolution
        card.yaml
        model.safetensors

It is a folder of a model like any other, and is read as warily: weights in safetensors alone, which run no
code, of the digest that the chunks name, and nothing larger than models are.
"""

from __future__ import annotations

import hashlib
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from napari_rdpdenoise.files import atomic
from napari_rdpdenoise.io.limits import check_plain
from napari_rdpdenoise.io.output.disk import sync

if TYPE_CHECKING:
    from napari_rdpdenoise.codec import Codec
    from napari_rdpdenoise.codec.library import ListedModel

__all__ = [
    "WORTH",
    "embed",
    "embedded_bytes",
    "found_at",
    "is_worth",
    "load_embedded",
    "source_of",
    "weights_bytes",
]

WORTH = 10
"""How many times larger than the weights an image is whose store holds them, unless it is chosen."""

_FOLDER = "model"
_FILES = {"card.yaml": 2**20, "model.safetensors": 2**29}  # and the most bytes that are read of each
_DIGEST = re.compile(r"[0-9a-f]{32}")
_PLACES: dict[str, Path] = {}
_LOCK = threading.Lock()


def source_of(codec: Codec, model: str) -> ListedModel | None:
    """Where the files of a loaded model lie; None where they are not found any more.

    Args:
        codec: Model.
        model: Name or path by which it was asked for.
    """
    from napari_rdpdenoise.codec.library import find, list_models

    digest = codec.digest.hex()
    try:
        return find(model, digest)
    except (OSError, ValueError):
        return next((found for found in list_models() if found.digest == digest), None)


def is_worth(model: ListedModel, raw: int) -> bool:
    """Whether an image of so many bytes is so large that its store holds its model."""
    return raw >= WORTH * weights_bytes(model)


def weights_bytes(model: ListedModel) -> int:
    """Size of the weights of a model, bytes."""
    return (model.folder / "model.safetensors").stat().st_size


def embed(model: ListedModel, array: Path) -> None:
    """Put a model into a store, whose array of the full resolution lies in a folder.

    Raises:
        ValueError: If the weights are not those of the card any more, or larger than weights are.
    """
    folder = array / _FOLDER / model.digest
    folder.mkdir(parents=True, exist_ok=True)
    for name, most in _FILES.items():
        data = _read(model.folder / name, most)
        if name == "model.safetensors" and hashlib.sha256(data).hexdigest() != model.card.sha256:
            raise ValueError(
                f"model: expected the weights of the card in {model.folder}, found others; install it again"
            )
        with atomic(folder / name) as fresh:
            fresh.write_bytes(data)
            sync(fresh)
    sync(folder)


def found_at(digest: str, array: Path | str) -> None:
    """Remember that the store of an array in a folder holds the model of a digest, if it does."""
    folder = _inside(Path(array), digest)
    if folder is not None:
        with _LOCK:
            _PLACES[digest] = folder


def load_embedded(digest: str) -> Codec | None:
    """The model of a digest from a store that was opened; None where none held it.

    Raises:
        ValueError: If what is there is no model of this digest, or larger than models are.
    """
    from napari_rdpdenoise.codec.device import shared_codec

    with _LOCK:
        folder = _PLACES.get(digest)
    if folder is None or not folder.is_dir():
        return None
    for name, most in _FILES.items():
        _check_size(folder / name, most)
    codec = shared_codec(folder, "auto")  # which checks that weights and card belong together
    if codec.digest.hex() != digest:
        raise ValueError(
            f"model: expected the one of digest {digest} in {folder}, found {codec.digest.hex()}; the store "
            "is damaged: copy it again, or install the model"
        )
    return codec


def embedded_bytes(array: Path | str, digest: str) -> int:
    """Size of the model that a store holds, bytes; 0 for none."""
    folder = _inside(Path(array), digest)
    return 0 if folder is None else sum((folder / name).stat().st_size for name in _FILES)


def _inside(array: Path, digest: str) -> Path | None:
    """Folder of the model of a digest in a store; None where there is none."""
    if not _DIGEST.fullmatch(digest):
        return None
    folder = array / _FOLDER / digest
    return folder if all((folder / name).is_file() for name in _FILES) else None


def _check_size(path: Path, most: int) -> None:
    if path.is_symlink() or (size := check_plain(path)) > most:
        found = "a link" if path.is_symlink() else f"{size}"
        raise ValueError(f"model: expected a file of at most {most} bytes at {path}, found {found}")


def _read(path: Path, most: int) -> bytes:
    if (size := check_plain(path)) > most:
        raise ValueError(f"model: expected at most {most} bytes to keep in a store, found {size} in {path}")
    return path.read_bytes()
