"""The ``rdp`` result in Markdown."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.common import markdown
from benchmarks.peers import Scores
from benchmarks.perceptual import METRICS, heading

DIGITS = {"ssim": 4, "microssim": 4}  # others: as in the table of metrics


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    result = record["result"]
    scores = [key for key in METRICS if key not in result["unavailable"]]
    parts = [_methods(name, found, result, scores) for name, found in result["sets"].items()]
    notes = [f"{heading(name)}: unavailable, {why}." for name, why in result["unavailable"].items()]
    notes += [f"{name}: {why}." for name, why in result["missing_peers"].items()]
    if len(result["realisms"]) == 1:
        notes.append("This model has no realism decoder: realism 0 only.")
    parts += ["\n".join(f"- {note}" for note in notes)] if notes else []
    parts.append(_sweep(result))
    parts += [_path(result)] if any(found["path"] for found in result["sets"].values()) else []
    parts.append(_cost(result))
    return "\n\n".join(parts)


def _methods(name: str, found: dict[str, Any], result: dict[str, Any], scores: list[str]) -> str:
    """Ours at the automatic rate and every realism, then the peers, on the same images."""
    auto = list(found["auto"].values())
    rows = []
    for place, realism in enumerate(result["realisms"]):
        means = [_number(score, [image["realism"][place] for image in auto]) for score in scores]
        bpp = f"{np.mean([image['bpp'] for image in auto]):.3f}"
        rows.append((f"ours, rate auto, realism {realism:g}", *means, bpp))
    for peer, images in found["peers"].items():
        means = [_number(score, list(images.values())) for score in scores]
        bits = [row["bpp"] for row in images.values() if "bpp" in row]
        fewer = f", {len(images)} images only" if len(images) < len(auto) else ""
        rows.append((f"{peer}{fewer}", *means, f"{np.mean(bits):.3f}" if bits else ""))
    head = (
        "method",
        *(f"{heading(score)} {'↑' if METRICS[score].higher_is_better else '↓'}" for score in scores),
        "bpp",
    )
    return f"**{name}**, images: {len(auto)}\n\n" + markdown(head, rows)


def _number(score: str, rows: list[dict[str, float]]) -> str:
    if not all(score in row for row in rows):  # kept from a time before that score
        return ""
    return f"{np.mean([row[score] for row in rows]):.{DIGITS.get(score, METRICS[score].digits)}f}"


def _sweep(result: dict[str, Any]) -> str:
    """PSNR and LPIPS of every rate at the ends and the middle of the realism."""
    realisms = result["realisms"]
    places = sorted({0, len(realisms) // 2, len(realisms) - 1})
    ends = " / ".join(f"{realisms[k]:g}" for k in places)
    rows = [
        (
            name,
            f"{point['rate']:g}",
            f"{point['bpp']:.3f}",
            *(
                " / ".join(_number(score, [point["realism"][k]]) for k in places)
                for score in ("psnr", "lpips")
            ),
        )
        for name, found in result["sets"].items()
        for point in found["sweep"]
    ]
    return markdown(("ours", "rate", "bpp", f"PSNR dB at realism {ends}", f"LPIPS-Alex at {ends}"), rows)


def _path(result: dict[str, Any]) -> str:
    """Is the fidelity decode the end of lowest error that the theory of the straight path asks for?"""
    rows = []
    for name, found in result["sets"].items():
        terms: Scores = found["path"]
        linear = [row["linear"] / row["mse"] for row in terms.values()]
        quadratic = [row["quadratic"] / row["mse"] for row in terms.values()]
        whole = [1 + a + b for a, b in zip(linear, quadratic, strict=True)]
        rows.append(
            (
                name,
                f"{np.mean(linear):+.4f}",
                f"{min(linear):+.4f} to {max(linear):+.4f}",
                f"{np.mean(quadratic):.4f}",
                f"{_decibel(np.array(quadratic) + 1):.2f} dB",
                f"{_decibel(np.array(whole)):.2f} dB",
            )
        )
    head = (
        "MSE(realism) / MSE(0) = 1 + realism a + realism² b", "a", "of the images", "b",
        "PSNR lost at realism 1 if a = 0", "found",
    )  # fmt: skip
    return markdown(head, rows) + (
        "\n\na is 0 on average if the fidelity decode is the posterior mean; b is then all that realism "
        "costs, and at most 1 (3 dB) with the best decoder of perfect realism."
    )


def _decibel(ratio: np.ndarray) -> float:
    return float(np.mean(10 * np.log10(ratio)))


def _cost(result: dict[str, Any]) -> str:
    """What the networks cost per pixel, and what training them took."""
    rows = [
        (
            "ours, encode and one decode",
            f"{result['kmac_per_px']['ours']:.1f}",
            "",
            "",
            "see the model's card",
        )
    ]
    for mode, found in result["training"].items():
        where = f"threads: {found['threads']}" if found["device"] == "cpu" else found["machine"]["gpu"]
        minutes = f"{found['seconds'] / 60:.0f}"
        rows.append(
            (f"U-Net {mode.upper()}", f"{found['kmac_per_px']:.1f}", minutes, str(found["step"]), where)
        )
    peers = [peer for found in result["sets"].values() for peer in found["peers"].values()]
    if own := [row for peer in peers for row in peer.values() if "steps" in row]:
        minutes = f"{np.median([row['seconds'] for row in own]) / 60:.1f}"
        rows.append(
            ("N2V U-Net", f"{result['kmac_per_px']['n2v']:.1f}", minutes, f"{own[0]['steps']}", "each image")
        )
    return markdown(("network", "kMAC/px", "minutes of training", "steps", "on"), rows)
