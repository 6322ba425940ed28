"""Encode a tile once, decode it once, and walk from lowest error to most natural texture by blending."""

import argparse

import numpy as np
from skimage.io import imsave

from napari_rdpdenoise import load_model
from napari_rdpdenoise.metrics import psnr
from napari_rdpdenoise.noise import estimate_noise
from napari_rdpdenoise.samples import simulate_timelapse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default", help="a shipped model, or the path of a model's folder")
    parser.add_argument("--size", type=int, default=512, help="edge of the simulated tile, pixels")
    parser.add_argument("--picture", help="PNG of noisy, realism 0, 0.5 and 1, and the truth")
    args = parser.parse_args()

    sample = simulate_timelapse((1, args.size, args.size))
    noisy, clean = sample.noisy[0], sample.clean[0]
    codec = load_model(args.model)
    latents = codec.encode([noisy], codec.fit([noisy], estimate_noise([noisy])), rate=1.0)
    (decoded,) = codec.decode(latents, codec.decoders)
    images = {alpha: decoded.blend(alpha) for alpha in ((0.0, 0.5, 1.0) if "realism" in decoded else (0.0,))}
    for alpha, image in images.items():
        print(f"realism {alpha:g}: {psnr(image, clean, float(clean.max())):.2f} dB")
    print(f"encoder calls: {codec.encoder_calls}")
    if args.picture:
        low, high = np.percentile(clean, [0.5, 99.9])
        row = np.hstack([noisy, *images.values(), clean])
        imsave(args.picture, np.uint8(255 * np.clip((row - low) / (high - low), 0, 1)))


if __name__ == "__main__":
    main()
