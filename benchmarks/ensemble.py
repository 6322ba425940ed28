"""What averaging over mirror images of each tile gains on published test images, and what it costs."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from benchmarks.common import execute, load_codec, markdown, parser
from benchmarks.images import SETS
from benchmarks.quality import denoise_one, judge

SIZES = (1, 2, 4)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Scores and seconds by test set, size of the ensemble, and image."""
    codec = load_codec(options)
    result: dict[str, Any] = {}
    for images in SETS:
        names = images.names(options.limit) if options.limit else images.few()
        rows: dict[str, dict[str, Any]] = {str(size): {} for size in SIZES}
        for name, noisy, clean in images.pairs(names):
            for size in SIZES:
                image, report = denoise_one(codec, noisy, ensemble=size)
                rows[str(size)][name] = judge(image, clean, noisy) | {"seconds": report.seconds}
            print(images.name, name, {n: round(r[name]["psnr"], 3) for n, r in rows.items()}, flush=True)
        result[images.name] = rows
    return result


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    rows = []
    for name, sizes in record["result"].items():
        for size, scores in sizes.items():
            gain = [row["psnr"] - sizes["1"][image]["psnr"] for image, row in scores.items()]
            rows.append(
                (
                    name,
                    size,
                    str(len(scores)),
                    *(
                        f"{np.mean([r[key] for r in scores.values()]):.{n}f}"
                        for key, n in (("psnr", 2), ("ssim", 4))
                    ),
                    f"{np.mean(gain):+.2f}" if size != "1" else "",
                    f"{min(gain):+.2f} to {max(gain):+.2f}" if size != "1" else "",
                )
            )
    return markdown(("images", "ensemble", "number", "PSNR dB", "SSIM", "gain dB", "least and most"), rows)


if __name__ == "__main__":
    execute("ensemble", measure, parser(__doc__.splitlines()[0]).parse_args())
