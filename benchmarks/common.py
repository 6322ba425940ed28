"""What all benchmarks share: options, the machine they ran on, where results are kept."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_rdpdenoise.codec import Codec

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("napari-rdpdenoise", "torch", "numpy", "zarr", "bm3d", "scikit-image", "careamics", "imagecodecs")


def parser(description: str | None) -> argparse.ArgumentParser:
    """Options that every benchmark takes."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--model", default="default", help="a model's name, or the path of its folder")
    options.add_argument("--device", default="cpu", help="torch device of ours and of the U-Net")
    options.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of all methods")
    options.add_argument("--limit", type=int, default=None, help="a short run: images, planes, tens of tiles")
    options.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    return options


def load_codec(options: argparse.Namespace) -> Codec:
    """The model that the options name; torch is imported here, and gets their number of threads."""
    import torch

    from napari_rdpdenoise import load_model

    torch.set_num_threads(options.threads)
    return load_model(options.model, options.device)


def machine() -> dict[str, Any]:
    """Cores, memory, processor, versions, and the numbers that precision auto takes on its CPU."""
    import psutil
    import torch

    from napari_rdpdenoise.codec.precision import choose_precision

    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    memory = round(psutil.virtual_memory().total / 2**30)
    return {
        "cores": os.cpu_count(),
        "memory_gib": memory,
        "cpu": _cpu(),
        "gpu": gpu,
        "precision": choose_precision("auto", "cpu"),
        "versions": found,
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def execute(
    name: str, measure: Callable[[argparse.Namespace], dict[str, Any]], options: argparse.Namespace
) -> None:
    """Measure and keep the result with date, machine and command in ``<out>/<name>.json``."""
    part = name.removeprefix("finetune_")
    command = f"benchmarks/run.py {name}" if part == name else f"-m benchmarks.finetune {part}"
    began = time.monotonic()
    result = measure(options)
    short = f" --limit {options.limit}" if options.limit else ""
    other = "" if options.model == "default" else f" --model {options.model}"
    given = f"--threads {options.threads} --device {options.device}{other}{short}"
    record = {
        "name": name,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "command": f"python {command} {given}",
        "threads": options.threads,
        "seconds": round(time.monotonic() - began, 1),
        "model": model_name(options.model),
        "machine": machine(),
        "result": result,
    }
    save(options.out / f"{name}.json", record)
    print(f"{name}: done in {record['seconds']} s", flush=True)


def model_name(model: str) -> str:
    """Name on the model's card, and the first letters of its weights' digest."""
    from napari_rdpdenoise import load_model

    codec = load_model(model, "cpu")
    return f"{codec.card.name} ({codec.digest.hex()[:8]})"


def save(path: Path, value: Any) -> None:
    """Write JSON, whole or not at all."""
    from napari_rdpdenoise.files import atomic

    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as fresh:
        fresh.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> Any:
    """Read JSON; None where there is no file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def kept(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """The kept record of a benchmark.

    Raises:
        SystemExit: There is none in the folder of the results.
    """
    record: dict[str, Any] | None = load(options.out / f"{name}.json")
    if record is None:
        raise SystemExit(f"--out: expected {name}.json in {options.out}, found none; run the benchmark first")
    return record


def timed(call: Callable[[], object], repeats: int = 5, warm: int = 1) -> float:
    """Median seconds of a call, after some that do not count."""
    for _ in range(warm):
        call()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def markdown(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table; the first column is text, the others are numbers or text to the right."""
    lines = [" | ".join(head), " | ".join(["---", *["---:"] * (len(head) - 1)])]
    lines += [" | ".join(str(cell) for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def data_folder() -> Path | None:
    """Folder that holds ``data/`` (real images): RDPDENOISE_DATA, else ``shared`` beside the repository."""
    given = os.environ.get("RDPDENOISE_DATA")
    folder = Path(given) if given else Path(__file__).parents[2] / "shared"
    return folder if (folder / "data").is_dir() else None
