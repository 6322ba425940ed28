"""Rate, distortion and perception: every rate and realism on the published test images, beside peers.

Each image is encoded once per rate and decoded once; realism only blends the two decodes. The clean image is
mapped onto the noisy one's scale as in ``quality.py``. ``--limit`` takes so many images of each set.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import RESULTS, execute, load, load_codec, parser
from benchmarks.images import SETS, TestSet
from benchmarks.peers import JPEG2000, PEERS, Peer, Plane, peer_scores
from benchmarks.perceptual import METRICS, judge_all, judge_fast, unavailable
from benchmarks.rdp_tables import table
from napari_rdpdenoise.codec import Codec, Normalization
from napari_rdpdenoise.codec.autorate import choose_rate
from napari_rdpdenoise.codec.decoded import Decoded
from napari_rdpdenoise.codec.trial import Trial
from napari_rdpdenoise.metrics import affine_match
from napari_rdpdenoise.nn.decoder_names import FIDELITY, REALISM
from napari_rdpdenoise.noise import estimate_noise

__all__ = ["measure", "path_terms", "table"]

RATES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
REALISMS = (0.0, 0.25, 0.5, 0.75, 1.0)
EXAMPLE = Path(__file__).parents[1] / "examples" / "images" / "rdp.png"  # scores only, no image


@dataclass(frozen=True)
class PathTerms:
    """``MSE(alpha) = mse + alpha * linear + alpha**2 * quadratic``, counts squared.

    Attributes:
        mse: of the fidelity decode f against the clean image x.
        linear: ``2 * mean((r - f) * (f - x))`` with r the realism decode; 0 on average if f is the posterior
            mean, because its error is then orthogonal to whatever is made of the same latents.
        quadratic: ``mean((r - f)**2)``, what realism 1 costs on that path.
    """

    mse: float
    linear: float
    quadratic: float


def path_terms(fidelity: Plane, realism: Plane, clean: Plane) -> PathTerms:
    """The three terms of the straight path from the fidelity to the realism decode; equal shapes, counts."""
    f, r, x = (np.asarray(part, dtype=np.float64) for part in (fidelity, realism, clean))
    return PathTerms(
        float(np.mean((f - x) ** 2)),
        float(2 * np.mean((r - f) * (f - x))),
        float(np.mean((r - f) ** 2)),
    )


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Scores of all rates and realisms, and of the peers; see ``rdp_tables.py``."""
    codec = load_codec(options)
    peers, missing = _peers(options)
    lacking = unavailable()
    result: dict[str, Any] = {
        "rates": RATES,
        "realisms": REALISMS if REALISM in codec.decoders else (0.0,),
        "missing_peers": missing,
        "unavailable": lacking,
        "kmac_per_px": _kmac(codec),
        "training": _training(options.out),
        "sets": {},
    }
    for images in SETS:
        names = _names(images, options.limit)
        ours = {name: _image(codec, images, name, result["realisms"]) for name in names}
        result["sets"][images.name] = _gathered(ours, result["realisms"])
    needed = frozenset(METRICS) - set(lacking)
    for images in SETS:
        names = _names(images, options.limit)
        rows = {
            peer.name: peer_scores(peer, images, names[:: peer.every], options, judge_all, wanted)
            for peer, wanted in ((peer, _needed(peer, needed)) for peer in peers)
            if images.name in (peer.sets or (images.name,))
        }
        result["sets"][images.name]["peers"] = rows
    return result


def _needed(peer: Peer, scores: frozenset[str]) -> frozenset[str]:
    """Scores that kept results must have; half a minute per image is not spent twice for a further score."""
    return frozenset() if "BM3D" in peer.name else scores


def _names(images: TestSet, limit: int | None) -> list[str]:
    few = images.few()
    return few if limit is None else [few[int(i)] for i in np.linspace(0, len(few) - 1, min(limit, len(few)))]


def _peers(options: argparse.Namespace) -> tuple[list[Peer], dict[str, str]]:
    from benchmarks.learned import learned_peers

    trained, missing = learned_peers((options.out, RESULTS))
    return [*PEERS, JPEG2000, *trained], missing


