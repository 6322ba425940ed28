r"""Stores: OME-Zarr whose chunks are coded tiles, read as ordinary pixels by whoever has this package.

::

    writing   tile --encode, subtract the decode--> latents + layers --> container (a chunk)
    reading   chunk --> latents --decode--> denoised
                     \-> latents + residual layer --> original, within its own noise
"""

from __future__ import annotations

__all__ = ["CODEC_NAME"]

CODEC_NAME = "napari-rdpdenoise"
"""Name of the codec in ``zarr.json``: that of the package, all that Zarr says where it is missing."""
