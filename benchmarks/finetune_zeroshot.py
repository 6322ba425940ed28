"""One noisy image and nothing else: the amortised variant and the patch codec beside BM3D.

    python -m benchmarks.finetune zeroshot --threads 1 [--only camera ...] [--patch-kind conv]

Crops of 256x256: photographs with simulated noise (Set12's cameraman and others that come with scikit-image),
and single exposures of FMD's test set. BM3D is told the noise, ours estimate it. Settings are the commands'
own defaults, chosen on `DEVELOPMENT`, other photographs. Every image's scores are kept when they are there.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.io import imread

from benchmarks.common import execute, load, load_codec, markdown, parser, save
from benchmarks.images import folder_of
from benchmarks.peers import PEERS, Plane
from benchmarks.quality import denoise_one
from napari_rdpdenoise import load_model
from napari_rdpdenoise.finetune.run import finetune_patches, finetune_zeroshot
from napari_rdpdenoise.metrics import affine_match, psnr, ssim
from napari_rdpdenoise.noise import NoiseModel, stabilize, unstabilize

KEPT = "finetune_zeroshot-kept.json"
EDGE = 256
PHOTOGRAPHS = ("camera", "coffee", "chelsea")
DEVELOPMENT = ("coins", "astronaut", "rocket")
NOISES = {"sigma 15": 15.0, "sigma 25": 25.0, "sigma 50": 50.0, "Poisson, 25 photons": -25.0}
USUAL = ("sigma 25", 25.0)  # of photographs beside the first
CROPS = ("Confocal_MICE_1.png", "TwoPhoton_BPAE_R_1.png", "WideField_BPAE_G_1.png", "Confocal_FISH_1.png")
# PSNR of ZS-NCD (small convolutions, MLP) less that of BM3D, Set11, arXiv 2506.12693
PUBLISHED = {"sigma 15": (-0.87, None), "sigma 25": (-0.86, -0.27), "sigma 50": (-0.98, -0.67)}
METHODS = ("noisy", "BM3D, told the noise", "shipped model, realism 0", "zero-shot from the shipped model",
           "patch codec")  # fmt: skip
Pair = tuple[Plane, Plane]  # noisy and clean


def photograph(name: str) -> NDArray[np.float64]:
    """A square photograph of 256x256, 0..255."""
    import skimage.data
    from skimage.color import rgb2gray
    from skimage.transform import resize

    image = getattr(skimage.data, name)()
    image = 255 * rgb2gray(image) if image.ndim == 3 else image.astype(np.float64)
    side = min(image.shape)
    y, x = ((n - side) // 2 for n in image.shape)
    return resize(image[y : y + side, x : x + side], (EDGE, EDGE), anti_aliasing=True, preserve_range=True)


def with_noise(clean: NDArray[np.float64], level: float) -> Pair:
    """Gaussian noise of that sigma; with a level below 0 so many photons at white."""
    rng = np.random.default_rng(0)
    if level > 0:
        return (clean + rng.normal(0, level, clean.shape)).astype(np.float32), clean
    scale = -level / 255
    return (rng.poisson(clean * scale) / scale).astype(np.float32), clean


def told(level: float) -> Callable[[Plane, Plane, int], Plane]:
    """BM3D that is told this noise."""
    from benchmarks.peers import _bm3d

    noise = NoiseModel(0.0, 0.0, level) if level > 0 else NoiseModel(-255 / level, 0.0, 1e-2)
    return lambda noisy, _clean, threads: unstabilize(
        _bm3d(stabilize(noisy, noise).astype(np.float64), threads), noise
    )


def cases(names: list[str] | None) -> dict[str, tuple[Pair, Callable[[Plane, Plane, int], Plane]]]:
    """Noisy and clean crop, and the BM3D that is told its noise, by title."""
    found = {}
    for name in names or PHOTOGRAPHS:
        for title, level in NOISES.items() if name in ("camera", *(names or ())) else [USUAL]:
            found[f"{name}, {title}"] = (with_noise(photograph(name), level), told(level))
    bm3d = next(peer.denoise for peer in PEERS if "told" in peer.name)
    for name in CROPS if names is None else ():
        pair = [imread(folder_of("test") / part / name)[:EDGE, :EDGE] for part in ("fmd/raw", "fmd/gt")]
        found[f"FMD {name[:-4]}"] = ((pair[0], affine_match(pair[1], pair[0])), bm3d)
    return found


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """PSNR, SSIM and CPU seconds of every method and image."""
    codec = load_codec(options)
    kept = load(options.out / KEPT) or {}
    key = f"{codec.digest.hex()[:8]} {options.patch_steps} {options.patch_kind}"
    rows = kept.setdefault(key, {})
    todo = cases(options.only)
    for title in list(todo)[: options.limit]:
        (noisy, clean), told = todo[title]
        scores = rows.setdefault(title, {})
        methods = _methods(codec, told, options)
        wanted = METHODS[:-1] if options.no_patches else METHODS
        for method in (m for m in wanted if m not in scores):
            began = time.process_time()
            image = methods[method](noisy, clean)
            spent = time.process_time() - began
            image = np.clip(image, 0, 255)
            scores[method] = {
                "psnr": psnr(image, clean, 255.0),
                "ssim": ssim(image, clean, 255.0),
                "cpu": spent,
            }
            print(title, method, {k: round(v, 3) for k, v in scores[method].items()}, flush=True)
            save(options.out / KEPT, kept)
    return {"images": {t: rows[t] for t in todo if t in rows}, "patch_steps": options.patch_steps,
            "patch_kind": options.patch_kind}  # fmt: skip


def _methods(
    codec: Any, told: Any, options: argparse.Namespace
) -> dict[str, Callable[[Plane, Plane], Plane]]:
    def tuned(noisy: Plane, _clean: Plane) -> Plane:
        with TemporaryDirectory() as folder:
            try:
                result = finetune_zeroshot(
                    noisy,
                    Path(folder) / "tuned",
                    model=options.model,
                    device=options.device,
                    threads=options.threads,
                )
            except ValueError as refused:  # shared noise: a user goes on with the shipped model
                print(refused, flush=True)
                return denoise_one(codec, noisy)[0]
            return denoise_one(load_model(result.model, options.device), noisy)[0]

    def patches(noisy: Plane, _clean: Plane) -> Plane:
        with TemporaryDirectory() as folder:
            return finetune_patches(
                noisy, Path(folder) / "patches", device=options.device,
                kind=options.patch_kind, steps=options.patch_steps,
            )  # fmt: skip

    named = (
        lambda noisy, _clean: noisy,
        lambda noisy, clean: told(noisy, clean, options.threads),
        lambda noisy, _clean: denoise_one(codec, noisy)[0],
        tuned,
        patches,
    )
    return dict(zip(METHODS, named, strict=True))


def table(record: dict[str, Any]) -> str:
    """PSNR and CPU seconds, and the distance to BM3D beside the published one."""
    images = record["result"]["images"]
    linear = record["result"].get("patch_kind") == "linear"
    codec = "patch codec, linear" if linear else f"patch codec, {record['result']['patch_steps']} steps"
    head = ["PSNR dB (CPU seconds)", *METHODS[:-1], codec]
    rows = [
        (title, *(f"{s[m]['psnr']:.2f} ({s[m]['cpu']:.0f})" if m in s else "" for m in METHODS))
        for title, s in images.items()
    ]
    gaps = []
    for kind in (*NOISES, "FMD"):
        chosen = [s for title, s in images.items() if kind in title]
        if not chosen:
            continue
        bm3d = np.array([s[METHODS[1]]["psnr"] for s in chosen])
        cells = [_gap([s.get(m) for s in chosen], bm3d) for m in METHODS[2:]]
        published = PUBLISHED.get(kind, (None, None))
        gaps.append((kind, len(chosen), *cells, *("" if p is None else f"{p:+.2f}" for p in published)))
    head_gaps = [
        "dB above BM3D, mean",
        "images",
        *METHODS[2:],
        "ZS-NCD, published (Set11)",
        "its MLP, published",
    ]
    return markdown(head, rows) + "\n\n" + markdown(head_gaps, gaps)


def _gap(scores: list[dict[str, float] | None], bm3d: NDArray[np.float64]) -> str:
    """Mean of PSNR less BM3D's over the images that were measured, and how many where some were not."""
    gaps = [s["psnr"] - other for s, other in zip(scores, bm3d, strict=True) if s]
    return f"{np.mean(gaps):+.2f}" + (f" ({len(gaps)})" if len(gaps) < len(bm3d) else "") if gaps else ""


def main() -> None:
    """Run what the command line says."""
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--only", nargs="+", choices=(*PHOTOGRAPHS, *DEVELOPMENT), help="these photographs")
    options.add_argument("--patch-steps", type=int, default=2000, help="of conv and mlp, batch 1024")
    options.add_argument("--patch-kind", choices=("linear", "conv", "mlp"), default="linear")
    options.add_argument("--no-patches", action="store_true", help="leave the patch codec out: it is slow")
    given = options.parse_args()
    execute("finetune_zeroshot", measure, given)
    print(table(load(given.out / "finetune_zeroshot.json")))


if __name__ == "__main__":
    main()
