"""Unpaired references: realism 1 before and after, on test images, some of them never seen by the run.

    python -m benchmarks.finetune unpaired --threads 1 [--model NAME] [--only fmd-bpae] [--pictures FOLDER]

A run gets noisy images and clean ones of other places, nothing more. It is scored on noisy images it had and
on others of the same kind. References are of other specimens (FMD) or other fields (W2S). Settings are the
command's own defaults, chosen on training images and on photographs of textures, with one exception: the
mouse images (fmd-mice) were scored before with twice the weight of LPIPS and no penalty on a lattice,
and the two were changed after that. The BPAE images (fmd-bpae) were scored once.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from skimage.io import imread

from benchmarks.common import execute, load, load_codec, markdown, parser
from benchmarks.images import folder_of
from benchmarks.perceptual import heading, judge_all, unavailable
from benchmarks.quality import denoise_one
from napari_rdpdenoise import load_model
from napari_rdpdenoise.codec import Codec
from napari_rdpdenoise.finetune.planners import plan_unpaired
from napari_rdpdenoise.finetune.run import run_plan
from napari_rdpdenoise.finetune.settings import UnpairedSettings

Paths = list[tuple[Path, Path]]  # noisy and clean


@dataclass(frozen=True)
class Domain:
    """What a user would have, and what it is scored on.

    Attributes:
        title: in the table.
        tuned: noisy images that the run gets, with their truth for the score.
        fresh: noisy images of the same kind that it does not get.
        references: clean images that it gets.
        every: so many of its images one is scored.
    """

    title: str
    tuned: Paths
    fresh: Paths
    references: list[Path]
    every: int = 1


def w2s() -> Domain:
    """Fields 081 to 090 are tuned on, 091 to 100 are fresh; references of fields 001 to 080."""
    names = sorted(path.name for path in (folder_of("test") / "w2s/noisy").glob("*.png"))
    tuned, fresh = [n for n in names if n < "091"], [n for n in names if n >= "091"]
    references = sorted((folder_of("train") / "w2s/clean").glob("*.png"))[::4]
    # every fourth of them shows all three structures
    return Domain("W2S", *(_test("w2s/noisy", "w2s/clean", part) for part in (tuned, fresh)), references, 4)


def _fmd(specimen: str) -> Domain:
    """Two-photon images of a specimen; references are the truths of all others, whatever the microscope."""
    names = sorted(path.name for path in (folder_of("test") / "fmd/raw").glob(f"TwoPhoton_{specimen}*.png"))
    truths = sorted((folder_of("test") / "fmd/gt").glob("*.png"))
    # numbers 1 and 2 of every dye are tuned on, 3 and 4 are fresh
    tuned, fresh = [n for n in names if n[-5] in "12"], [n for n in names if n[-5] in "34"]
    references = [path for path in truths if specimen not in path.name]
    title = f"FMD two-photon {specimen}"
    return Domain(title, _test("fmd/raw", "fmd/gt", tuned), _test("fmd/raw", "fmd/gt", fresh), references)


DOMAINS: dict[str, Callable[[], Domain]] = {
    "w2s": w2s,
    "fmd-bpae": lambda: _fmd("BPAE"),
    "fmd-mice": lambda: _fmd("MICE"),
}
SHOWN = ("psnr", "lpips", "lpips_squeeze", "st_lpips", "dists")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Every domain's run: scores before and after, CPU seconds, the guard's words."""
    codec = load_codec(options)
    kept = load(options.out / "finetune_unpaired.json") or {"result": {"domains": {}}}
    domains = kept["result"]["domains"] if options.only else {}
    for name in options.only or DOMAINS:
        domains[name] = _domain(codec, DOMAINS[name](), options)
    return {"domains": domains, "unavailable": unavailable()}


