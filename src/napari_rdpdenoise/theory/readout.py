"""A measured error beside what so many bits per pixel guarantee for an ideal codec."""

from __future__ import annotations

from dataclasses import dataclass

from napari_rdpdenoise.theory.gaussian_noise import check_at_least, error_bound, useful_bpp


@dataclass(frozen=True)
class BesideBound:
    """Errors of one image, noise standard deviations, and the bound for its bits.

    Attributes:
        bpp: Bits per pixel.
        error: Measured rms error.
        noise: Measured rms error of the noisy image; about 1.
        bound: `error_bound` of an ideal codec whose codebook holds the truth.
        useful_bpp: Bits per pixel up to which that bound is below the noise.
    """

    bpp: float
    error: float
    noise: float
    bound: float
    useful_bpp: float

    @property
    def text(self) -> str:
        """What the two say together, in words."""
        if self.bpp >= self.useful_bpp:
            meaning = (
                f"which is more than the noise itself: above {self.useful_bpp:.2f} bits per pixel the bound "
                "says nothing about denoising"
            )
        elif self.error <= self.bound:
            meaning = "and this result is within that"
        else:
            meaning = "and this result is not: no bound holds for its codec"
        return (
            f"An ideal codec, which compares all images of {self.bpp:.3f} bits per pixel with the noisy one, "
            f"has an error of at most {self.bound:.2f} noise standard deviations if the truth is among "
            f"them, {meaning}. It is no bound for a network."
        )


def beside_bound(bpp: float, pixels: int, error: float, noise: float = 1.0) -> BesideBound:
    """Set a measured error beside the bound of an ideal codec of as many bits.

    Args:
        bpp: Bits per pixel, at least 0.
        pixels: Pixels of the image, at least 1.
        error: Measured rms error, noise standard deviations, at least 0.
        noise: Measured rms error of the noisy image, noise standard deviations, at least 0.

    Raises:
        ValueError: If an argument is out of range.
    """
    check_at_least("bpp", bpp, 0.0)
    check_at_least("error", error, 0.0)
    check_at_least("noise", noise, 0.0)
    return BesideBound(bpp, error, noise, error_bound(bpp * pixels, pixels), useful_bpp())
