"""The codec: normalisation, encoding to integer latents, decoding, bytes, models and their library.

The names below are loaded on first use: a list of models and their cards need no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_rdpdenoise.codec.codec import Codec
    from napari_rdpdenoise.codec.decoded import Decoded
    from napari_rdpdenoise.codec.latents import Latents
    from napari_rdpdenoise.codec.library import list_models, model_digest
    from napari_rdpdenoise.codec.models import choose_device, load_model
    from napari_rdpdenoise.codec.normalization import Normalization, fit_normalization
    from napari_rdpdenoise.nn.decoders.place import Place, plane_seed

__all__ = [
    "Codec",
    "Decoded",
    "Latents",
    "Normalization",
    "Place",
    "choose_device",
    "fit_normalization",
    "list_models",
    "load_model",
    "model_digest",
    "plane_seed",
]

_HOME = {
    "Codec": "codec.codec",
    "Decoded": "codec.decoded",
    "Latents": "codec.latents",
    "Normalization": "codec.normalization",
    "Place": "nn.decoders.place",
    "choose_device": "codec.models",
    "fit_normalization": "codec.normalization",
    "list_models": "codec.library",
    "load_model": "codec.models",
    "model_digest": "codec.library",
    "plane_seed": "nn.decoders.place",
}


def __getattr__(name: str) -> object:
    """Load a name from its module on first use."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"napari_rdpdenoise.{_HOME[name]}"), name)
    globals()[name] = value
    return value