def _domain(codec: Codec, domain: Domain, options: argparse.Namespace) -> dict[str, Any]:
    noisy = [imread(path) for path, _ in domain.tuned]
    references = [imread(path) for path in domain.references]
    steps = {"steps": options.limit, "validate_every": max(1, options.limit // 2)} if options.limit else {}
    settings = UnpairedSettings(model=options.model, threads=options.threads, **steps)
    with TemporaryDirectory() as folder:
        began, wall, out = time.process_time(), time.monotonic(), Path(folder) / "tuned"
        run = run_plan(plan_unpaired(noisy, references, settings, options.device), out, options.device)
        while True:
            try:
                state = next(run)
            except StopIteration as end:
                result = end.value
                break
            if state.validation:
                print(state.step, {k: round(v, 4) for k, v in state.validation.items()}, flush=True)
        spent = {"cpu_seconds": time.process_time() - began, "seconds": time.monotonic() - wall}
        tuned = load_model(result.model, options.device)
        print(domain.title, *result.words(), sep="\n", flush=True)
        scored = {part: getattr(domain, part)[:: domain.every] for part in ("tuned", "fresh")}
        rows = {part: _scores(codec, tuned, pairs, options) for part, pairs in scored.items()}
        if options.pictures:
            name = "-".join(domain.title.lower().split())
            _picture(options.pictures / f"finetune-{name}.png", codec, tuned, domain.fresh[0])
    return {
        "title": domain.title,
        "images": rows,
        "references": len(references),
        "words": result.words()[:-1],
        "better": result.verdict.better,
        "step": result.verdict.step,
        **spent,
    }


def _scores(start: Codec, tuned: Codec, pairs: Paths, options: argparse.Namespace) -> dict[str, Any]:
    rows = {}
    for noisy_path, clean_path in pairs[: options.limit]:
        noisy, clean = imread(noisy_path), imread(clean_path)
        before, after = (denoise_one(codec, noisy, realism=1.0)[0] for codec in (start, tuned))
        row = rows[noisy_path.name] = {
            "before": judge_all(before, clean, noisy),
            "after": judge_all(after, clean, noisy),
        }
        print(
            noisy_path.name, *(f"{k} {row['before'][k]:.3f} {row['after'][k]:.3f}" for k in ("psnr", "lpips"))
        )
    return rows


def _picture(path: Path, start: Codec, tuned: Codec, pair: tuple[Path, Path], edge: int = 192) -> None:
    """Noisy, before, after, truth of the liveliest square, each pixel doubled, at the truth's contrast."""
    from skimage.io import imsave

    noisy, clean = (imread(part) for part in pair)
    places = [
        (y, x)
        for y in range(0, noisy.shape[0] - edge + 1, 32)
        for x in range(0, noisy.shape[1] - edge + 1, 32)
    ]
    y, x = max(places, key=lambda at: float(clean[at[0] : at[0] + edge, at[1] : at[1] + edge].std()))
    planes = [noisy, *(denoise_one(codec, noisy, realism=1.0)[0] for codec in (start, tuned)), clean]
    low, high = np.percentile(clean, [0.5, 99.9])
    crops = [np.clip((p[y : y + edge, x : x + edge] - low) / (high - low), 0, 1) for p in planes]
    gap = np.ones((edge, 2))
    row = np.hstack([part for crop in crops for part in (crop, gap)][:-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    imsave(path, (255 * np.kron(row, np.ones((2, 2)))).astype(np.uint8), check_contrast=False)


def _test(noisy: str, clean: str, names: list[str]) -> Paths:
    return [(folder_of("test") / noisy / name, folder_of("test") / clean / name) for name in names]


def _means(rows: dict[str, Any], key: str) -> Iterator[float]:
    for when in ("before", "after"):
        yield float(np.mean([row[when][key] for row in rows.values()]))


def table(record: dict[str, Any]) -> str:
    """Before and after, of images the run had and of fresh ones."""
    result = record["result"]
    first = next(iter(next(iter(result["domains"].values()))["images"]["fresh"].values()))["before"]
    shown = [key for key in SHOWN if key in first]
    head = [
        "realism 1: before, after",
        "images",
        *(heading(key) for key in shown),
        "LPIPS-Alex",
        "CPU minutes",
    ]
    rows = []
    for domain in result["domains"].values():
        for part, words in (("tuned", "tuned on"), ("fresh", "fresh")):
            scores = domain["images"][part]
            cells = []
            for key in shown:
                before, after = _means(scores, key)
                cells.append(f"{before:.2f}, {after:.2f}" if key == "psnr" else f"{before:.3f}, {after:.3f}")
            before, after = _means(scores, "lpips")
            change = f"{100 * (after / before - 1):+.0f} %"
            kept = "" if domain["better"] else " (start kept)"
            rows.append((f"{domain['title']}, {words}{kept}", len(scores), *cells, change,
                         f"{domain['cpu_seconds'] / 60:.1f}"))  # fmt: skip
    return markdown(head, rows)


def main() -> None:
    """Run what the command line says."""
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--only", nargs="+", choices=tuple(DOMAINS), help="these; the others' results stay")
    options.add_argument("--pictures", type=Path, help="folder for a strip of noisy, before, after, truth")
    given = options.parse_args()
    execute("finetune_unpaired", measure, given)
    print(table(load(given.out / "finetune_unpaired.json")))


if __name__ == "__main__":
    main()
