"""Run benchmarks, each in its own process, and write ``results/<name>.json`` and ``results/tables.md``.

    python benchmarks/run.py [speed] [memory] [parts] [follow] [quality] ... [--limit 3] [--threads 2] ...

Without names all are run. ``--limit`` makes a short run; give it another ``--out`` to keep the real results.
Images: the folder that RDPDENOISE_DATA names (with ``data/test`` and, for LPIPS, ``weights``).
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.common import load, parser  # noqa: E402
from benchmarks.finetune import PARTS  # noqa: E402

TUNED = tuple(f"finetune_{part}" for part in PARTS)
IMAGES = (
    "quality", "series", "rdp", "seams", "spots", "invalid", "noise", "reach", "general", "light", "risk",
    "precision", "samples", "intervals", "store", "store_reading", "coder", "ensemble", "sizes", "strategies",
    "photo", "photo_intervals", "nuclei",
)  # fmt: skip
NAMES = ("speed", "memory", "scaling", "parts", "cluster", "follow", *IMAGES, "dock", "closings", *TUNED)
ELSEWHERE = ("careamics_speed",)  # measured by a script in an environment of its own
TITLES = {
    "careamics_speed": "Speed of CAREamics",
    "rdp": "Rate, distortion, perception",
    "scaling": "Cost over size",
    "photo": "Photographs",
    "photo_intervals": "Photographs: intervals",
    "store_reading": "Reading stores",
} | {f"finetune_{p}": f"Fine-tuning: {p}" for p in PARTS}


def write_tables(folder: Path) -> Path:
    """Collect the tables of all results in the folder."""
    parts = ["# Measured\n"]
    for name in (NAMES[0], *ELSEWHERE, *NAMES[1:]):
        record = load(folder / f"{name}.json")
        if record is None:
            continue
        machine = record["machine"]
        versions = ", ".join(f"{package} {version}" for package, version in machine["versions"].items())
        gpu = f", {machine['gpu']}" if machine["gpu"] else ""
        title, tables = TITLES.get(name, name.capitalize()), import_module(f"benchmarks.{name}").table(record)
        parts.append(
            f"## {title}\n\n{tables}\n\n"
            f"{record['date']}, `{record['command']}`, model {record['model']}, {machine['cpu']}: "
            f"{machine['cores']} cores, {machine['memory_gib']} GiB{gpu}, "
            f"{machine.get('precision', 'float32')}, {record['threads']} threads; {versions}.\n"
        )
    target = folder / "tables.md"
    target.write_text("\n".join(parts), encoding="utf-8")
    return target


def main() -> int:
    """Run what the command line names."""
    options = parser(__doc__.splitlines()[0])
    options.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; none for all")
    options.add_argument("--times", type=int, default=20, help="closings: windows that are closed")
    options.add_argument("--minutes", type=float, default=120.0, help="follow: how long a microscope writes")
    options.add_argument("--ours-only", action="store_true", help="quality, photo: leave the peers out")
    given = options.parse_args()
    if unknown := set(given.names) - set(NAMES):
        options.error(f"expected names among {', '.join(NAMES)}, found {', '.join(sorted(unknown))}")
    threads = str(given.threads)
    shared = ["--model", given.model, "--device", given.device, "--threads", threads, "--out", str(given.out)]
    shared += ["--limit", str(given.limit)] if given.limit else []
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    failed = []
    for name in [n for n in NAMES if n in given.names or not given.names]:
        own = ["--ours-only"] if name in ("quality", "photo") and given.ours_only else []
        own += ["--times", str(given.times)] if name == "closings" else []
        own += ["--minutes", str(given.minutes)] if name == "follow" else []
        command = [sys.executable, "-W", "ignore", "-m", f"benchmarks.{name}", *shared, *own]
        if subprocess.run(command, cwd=ROOT, env=environment).returncode:
            failed.append(name)
    given.out.mkdir(parents=True, exist_ok=True)
    print(write_tables(given.out), *(f"failed: {name}" for name in failed), sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
