"""Megapixels per second of the entropy coder: symbols of latents to bytes and back, without the network.

Four published test images side by side make a tile of 1024 px. *Rows* is the part that finds the row of the
tables for each latent; it comes before all else on either side. Times are of the processor, the least of
several: those of one core with ``--threads 1``, whatever else the machine does.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import execute, load_codec, markdown, parser
from benchmarks.images import SETS, TestSet
from napari_rdpdenoise.codec import Codec, Latents
from napari_rdpdenoise.codec.autorate import choose_rate
from napari_rdpdenoise.codec.trial import Trial
from napari_rdpdenoise.noise import estimate_noise

RATES = (0.3, 0.6, "auto")
EDGE, ACROSS = 1024, 2  # px of a tile, images along its edge


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Speeds and sizes by test set and rate."""
    codec, repeats = load_codec(options), 3 if options.limit else 7
    rows = []
    for images in SETS[:: 2 if options.limit else 1]:
        tile = _tile(images)
        noise = estimate_noise([tile[: EDGE // 2, : EDGE // 2]])
        normalization = codec.fit([tile], noise)
        for rate in RATES:
            if rate == "auto":
                chosen = choose_rate(Trial(codec, [tile[: EDGE // 2, : EDGE // 2]], normalization)).rate
            else:
                chosen = float(rate)
            (latents,) = codec.encode([tile], normalization, chosen)
            row = {"images": images.name, "rate": rate, "used": chosen} | _speeds(codec, latents, repeats)
            print(row, flush=True)
            rows.append(row)
    return {"rows": rows}


def _tile(images: TestSet) -> NDArray[Any]:
    names = images.names(ACROSS * ACROSS)
    planes = [images.pair(name)[0] for name in names]
    bands = [np.hstack(planes[k : k + ACROSS]) for k in range(0, len(planes), ACROSS)]
    return np.ascontiguousarray(np.vstack(bands)[:EDGE, :EDGE])


def _speeds(codec: Codec, latents: Latents, repeats: int) -> dict[str, float]:
    pixels = latents.shape[0] * latents.shape[1]
    latents = dataclasses.replace(latents, restored=None)
    data = codec.compress(latents)
    coder = codec._network.hyperprior._prepared()
    z = torch.from_numpy(latents.symbols[1].astype(np.int32))[None]
    calls: dict[str, Callable[[], object]] = {
        "encode": lambda: codec.compress(latents),
        "decode": lambda: codec.decompress(data),
        "rows": lambda: coder._live(z),
    }
    seconds = {name: min(_seconds(call) for _ in range(repeats)) for name, call in calls.items()}
    return {f"{name}_mpps": pixels / 1e6 / each for name, each in seconds.items()} | {
        "bpp": 8 * len(data) / pixels,
        "expected_bpp": latents.bpp,
    }


def _seconds(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    rows = [
        (
            row["images"],
            row["rate"] if row["rate"] != "auto" else f"auto: {row['used']:.2f}",
            *(f"{row[f'{name}_mpps']:.1f}" for name in ("encode", "decode", "rows")),
            f"{row['bpp']:.4f}",
            f"{row['expected_bpp']:.4f}",
        )
        for row in record["result"]["rows"]
    ]
    head = ("images", "rate", "encode, MP/s", "decode, MP/s", "rows alone, MP/s")
    return markdown((*head, "bits per pixel", "by the entropy model"), rows)


if __name__ == "__main__":
    execute("coder", measure, parser(__doc__.splitlines()[0]).parse_args())
