"""Compress one tile to bytes and back, at several rates: fewer bits, stronger denoising."""

import argparse

import numpy as np

from napari_rdpdenoise import load_model
from napari_rdpdenoise.metrics import psnr
from napari_rdpdenoise.noise import estimate_noise
from napari_rdpdenoise.samples import simulate_timelapse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default", help="a shipped model, or the path of a model's folder")
    parser.add_argument("--size", type=int, default=512, help="edge of the simulated tile, pixels")
    args = parser.parse_args()

    sample = simulate_timelapse((1, args.size, args.size))
    noisy, clean = sample.noisy[0], sample.clean[0]
    codec = load_model(args.model)
    normalization = codec.fit([noisy], estimate_noise([noisy]))

    print(f"{'rate':>5}{'bytes':>9}{'estimate':>10}{'bpp':>8}{'PSNR dB':>9}")
    for rate in np.linspace(0, 1, 6):
        latents = codec.encode([noisy], normalization, rate)[0]
        data = codec.compress(latents)
        image = codec.decode([codec.decompress(data)])[0]["fidelity"]
        quality = psnr(image, clean, float(clean.max()))
        print(
            f"{rate:5.1f}{len(data):9}{latents.bits / 8:10.0f}{8 * len(data) / noisy.size:8.3f}{quality:9.2f}"
        )


if __name__ == "__main__":
    main()
