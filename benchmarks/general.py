"""How far does a model carry? Light and cameras outside its training, and other microscopes.

**Simulated exposures.** A clean image becomes photo-electrons, its 99.9th percentile the bright end, and then
16-bit counts of a camera, so that the truth is known without any matching of scales; the PSNR's range is the
bright end. The scenes are held-out clean training images; for bright field, where none is held out, trained
ones; and simulated cells. Three cameras: an ordinary one; an EMCCD (0.24 photo-electrons per count, excess
noise of its register); an sCMOS whose pixels differ in gain, offset and read noise, uncorrected.

**Real exposures.** The FMD test set split by microscope and specimen, protocol as in ``quality``; BM3D's
scores are those kept in ``peers.json``.

The Gaussian filter is told the truth: its sigma is the best of some, image by image.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.io import imread

from benchmarks.common import RESULTS, execute, load, load_codec, markdown, parser
from benchmarks.images import SETS, folder_of
from benchmarks.peers import PEERS
from benchmarks.quality import denoise_one
from napari_rdpdenoise.codec import Codec
from napari_rdpdenoise.metrics import affine_match, psnr
from napari_rdpdenoise.samples import simulate_timelapse

PHOTONS = (1, 2, 5, 20, 100, 1000, 5000, 20000)  # at the bright end
FEW_PHOTONS = (5, 50, 500)  # of the other cameras
SIGMAS = (0.5, 1.0, 2.0, 4.0)  # px
BM3D = next(peer for peer in PEERS if peer.name == "VST+BM3D, our noise estimate")
Image = NDArray[np.float64]
Row = dict[str, Any]


@dataclass(frozen=True)
class Scenes:
    """Clean images: name in the table, folder below ``data/train`` and file stems; or seeds to simulate."""

    name: str
    folder: str
    stems: tuple[str, ...]


@cache
def _light(folder: str, stem: str) -> Image:
    """Light of a scene, 0 at its darkest and 1 at its 99.9th percentile."""
    if folder:
        (path,) = (folder_of("train") / folder).glob(f"{stem}*.png")
        image = imread(path).astype(np.float64)
    else:
        image = simulate_timelapse((1, 512, 512), seed=int(stem)).clean[0].astype(np.float64)
    low, high = np.percentile(image, [0.5, 99.9])
    return np.clip((image - low) / (high - low), 0.0, 1.5)


SCENES = (
    Scenes("wide-field cells (W2S)", "w2s/clean", ("070_0", "074_1", "079_2")),
    Scenes("nuclei (DSB2018)", "dsb2018", ("00071198", "003cee89")),
    Scenes("bright field (plankton), trained on", "holo2bright", ("00104", "00504")),
    Scenes("simulated cells", "", ("1", "2")),
)


def ordinary(light: Image, rng: np.random.Generator) -> tuple[Image, Image]:
    """Counts, and the counts of the same light without noise; 2 counts and 1.5 read noise per electron."""
    electrons = rng.poisson(light) + rng.normal(0, 1.5, light.shape)
    return electrons * 2.0 + 100.0, light * 2.0 + 100.0


def emccd(light: Image, rng: np.random.Generator) -> tuple[Image, Image]:
    """As ``ordinary``: the register multiplies every electron at random, which doubles the variance."""
    electrons = rng.poisson(light)
    multiplied = np.where(electrons > 0, rng.gamma(np.maximum(electrons, 1e-9)), 0.0)
    return (multiplied + rng.normal(0, 0.2, light.shape)) / 0.24 + 200.0, light / 0.24 + 200.0


def scmos(light: Image, rng: np.random.Generator) -> tuple[Image, Image]:
    """As ``ordinary``: pixel by pixel gain (sd 5 %), offset (sd 2 counts) and read noise (median 1.4)."""
    gain = 2.0 * rng.normal(1.0, 0.05, light.shape)
    read = 1.0 + rng.exponential(0.6, light.shape)
    electrons = rng.poisson(light) + rng.normal(size=light.shape) * read
    return electrons * gain + rng.normal(100.0, 2.0, light.shape), light * 2.0 + 100.0


CAMERAS: dict[str, tuple[Callable[..., tuple[Image, Image]], tuple[int, ...], tuple[Scenes, ...]]] = {
    "ordinary": (ordinary, PHOTONS, SCENES),
    "EMCCD": (emccd, FEW_PHOTONS, SCENES[:1]),
    "uncorrected sCMOS": (scmos, FEW_PHOTONS, SCENES[:1]),
}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """PSNR of every image and method; ``--limit`` takes that many images of each kind."""
    codec = load_codec(options)
    return {"simulated": list(_simulated(codec, options)), "real": list(_real(codec, options.limit))}


def _simulated(codec: Codec, options: argparse.Namespace) -> Iterator[Row]:
    for camera, (expose, lights, kinds) in CAMERAS.items():
        for scenes in kinds:
            for photons in lights:
                for number, stem in enumerate(scenes.stems[: options.limit]):
                    light = photons * _light(scenes.folder, stem)
                    counts, clean = expose(light, np.random.default_rng([photons, number]))
                    noisy = np.clip(np.round(counts), 0, 65535).astype(np.uint16)
                    span = float(np.percentile(clean, 99.9) - clean.min())
                    row = _scores(codec, noisy, clean, span)
                    if number == 0 and scenes is SCENES[0]:
                        row["BM3D"] = psnr(BM3D.denoise(noisy, clean, options.threads), clean, span)
                    yield _shown(
                        {"camera": camera, "kind": scenes.name, "photons": photons, "name": stem} | row
                    )


def _real(codec: Codec, limit: int | None) -> Iterator[Row]:
    kept = load(RESULTS / "peers.json") or {}
    for images in (s for s in SETS if s.name.startswith("FMD")):
        scores = kept.get(images.name, {}).get(BM3D.name, {})
        bm3d = scores["images"] if scores.get("version") == BM3D.version else {}
        for kind, names in groupby(images.names(), key=lambda name: name.rsplit("_", 1)[0]):
            for name in list(names)[:limit]:
                noisy, clean = images.pair(name)
                row = _scores(codec, noisy, affine_match(clean, noisy), 255.0)
                if name in bm3d:
                    row["BM3D"] = bm3d[name]["psnr"]
                yield _shown({"set": images.name, "kind": kind, "name": name} | row)


def _shown(row: Row) -> Row:
    print({k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    return row


def _scores(codec: Codec, noisy: NDArray[np.generic], clean: Image, span: float) -> Row:
    """PSNR in dB at a data range of ``span`` counts; the rate; what the user was told."""
    raw = noisy.astype(np.float64)
    blurred = {sigma: psnr(ndimage.gaussian_filter(raw, sigma), clean, span) for sigma in SIGMAS}
    image, report = denoise_one(codec, noisy)
    return {
        "noisy": psnr(raw, clean, span),
        "Gaussian": max(blurred.values()),
        "sigma": max(blurred, key=blurred.__getitem__),
        "ours": psnr(image, clean, span),
        "rate": report.rate,
        "told": list(report.messages),
    }


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    result = record["result"]
    parts = []
    for first, keys in (("simulated", ("camera", "kind", "photons")), ("real", ("set", "kind"))):
        rows = [_line(keys, list(group)) for _, group in groupby(result[first], key=_values(keys))]
        parts.append(markdown((_TITLES[first], *_HEAD), rows))
    return "\n\n".join([*parts, _FOOT])


def _values(keys: tuple[str, ...]) -> Callable[[Row], tuple[Any, ...]]:
    return lambda row: tuple(row[key] for key in keys)


def _line(keys: tuple[str, ...], rows: list[Row]) -> tuple[str, ...]:
    title = ", ".join(str(value).replace("_", " ") for value in _values(keys)(rows[0]))
    both = [row for row in rows if "BM3D" in row]
    return (
        title,
        str(len(rows)),
        *(_mean(rows, key) for key in ("noisy", "Gaussian", "ours")),
        str(sum(row["ours"] < row["Gaussian"] for row in rows)),
        f"{_mean(both, 'BM3D')} / {_mean(both, 'ours')} ({len(both)})" if both else "",
        _mean(rows, "rate"),
        *(str(sum(any(word in m for m in row["told"] for word in words) for row in rows)) for words in _TOLD),
    )


def _mean(rows: list[Row], key: str) -> str:
    return f"{np.mean([row[key] for row in rows]):.2f}"


_TITLES = {
    "simulated": "simulated: camera, scenes, photo-electrons at the bright end",
    "real": "FMD: set, microscope and specimen",
}
_HEAD = (
    "images", "noisy", "best Gaussian", "ours", "below the Gaussian", "BM3D / ours on the same (images)",
    "rate", "told of the light", "told of the residual", "told of the noise",
)  # fmt: skip
# What the messages of a run are recognised by: trained range, choice of the rate, noise estimate.
_TOLD = (("was trained",), ("the removed part", "blank or flat"), ("noise estimate:",))
_FOOT = (
    f"Means of PSNR in dB; rate auto, realism 0. The Gaussian's sigma is the best of {SIGMAS} px by the clean"
    " image; BM3D takes our noise estimate. The last three columns count the images at which the run said"
    " that the light is outside what the model was trained on, that the removed part does not fit the noise,"
    " and something about its noise estimate. The W2S, DSB2018 and plankton scenes have grain of their own,"
    " which counts as truth here and limits what a denoiser can reach from about 5000 photo-electrons on; the"
    " simulated cells have none."
)


def main() -> None:
    """Measure and keep the result."""
    execute("general", measure, parser(__doc__).parse_args())


if __name__ == "__main__":
    main()