def _image(codec: Codec, images: TestSet, name: str, realisms: tuple[float, ...]) -> dict[str, Any]:
    """One image at every rate and realism, and at the automatic rate with all scores."""
    noisy, clean = images.pair(name)
    normalization = codec.fit([noisy], estimate_noise([noisy]))
    sweep = []
    for rate in RATES:
        decoded, bpp = _decoded(codec, noisy, normalization, rate)
        scores = [judge_fast(decoded.blend(realism), clean, noisy) for realism in realisms]
        sweep.append({"bpp": bpp, "realism": scores})
        _say(images.name, name, f"rate {rate:g}", bpp, scores)
    auto = choose_rate(Trial(codec, [noisy], normalization)).rate
    decoded, bpp = _decoded(codec, noisy, normalization, auto)
    scores = [judge_all(decoded.blend(realism), clean, noisy) for realism in realisms]
    _say(images.name, name, f"auto rate {auto:g}", bpp, scores)
    found: dict[str, Any] = {"sweep": sweep, "auto": {"rate": auto, "bpp": bpp, "realism": scores}}
    if REALISM in decoded:
        found["path"] = asdict(path_terms(decoded[FIDELITY], decoded[REALISM], affine_match(clean, noisy)))
    return found


def _decoded(codec: Codec, noisy: Plane, normalization: Normalization, rate: float) -> tuple[Decoded, float]:
    (latents,) = codec.encode([noisy], normalization, rate)
    return codec.decode([latents], codec.decoders)[0], latents.bpp


def _say(images: str, name: str, rate: str, bpp: float, scores: list[dict[str, float]]) -> None:
    psnr = ", ".join(f"{row['psnr']:.2f}" for row in scores)
    print(f"{images} {name} {rate}: {bpp:.3f} bpp, {psnr} dB", flush=True)


def _gathered(ours: dict[str, dict[str, Any]], realisms: tuple[float, ...]) -> dict[str, Any]:
    """Means over the images for the sweep; the automatic rate and the path of each image."""
    sweep = []
    for place, rate in enumerate(RATES):
        rows = [found["sweep"][place] for found in ours.values()]
        points = [_means([row["realism"][k] for row in rows]) for k in range(len(realisms))]
        sweep.append({"rate": rate, "bpp": float(np.mean([row["bpp"] for row in rows])), "realism": points})
    return {
        "sweep": sweep,
        "auto": {name: found["auto"] for name, found in ours.items()},
        "path": {name: found["path"] for name, found in ours.items() if "path" in found},
    }


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def _kmac(codec: Codec) -> dict[str, float]:
    """Thousands of multiply-accumulates per pixel of our codec and of the U-Net of N2V."""
    from benchmarks.learned import n2v_network
    from benchmarks.networks import macs_per_pixel
    from napari_rdpdenoise.nn.network import RdpNetwork, count_macs

    ours = count_macs(RdpNetwork(codec.card.network).eval())
    return {"ours": round(ours / 1e3, 1), "n2v": round(macs_per_pixel(n2v_network().eval()) / 1e3, 1)}


def _training(out: Path) -> dict[str, Any]:
    """What ``train_unet.py`` kept of each U-Net, but for the long lists."""
    from benchmarks.learned import MODES

    found = {}
    for mode in MODES:
        record = load(out / f"unet-{mode}.json") or load(RESULTS / f"unet-{mode}.json")
        if record is not None:
            found[mode] = {key: value for key, value in record.items() if key not in ("curve", "data")}
    return found


def main() -> None:
    """Measure, keep the result, and draw it; the README's figure is that of a full run."""
    from benchmarks.rdp_figure import draw

    options = parser(__doc__).parse_args()
    execute("rdp", measure, options)
    result = load(options.out / "rdp.json")["result"]
    draw(result, options.out / "rdp.png")
    if not options.limit and options.out.resolve() == RESULTS.resolve():
        draw(result, EXAMPLE)


if __name__ == "__main__":
    main()
