"""What theory says of denoising by compression: bounds for ideal codecs, and closed forms to test against.

Nothing here holds for a network: the bounds are of a codec that compares the noisy image with every codeword
of a fixed codebook and takes the most likely one, and the closed forms are of sources that are no images.
"""

from __future__ import annotations

from napari_rdpdenoise.theory.distortion_perception import (
    blend_for,
    distortion_at,
    distortion_without_shared_randomness,
)
from napari_rdpdenoise.theory.gaussian_noise import (
    decoding_error_bound,
    error_bound,
    published_error_bound,
    useful_bpp,
)
from napari_rdpdenoise.theory.poisson_noise import (
    poisson_error_bound,
    poisson_mse_bound,
    published_poisson_mse_bound,
    stabilised_error_bound,
)
from napari_rdpdenoise.theory.readout import BesideBound, beside_bound
from napari_rdpdenoise.theory.sources import (
    Enclosure,
    bernoulli_gaussian_distortion,
    gaussian_distortion,
    gaussian_rate,
)

__all__ = [
    "BesideBound",
    "Enclosure",
    "bernoulli_gaussian_distortion",
    "beside_bound",
    "blend_for",
    "decoding_error_bound",
    "distortion_at",
    "distortion_without_shared_randomness",
    "error_bound",
    "gaussian_distortion",
    "gaussian_rate",
    "poisson_error_bound",
    "poisson_mse_bound",
    "published_error_bound",
    "published_poisson_mse_bound",
    "stabilised_error_bound",
    "useful_bpp",
]
