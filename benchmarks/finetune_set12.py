"""The patch codec beside BM3D on the photographs of Set12 with noise of standard deviation 25.

    python -m benchmarks.finetune set12 --threads 1 [--limit 3]

It has one noisy image and nothing else; BM3D is told the noise. What is published is how far the zero-shot
codecs stay from BM3D. The settings are the command's own, chosen on other photographs: see
`finetune_zeroshot`.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from skimage.io import imread

from benchmarks.common import execute, load, markdown, parser
from benchmarks.finetune_zeroshot import PUBLISHED, USUAL, told, with_noise
from benchmarks.images import folder_of
from napari_rdpdenoise.finetune.run import finetune_patches
from napari_rdpdenoise.metrics import psnr, ssim

BM3D, PATCHES = "BM3D, told the noise", "patch codec"


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """PSNR, SSIM and CPU seconds of every method and image."""
    rows: dict[str, Any] = {}
    for path in sorted((folder_of("photo") / "set12").glob("*.png"))[: options.limit]:
        noisy, clean = with_noise(imread(path).astype(np.float64), USUAL[1])
        rows[path.stem] = {}
        for method in ("noisy", BM3D, PATCHES):
            began = time.process_time()
            image = noisy
            if method == BM3D:
                image = told(USUAL[1])(noisy, clean, options.threads)
            elif method == PATCHES:
                with TemporaryDirectory() as folder:
                    image = finetune_patches(noisy, Path(folder) / "patches", device=options.device)
            spent = time.process_time() - began
            image = np.clip(image, 0, 255)
            rows[path.stem][method] = {
                "psnr": psnr(image, clean, 255.0),
                "ssim": ssim(image, clean, 255.0),
                "cpu": spent,
            }
        print(path.stem, {m: round(score["psnr"], 2) for m, score in rows[path.stem].items()}, flush=True)
    return rows


def table(record: dict[str, Any]) -> str:
    """PSNR and SSIM of every image and in the mean, and the distance to BM3D beside the published ones."""
    images = record["result"]
    methods = list(next(iter(images.values())))
    rows = [(name, *(_cell([scores[m]]) for m in methods)) for name, scores in images.items()]
    every = {m: [scores[m] for scores in images.values()] for m in methods}
    rows.append(("mean", *(_cell(every[m]) for m in methods)))
    means = {m: float(np.mean([score["psnr"] for score in every[m]])) for m in methods}
    small, perceptron = PUBLISHED[USUAL[0]]
    seconds = np.mean([score["cpu"] for score in every[PATCHES]])
    return (
        markdown(["Set12, sigma 25: PSNR dB / SSIM", *methods], rows)
        + f"\n\nPatch codec: {means[PATCHES] - means[BM3D]:+.2f} dB from BM3D, {seconds:.0f} CPU s an image. "
        f"Published (ZS-NCD, Set11): {small:+.2f} dB, with an MLP {perceptron:+.2f} dB."
    )


def _cell(scores: list[dict[str, float]]) -> str:
    return " / ".join(f"{np.mean([s[key] for s in scores]):.{n}f}" for key, n in (("psnr", 2), ("ssim", 4)))


def main() -> None:
    """Run what the command line says."""
    given = parser(__doc__.splitlines()[0]).parse_args()
    execute("finetune_set12", measure, given)
    print(table(load(given.out / "finetune_set12.json")))


if __name__ == "__main__":
    main()
