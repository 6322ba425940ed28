"""PSNR, SSIM and LPIPS on published test images, beside classical methods; and what the automatic rate loses.

The protocol: the clean image is mapped by its least-squares line onto the noisy one's scale and scored there;
8-bit images have the range 255. Results of the peers are kept in ``peers.json`` and not computed again.
"""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import data_folder, execute, load_codec, markdown, parser
from benchmarks.images import SETS, TestSet
from benchmarks.peers import PEERS, Peer, Plane, Scores, peer_scores
from napari_rdpdenoise import RunSettings, denoise_stream, open_image
from napari_rdpdenoise.codec import Codec
from napari_rdpdenoise.codec.autorate import RATES
from napari_rdpdenoise.codec.means import block_means, correct_means
from napari_rdpdenoise.io import ArraySink
from napari_rdpdenoise.metrics import MetricUnavailable, affine_match, lpips, psnr, score
from napari_rdpdenoise.noise import estimate_noise
from napari_rdpdenoise.stream import RunReport, output_spec

OURS = "ours, rate auto, realism 0"
REALISTIC = "ours, rate auto, realism 1"


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Scores of every method and image; see ``table``."""
    codec = load_codec(options)
    result: dict[str, Any] = {"ours": {}, "realism": {}, "best_rate": {}, "peers": {}}
    for images in SETS:
        result["ours"][images.name] = _ours(codec, images, options)
        if "realism" in codec.decoders:
            result["realism"][images.name] = _ours(codec, images, options, realism=1.0)
        result["best_rate"][images.name] = _best_rate(codec, images, options.limit)
    for images in SETS:
        rows = {} if options.ours_only else {peer.name: _peer(peer, images, options) for peer in PEERS}
        result["peers"][images.name] = rows
    return result


def _peer(peer: Peer, images: TestSet, options: argparse.Namespace) -> Scores:
    names = images.few() if peer.few and not options.limit else images.names(options.limit)
    return peer_scores(peer, images, names, options, judge)


def judge(image: Plane, clean: Plane, noisy: Plane) -> dict[str, float]:
    """All scores of one image; LPIPS is left out where its network is not on this machine."""
    fidelity = score(image, clean, noisy)
    row = {"psnr": fidelity.psnr, "ssim": fidelity.ssim, "mean_bias_pct": fidelity.mean_bias_pct}
    with suppress(MetricUnavailable):
        row["lpips"] = lpips(image, affine_match(clean, noisy), folder=backbones())
    return row


def backbones() -> Path | None:
    """Folder of the perceptual metrics' networks, where it is beside the images."""
    folder = data_folder()
    return folder / "weights" if folder and (folder / "weights").is_dir() else None


def _ours(codec: Codec, images: TestSet, options: argparse.Namespace, **changes: Any) -> Scores:
    rows: Scores = {}
    names = images.few() if options.few and not options.limit else images.names(options.limit)
    for name, noisy, clean in images.pairs(names):
        image, report = denoise_one(codec, noisy, **changes)
        channel = report.channels[0]
        rows[name] = judge(image, clean, noisy) | {
            "rate": report.rate,
            "bpp": report.bpp,
            "seconds": report.seconds,
            "expected_residual": channel.expected_residual or float("nan"),
            "found_residual": channel.found_residual or float("nan"),
        }
        print(images.name, name, {k: round(v, 3) for k, v in rows[name].items()}, flush=True)
    return rows


def denoise_one(codec: Codec, noisy: Plane, axes: str = "YX", **changes: Any) -> tuple[Plane, RunReport]:
    """One image through the stream as a series of its own, in float32 so that no method gains by rounding."""
    source = open_image(noisy, axes)
    settings = RunSettings(model=codec.card.name, dtype="float32", **changes)
    sink = ArraySink(output_spec(source, settings))
    run = denoise_stream(source, sink, settings, codec=codec)
    while True:
        try:
            next(run)
        except StopIteration as end:
            return sink.array, end.value


