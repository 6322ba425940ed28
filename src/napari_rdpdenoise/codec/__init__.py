"""The codec: normalisation, encoding to integer latents, decoding, bytes, pretrained models."""

from napari_rdpdenoise.codec.codec import Codec, Decoded
from napari_rdpdenoise.codec.latents import Latents
from napari_rdpdenoise.codec.models import choose_device, list_models, load_model, model_digest
from napari_rdpdenoise.codec.normalization import Normalization, fit_normalization
from napari_rdpdenoise.nn.decoders.grain import Place, plane_seed

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
