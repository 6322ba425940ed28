"""Keep the figures of README.md, of ``results/*.md`` and of a model's card equal to what was measured.

    python -m benchmarks.readme

They stand between ``<!-- measured:NAME -->`` and ``<!-- /measured:NAME -->``; the cards of the default
models get their ``measured`` entries. Nothing is typed by hand.
"""

from __future__ import annotations

import re
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.common import RESULTS, load, markdown
from benchmarks.ensemble import SIZES
from benchmarks.quality import OURS, REALISTIC

ROOT = Path(__file__).parents[1]
TOGETHER = "ours, mean of 4 mirror images (--ensemble 4)"
CARD = ROOT / "models" / "fluo-light" / "card.yaml"
PHOTO_CARD = ROOT / "models" / "photo-light" / "card.yaml"
_SUMMARY = ("noisy", "Gaussian, sigma 1", "VST+BM3D, told the true noise line")


def quality(record: dict[str, Any], ensemble: dict[str, Any]) -> str:
    """One row per method: PSNR and LPIPS of the three sets, on the images that every method did.

    Args:
        record: Result of ``quality``.
        ensemble: Result of ``ensemble``.
    """
    result = record["result"]
    methods: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for images, peers in result["peers"].items():
        for name in _SUMMARY:
            methods.setdefault(name, {})[images] = peers[name]
        methods.setdefault(OURS, {})[images] = result["ours"][images]
        methods.setdefault(TOGETHER, {})[images] = ensemble["result"][images][str(SIZES[-1])]
        if images in result["realism"]:
            methods.setdefault(REALISTIC, {})[images] = result["realism"][images]
    head, rows = ["PSNR in dB / LPIPS"], []
    common = {images: _common([m[images] for m in methods.values()]) for images in result["peers"]}
    head += [f"{images} ({len(names)} images)" for images, names in common.items()]
    for name, sets in methods.items():
        cells = [
            f"{_mean(sets[images], names, 'psnr'):.2f} / {_mean(sets[images], names, 'lpips'):.3f}"
            for images, names in common.items()
        ]
        rows.append((name, *cells))
    return markdown(head, rows) + f"\n\n{record['date']}, `{record['command']}`, model {record['model']}."


def budget(record: dict[str, Any], peers: dict[str, Any]) -> str:
    """Our codec after the U-Nets' training time, beside them, on the images that all of them did.

    Args:
        record: Result of ``quality`` for the model of ``equal_budget.yaml``.
        peers: Result of ``rdp``.
    """
    ours, sets = record["result"]["ours"], peers["result"]["sets"]
    titles = [title for title in sets[next(iter(sets))]["peers"] if title.startswith("U-Net")]
    methods = {"our codec, 13 minutes, realism 0": ours}
    methods |= {f"{title}, 13 minutes": {n: sets[n]["peers"][title] for n in sets} for title in titles}
    common = {images: _common([scores[images] for scores in methods.values()]) for images in sets}
    rows = [
        (
            title,
            *(
                f"{_mean(scores[images], names, 'psnr'):.2f} / {_mean(scores[images], names, 'lpips'):.3f}"
                for images, names in common.items()
            ),
        )
        for title, scores in methods.items()
    ]
    head = ["PSNR in dB / LPIPS", *(f"{images} ({len(names)} images)" for images, names in common.items())]
    return markdown(head, rows) + (
        f"\n\n{record['date']}, weights from `benchmarks/equal_budget.yaml` (the commands are in it) and "
        "`python -m benchmarks.train_unet`; one core each."
    )


def rows_of(name: str, record: dict[str, Any]) -> str:
    """The benchmark's own table, and where it comes from."""
    from importlib import import_module

    table = import_module(f"benchmarks.{name}").table(record)
    return f"{table}\n\n{record['date']}, `{record['command']}`, model {record['model']}."


def in_short(records: dict[str, dict[str, Any]]) -> str:
    """Speed, the window's answers and memory in one list.

    Args:
        records: Results of ``speed``, ``dock`` and ``memory``, by these names.
    """
    speed, dock, memory = (records[name]["result"] for name in ("speed", "dock", "memory"))
    runs, threads = speed["end_to_end"], records["speed"]["threads"]
    numbers = {name: record["machine"].get("precision", "float32") for name, record in records.items()}
    cached = runs["from OME-Zarr, latents cached (decode only)"]["mpps"]
    first, drawn = (
        statistics.median(values) for values in (dock["first_tile_s"], dock["realism_ms"]["drawn"])
    )
    lines = (
        f"OME-Zarr to OME-Zarr: {runs['from OME-Zarr']['mpps']:.1f} megapixels per second on {threads} cores "
        f"in {numbers['speed']}, {cached:.1f} where the latents are cached (BM3D {speed['bm3d_mpps']:.2f}; "
        f"the U-Net of N2V, prediction alone, {speed['unet_mpps']:.1f}).",
        f"Dock, on one core in {numbers['dock']}: first preview tile {first:.1f} s after a layer was chosen; "
        f"moving realism redraws in {drawn:.0f} ms.",
        f"Memory: {memory['peak_mib']:.0f} MiB above the start for a stack of {memory['gigabytes']:.0f} GB, "
        f"{memory['loaded_mib']:.0f} of them PyTorch with the model.",
    )
    return "\n".join(f"- {line}" for line in lines)


