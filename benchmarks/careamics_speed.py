"""Megapixels per second of CAREamics' own tiled prediction with Noise2Void's network.

CAREamics and napari-rdpdenoise ask for different versions of NumPy, so this script runs in an environment of
its own, which needs nothing but CAREamics::

    python3 -m venv care && care/bin/pip install careamics
    care/bin/python benchmarks/careamics_speed.py --threads 2

It trains for one step, because a model without training predicts nothing, and then predicts planes of
2048 x 2048 px in tiles of 256 px with an overlap of 48 px, CAREamics' defaults. Compare with
``python benchmarks/run.py speed`` on the same machine with the same number of threads.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
EDGE, TILE, OVERLAP = 2048, 256, 48
PATCH = 64


def measure(threads: int, planes: int) -> dict[str, Any]:
    """Seconds and processor seconds of predicting some planes one by one."""
    import numpy as np
    import torch
    from careamics import CAREamist
    from careamics.config import create_n2v_config

    torch.set_num_threads(threads)
    image = np.random.default_rng(0).poisson(20, (EDGE, EDGE)).astype(np.float32)
    config = create_n2v_config(
        "speed", "array", "YX", (PATCH, PATCH), batch_size=1, num_epochs=1, num_steps=1
    )
    careamist = CAREamist(config, work_dir=Path.cwd())
    careamist.train(train_data=image[:512, :512])
    rows = []
    for _ in range(planes):
        began, worked = time.perf_counter(), time.process_time()
        careamist.predict(image, tile_size=(TILE, TILE), tile_overlap=(OVERLAP, OVERLAP), batch_size=1)
        rows.append({"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - worked})
        print(rows[-1], flush=True)
    return {"planes": rows}


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    rows = record["result"]["planes"]
    pixels = EDGE**2 / 1e6
    best, least = (min(row[key] for row in rows) for key in ("seconds", "cpu_seconds"))
    return (
        "| CAREamics' own prediction, N2V | MP/s | MP per CPU second |\n| --- | ---: | ---: |\n"
        f"| one plane of {EDGE} x {EDGE}, tiles of {TILE} px, overlap {OVERLAP} px, best of {len(rows)} | "
        f"{pixels / best:.2f} | {pixels / least:.2f} |"
    )


def main() -> None:
    """Measure and keep the result."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--threads", type=int, default=os.cpu_count(), help="of PyTorch")
    options.add_argument("--planes", type=int, default=3, help="that are predicted")
    options.add_argument("--out", type=Path, default=RESULTS, help="folder of the result")
    given = options.parse_args()
    out = given.out.resolve()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        result = measure(given.threads, given.planes)
        os.chdir("/")
    from importlib.metadata import version

    versions = {name: version(name) for name in ("careamics", "torch", "numpy")}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    record = {
        "name": "careamics_speed",
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "command": f"python benchmarks/careamics_speed.py --threads {given.threads}",
        "threads": given.threads,
        "model": "N2V, one step of training",
        "machine": {
            "cores": os.cpu_count(),
            "memory_gib": round(memory),
            "cpu": _cpu(),
            "gpu": None,
            "versions": versions,
        },
        "result": result,
    }
    (out / "careamics_speed.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(table(record))


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


if __name__ == "__main__":
    main()
