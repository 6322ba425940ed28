"""A fine-tuning that is killed and started again, beside one that is left alone: is the curve the same?

    python -m benchmarks.finetune resume --threads 1

Unpaired fine-tuning of the simulated sample, as a process of its own; `kill -9` at a step that lies between
two checkpoints, then the same command again.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.common import execute, load, markdown, parser

STEPS, EVERY, KILLED = 60, 20, 30  # steps; between two checkpoints; reported when it is killed
EDGE = 192


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The two curves and the largest difference between them and between the weights."""
    from safetensors.numpy import load_file

    with TemporaryDirectory() as name:
        folder = Path(name)
        write_sample(folder)
        left, killed = folder / "left", folder / "killed"
        _start(folder, left, options).wait()
        process = _start(folder, killed, options)
        step = _kill_at(process, killed)
        _start(folder, killed, options).wait()
        curves = [_curve(out) for out in (left, killed)]
        weights = [
            load_file(next((out / "training").glob("1-*/model.safetensors"))) for out in (left, killed)
        ]
    return {
        "steps": STEPS,
        "killed": step,
        "curves": curves,
        "difference": max(_differences(*curves), default=float("nan")),
        "weights": max(float(np.abs(a - weights[1][n]).max()) for n, a in weights[0].items()),
    }


def write_sample(folder: Path, planes: int = 4) -> None:
    """Noisy planes, and clean ones of other frames, as folders ``noisy`` and ``clean``."""
    import tifffile

    from napari_rdpdenoise.samples import simulate_timelapse

    for kind, seed in (("noisy", 0), ("clean", 9)):
        movie = simulate_timelapse((planes, EDGE, EDGE), seed=seed)
        (folder / kind).mkdir()
        for number, plane in enumerate(getattr(movie, kind)):
            tifffile.imwrite(folder / kind / f"{number}.tif", plane)


def _start(folder: Path, out: Path, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    command = (
        "import sys; from napari_rdpdenoise.cli.app import app; app(['finetune', 'unpaired', *sys.argv[1:]])",
        *(str(folder / "noisy"), str(folder / "clean"), str(out), "--model", options.model, "--device"),
        *(options.device, "--threads", str(options.threads), "--steps", str(STEPS)),
        *("--validate-every", str(EVERY), "--crop", "64", "--patience", "99"),
    )
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _kill_at(process: subprocess.Popen[bytes], out: Path) -> int:
    while process.poll() is None:
        done = [row["step"] for row in _rows(out)]
        if done and done[-1] >= KILLED:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return int(done[-1])
        time.sleep(0.05)
    raise RuntimeError(f"expected a run of {STEPS} steps, found that it ended with {process.returncode}")


def _rows(out: Path) -> list[dict[str, Any]]:
    log, rows = out / "training.jsonl", []
    for line in log.read_text().splitlines() if log.is_file() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:  # being written
            break
    return rows


def _curve(out: Path) -> dict[str, dict[str, float]]:
    """Values and held-out figures by step, the later of two where a step was done again."""
    return {str(row["step"]): row["values"] | row["validation"] for row in _rows(out)}


def _differences(one: dict[str, dict[str, float]], other: dict[str, dict[str, float]]) -> list[float]:
    if one.keys() != other.keys():
        return [float("inf")]
    return [abs(value - other[step][name]) for step, row in one.items() for name, value in row.items()]


def table(record: dict[str, Any]) -> str:
    """Both curves, and their difference."""
    result = record["result"]
    left, killed = result["curves"]
    names = ("loss", "critic", "lpips")
    head = ("step", *(f"{name}: {run}" for name in names for run in ("left alone", "killed")))
    rows = [
        (step, *(f"{run[step].get(name, float('nan')):.6g}" for name in names for run in (left, killed)))
        for step in left
    ]
    return markdown(head, rows) + (
        f"\n\nKilled (-9) after step {result['killed']} of {result['steps']}, checkpoints every {EVERY}, and "
        f"started again: largest difference of any reported value {result['difference']:.2g}, of any weight "
        f"{result['weights']:.2g}."
    )


def main() -> None:
    """Run what the command line says."""
    given = parser(__doc__.splitlines()[0]).parse_args()
    execute("finetune_resume", measure, given)
    print(table(load(given.out / "finetune_resume.json")))


if __name__ == "__main__":
    main()
