"""Denoise one array in memory, and measure what it gained (here the clean image is known)."""

import argparse

from napari_rdpdenoise import denoise
from napari_rdpdenoise.metrics import score
from napari_rdpdenoise.samples import simulate_timelapse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default", help="a shipped model, or the path of a model's folder")
    parser.add_argument("--size", type=int, default=512, help="edge of the simulated image, pixels")
    args = parser.parse_args()

    sample = simulate_timelapse((1, args.size, args.size))
    noisy, clean = sample.noisy[0], sample.clean[0]
    denoised = denoise(noisy, model=args.model)

    print(f"{'':10}{'PSNR dB':>9}{'SSIM':>8}{'mean':>9}")
    for name, image in (("noisy", noisy), ("denoised", denoised)):
        result = score(image, clean, noisy)
        print(f"{name:10}{result.psnr:9.2f}{result.ssim:8.3f}{image.mean():9.2f}")


if __name__ == "__main__":
    main()
