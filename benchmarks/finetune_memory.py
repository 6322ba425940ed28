"""Does a long fine-tuning grow? Resident memory of unpaired fine-tuning, sampled over its run.

    python -m benchmarks.finetune memory --threads 1 --minutes 120

The simulated sample, small crops and frequent looks at held-out data, so that everything that could be kept
by mistake is made often. The first tenth, in which allocators and caches fill, is left out of the slope.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.common import execute, load, markdown, parser
from benchmarks.finetune_resume import write_sample

WARM = 0.1  # share of the run that the slope leaves out


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Minutes, resident MB and step of every report; the slope in MB per hour."""
    import psutil

    from napari_rdpdenoise.finetune.planners import plan_unpaired
    from napari_rdpdenoise.finetune.run import run_plan
    from napari_rdpdenoise.finetune.settings import UnpairedSettings

    process, samples = psutil.Process(os.getpid()), []
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_sample(folder)
        settings = UnpairedSettings(
            model=options.model, threads=options.threads, steps=10_000_000, patience=10_000_000,
            crop=64, batch=1, validate_every=50,
        )  # fmt: skip
        plan = plan_unpaired(folder / "noisy", folder / "clean", settings, options.device)
        began, run = time.monotonic(), run_plan(plan, folder / "out", options.device, report_every=50)
        for state in run:
            minutes = (time.monotonic() - began) / 60
            samples.append((round(minutes, 3), round(process.memory_info().rss / 1e6, 1), state.step))
            if minutes >= options.minutes:
                break
        run.close()
    return {"samples": samples, "slope": slope(samples)}


def slope(samples: list[tuple[float, float, int]]) -> float:
    """Least-squares slope after the first tenth, MB per hour."""
    kept = [(m / 60, mb) for m, mb, _ in samples if m >= WARM * samples[-1][0]]
    hours, megabytes = np.array(kept).T
    return float(np.polyfit(hours, megabytes, 1)[0]) if len(kept) > 2 else float("nan")


def table(record: dict[str, Any]) -> str:
    """Resident memory at ten moments, and the slope."""
    samples = record["result"]["samples"]
    chosen = [samples[int(k)] for k in np.linspace(0, len(samples) - 1, min(11, len(samples)))]
    rows = [(f"{minutes:.1f}", step, f"{mb:.0f}") for minutes, mb, step in chosen]
    return markdown(("minutes", "step", "resident MB"), rows) + (
        f"\n\nSlope after the first tenth: {record['result']['slope']:+.1f} MB per hour."
    )


def main() -> None:
    """Run what the command line says."""
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--minutes", type=float, default=120.0, help="how long it trains")
    given = options.parse_args()
    execute("finetune_memory", measure, given)
    print(table(load(given.out / "finetune_memory.json")))


if __name__ == "__main__":
    main()
