"""What the larger model gains over the usual one on published test images, and what it costs."""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from benchmarks.common import execute, markdown, parser
from benchmarks.images import SETS
from benchmarks.quality import denoise_one, judge
from napari_rdpdenoise.codec import load_model
from napari_rdpdenoise.codec.library import DEFAULT_MODEL, GPU_MODEL

MODELS = (DEFAULT_MODEL, GPU_MODEL)
REALISM = (0.0, 1.0)
SCORES = (("psnr", 2), ("ssim", 4), ("lpips", 3), ("bpp", 3), ("cpu_seconds", 2))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Scores and CPU seconds by test set, model, realism and image."""
    codecs = {name: load_model(name, options.device) for name in MODELS}
    result: dict[str, Any] = {}
    for images in SETS:
        names = images.names(options.limit) if options.limit else images.few()
        rows: dict[str, dict[str, Any]] = {_row(m, realism): {} for m in MODELS for realism in REALISM}
        for name, noisy, clean in images.pairs(names):
            for model, codec in codecs.items():
                for realism in REALISM:
                    began = time.process_time()
                    image, report = denoise_one(codec, noisy, realism=realism)
                    spent = {"cpu_seconds": time.process_time() - began, "bpp": report.bpp}
                    rows[_row(model, realism)][name] = judge(image, clean, noisy) | spent
            print(images.name, name, {n: round(r[name]["psnr"], 3) for n, r in rows.items()}, flush=True)
        result[images.name] = rows
    return result


def _row(model: str, realism: float) -> str:
    return f"{model}, realism {realism:g}"


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    rows = []
    for images, found in record["result"].items():
        for row, scores in found.items():
            usual = found[row.replace(GPU_MODEL, DEFAULT_MODEL)]
            gain = [score["psnr"] - usual[name]["psnr"] for name, score in scores.items()]
            rows.append(
                (
                    images,
                    row,
                    str(len(scores)),
                    *(f"{_mean(scores, key):.{digits}f}" for key, digits in SCORES),
                    "" if usual is scores else f"{np.mean(gain):+.2f} ({min(gain):+.2f} to {max(gain):+.2f})",
                )
            )
    head = ("images", "model", "number", "PSNR dB", "SSIM", "LPIPS", "bpp", "CPU s", "gain dB (from, to)")
    return markdown(head, rows)


def _mean(scores: dict[str, dict[str, float]], key: str) -> float:
    return float(np.mean([score.get(key, np.nan) for score in scores.values()]))


if __name__ == "__main__":
    execute("sizes", measure, parser(__doc__.splitlines()[0]).parse_args())