def _best_rate(codec: Codec, images: TestSet, limit: int | None) -> Scores:
    """PSNR at every rate, which needs the clean image: how much better could a choice of the rate be?"""
    rows: Scores = {}
    names = images.few() if limit is None else images.names(limit)
    for name, noisy, clean in images.pairs(names):
        normalization = codec.fit([noisy], estimate_noise([noisy]))
        means, matched = block_means(noisy), affine_match(clean, noisy)
        rows[name] = {
            f"{rate:g}": psnr(correct_means(normalization.inverse(u), means), matched, 255.0)
            for rate, (u, _) in zip(RATES, codec.sweep(noisy, normalization, RATES), strict=True)
        }
        print(images.name, name, {k: round(v, 2) for k, v in rows[name].items()}, flush=True)
    return rows


def _mean(rows: Scores, key: str, digits: int) -> str:
    values = [row[key] for row in rows.values() if key in row]
    return f"{np.mean(values):.{digits}f}" if values else "unavailable"


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    result = record["result"]
    parts = []
    for images in SETS:
        ours = result["ours"][images.name]
        methods = {**result["peers"].get(images.name, {}), OURS: ours}
        if images.name in result.get("realism", {}):
            methods[REALISTIC] = result["realism"][images.name]
        few = next((set(m) for m in methods.values() if set(m) < set(ours)), None)
        rows = [_row(name, scores) for name, scores in methods.items()]
        if few:
            rows += [
                _row(f"{name}, the same images", {k: v for k, v in scores.items() if k in few})
                for name, scores in methods.items()
                if name in (OURS, REALISTIC) or ("BM3D" in name and not set(scores) < set(ours))
            ]
        parts.append(
            f"**{images.name}**\n\n" + markdown(("method", "images", "PSNR dB", "SSIM", "LPIPS"), rows)
        )
    return "\n\n".join([*parts, _rates(result)])


def _row(name: str, scores: Scores) -> tuple[str, ...]:
    return (
        name,
        str(len(scores)),
        _mean(scores, "psnr", 2),
        _mean(scores, "ssim", 4),
        _mean(scores, "lpips", 3),
    )


def _rates(result: dict[str, Any]) -> str:
    head = (
        "ours, rate auto", "rate", "rates", "bpp", "mean kept within", "below the best rate: mean", "most",
        "on", "below the better Gaussian", "by at most", "s per image",
    )  # fmt: skip
    rows = []
    for name, ours in result["ours"].items():
        gaps = rate_gaps(ours, result["best_rate"][name])
        rates = [row["rate"] for row in ours.values()]
        rows.append(
            (
                name,
                _mean(ours, "rate", 2),
                f"{min(rates):g} to {max(rates):g}",
                _mean(ours, "bpp", 3),
                f"{max(row['mean_bias_pct'] for row in ours.values()):.3f} %",
                f"{np.mean(gaps):.3f} dB",
                f"{max(gaps):.3f} dB",
                f"{len(gaps)} images",
                *_against_gaussian(ours, result["peers"].get(name, {})),
                _mean(ours, "seconds", 2),
            )
        )
    return markdown(head, rows)


def _against_gaussian(ours: Scores, peers: dict[str, Scores]) -> tuple[str, str]:
    """Images on which a Gaussian filter, its sigma chosen with the clean image, does better; by how much."""
    blurred = [scores for name, scores in peers.items() if name.startswith("Gaussian")]
    if not blurred:
        return "not run", ""
    gains = [row["psnr"] - max(scores[name]["psnr"] for scores in blurred) for name, row in ours.items()]
    return f"{sum(g < 0 for g in gains)} of {len(gains)} images", f"{max(0.0, -min(gains)):.2f} dB"


def rate_gaps(ours: Scores, curves: Scores) -> list[float]:
    """How far below the best rate's PSNR the automatic one's lies, dB, per image."""
    return [max(curve.values()) - ours[name]["psnr"] for name, curve in curves.items()]


def main() -> None:
    """Measure and keep the result."""
    options = parser(__doc__)
    options.add_argument("--ours-only", action="store_true", help="leave the peers out")
    options.add_argument("--few", action="store_true", help="only the images that the slow peers do")
    execute("quality", measure, options.parse_args())


if __name__ == "__main__":
    main()
