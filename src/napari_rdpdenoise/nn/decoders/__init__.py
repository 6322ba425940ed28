"""Decoders: latents to an image. All read the same latents."""