def measured(record: dict[str, Any]) -> dict[str, Any]:
    """The card's figures: means over all images of each set."""
    result = record["result"]
    out: dict[str, Any] = {
        "command": record["command"],
        "date": record["date"],
        "setting": "rate auto; images never trained on, no setting chosen by them",
    }
    for images, ours in result["ours"].items():
        for alpha, scores in (("0", ours), ("1", result["realism"].get(images, {}))):
            if scores:
                worst = max(row["mean_bias_pct"] for row in scores.values())
                out[f"{images}, realism {alpha}"] = {
                    "images": len(scores),
                    "psnr_db": _rounded(scores, "psnr", 2),
                    "ssim": _rounded(scores, "ssim", 4),
                    "lpips_alex": _rounded(scores, "lpips", 3),
                    "bpp": _rounded(scores, "bpp", 3),
                    "largest_change_of_mean_percent": round(worst, 3),
                }
    return out


def measured_photo(record: dict[str, Any]) -> dict[str, Any]:
    """The figures of the card of the model of pictures in colour: means over Kodak's pictures."""
    out: dict[str, Any] = {
        "command": record["command"],
        "date": record["date"],
        "setting": "Kodak, Gaussian noise of sigma 25, told; never trained on, no setting chosen by it",
    }
    keys = {"psnr_db": ("psnr", 2), "ssim": ("ssim", 4), "lpips_alex": ("lpips", 3)}
    for method, scores in record["result"].items():
        if method.startswith("ours"):
            out[method] = {"pictures": len(scores)}
            out[method] |= {name: _rounded(scores, key, digits) for name, (key, digits) in keys.items()}
    return out


def _common(methods: list[dict[str, dict[str, float]]]) -> list[str]:
    return sorted(set.intersection(*(set(scores) for scores in methods)))


def _mean(scores: dict[str, dict[str, float]], names: list[str], key: str) -> float:
    return float(np.mean([scores[name][key] for name in names]))


def _rounded(scores: dict[str, dict[str, float]], key: str, digits: int) -> float:
    return round(_mean(scores, [n for n in scores if key in scores[n]], key), digits)


def _fill(path: Path, blocks: dict[str, str]) -> str:
    """The text of a page with what was measured between its comments."""
    text = path.read_text(encoding="utf-8")
    for name, content in blocks.items():
        pattern = re.compile(rf"(<!-- measured:{name} -->\n).*?(<!-- /measured:{name} -->)", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(
                f"{path.name}: expected <!-- measured:{name} --> and its end, found none; add them"
            )
        text = pattern.sub(lambda match, new=content: f"{match[1]}{new}\n{match[2]}", text)  # type: ignore[misc]
    return text


def _series(record: dict[str, Any]) -> str:
    from benchmarks.series import summary

    rows = record["result"]["rows"]
    return f"Simulated exposures of series. {' '.join(summary(rows, photons) for photons in (10, 50))}"


def pages() -> dict[Path, str]:
    """Every page that shows figures, as it has to read by ``results/*.json``."""
    names = ("quality", "ensemble", "series", "rdp", "speed", "dock", "memory")
    records = {name: load(RESULTS / f"{name}.json") for name in names}
    methods = quality(records["quality"], records["ensemble"])
    budgets = budget(load(RESULTS / "equal-budget.json"), records["rdp"])
    tables = {name: rows_of(name, records[name]) for name in ("speed", "dock", "series")}
    return {
        path: _fill(path, blocks)
        for path, blocks in (
            (
                ROOT / "README.md",
                {"quality": methods, "series": _series(records["series"]), "speed": in_short(records)},
            ),
            (RESULTS / "quality.md", {"quality": methods, "budget": budgets, "series": tables["series"]}),
            (RESULTS / "speed.md", {name: tables[name] for name in ("speed", "dock")}),
        )
    }


def main() -> None:
    """Fill the pages and the card from ``results/``."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    figures = measured(load(RESULTS / "quality.json"))
    for path, found in ((CARD, figures), (PHOTO_CARD, measured_photo(load(RESULTS / "photo.json")))):
        card = yaml.safe_load(path.read_text(encoding="utf-8"))
        kept = {key: value for key, value in card["measured"].items() if "training" in key}
        card["measured"] = {**kept, **found}
        path.write_text(
            yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=110), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
