"""Is a result ever worse than its input? Exposures of 50 to 50,000 photo-electrons, and real ones.

**Simulated.** A clean image becomes photo-electrons, its 99.9th percentile the bright end, and 16-bit counts
of a camera with 1.5 photo-electrons of read noise; the PSNR's range is the bright end. Limits in the package
were chosen on the training images and series among them; the test images are for reporting only. Once the
noise is measured, as by default, and once the camera is told.

**Real.** Images with a mean of many exposures as truth; what is lost by structure that goes back.

All is done on central crops, rate auto, realism 0.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.io import imread

from benchmarks.common import execute, load_codec, markdown, parser
from benchmarks.images import SETS, TestSet, folder_of
from benchmarks.quality import denoise_one
from napari_rdpdenoise.codec import Codec
from napari_rdpdenoise.metrics import affine_match, psnr
from napari_rdpdenoise.noise import shares_noise

PHOTONS = (50, 500, 5000, 50_000)  # at the bright end
CROP = 256  # px
READ = 1.5  # photo-electrons
HARM = 0.1  # dB below the input that count
# Kind, folder below the data, pattern of its files, and every how many of them.
SCENES = (
    ("electron microscopy", "train/em", "*.png", 2),
    ("phase contrast", "train/phase", "*.png", 2),
    ("confocal", "train/confocal", "*.png", 4),
    ("wide field", "train/widefield", "*.png", 2),
    ("tissue", "train/tissue", "*.png", 2),
    ("W2S, held out", "train/w2s/clean", "07*_?.png", 8),
    ("nuclei, held out", "train/dsb2018", "0[01]*.png", 8),
    ("series, middle plane", "series", "*.ome.tif", 2),
    ("FMD truth (test)", "test/fmd/gt", "*.png", 8),
    ("W2S truth (test)", "test/w2s/clean", "*.png", 8),
)
REAL = (
    *(TestSet(f"{s.name} (test)", s.noisy, s.clean, s.every) for s in SETS),
    TestSet("W2S 004-080, trained on", "../train/w2s/noisy", "../train/w2s/clean", 5),
)
Plane = NDArray[Any]
Row = dict[str, Any]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """PSNR of every image; ``--limit`` takes that many of each kind."""
    codec = load_codec(options)
    return {
        "simulated": list(_simulated(codec, options.limit)),
        "told": list(_simulated(codec, options.limit, told=True)),
        "real": list(_real(codec, options.limit)),
    }


def _simulated(codec: Codec, limit: int | None, *, told: bool = False) -> Iterator[Row]:
    data = folder_of("train").parent
    for kind, folder, pattern, every in SCENES:
        for path in sorted((data / folder).glob(pattern))[::every][:limit]:
            image = imread(path)
            scene = _cropped(image[len(image) // 2] if image.ndim == 3 else image)
            for photons in PHOTONS:
                noisy, clean = expose(scene, photons)
                known = {"camera": camera(photons)} if told else {}
                row = _scores(codec, noisy, clean, float(np.percentile(clean, 99.9) - clean.min()), **known)
                yield _shown({"kind": kind, "photons": photons, "name": path.name} | row)


def _real(codec: Codec, limit: int | None) -> Iterator[Row]:
    for images in REAL:
        for name in images.few()[:limit]:
            noisy, clean = images.pair(name)
            noisy, clean = _cropped(noisy), _cropped(affine_match(clean, noisy))
            yield _shown({"kind": images.name, "name": name} | _scores(codec, noisy, clean, 255.0))


def _cropped(image: Plane) -> Plane:
    top, left = (max(0, (n - CROP) // 2) for n in image.shape)
    return image[top : top + CROP, left : left + CROP]


def expose(scene: Plane, photons: float) -> tuple[Plane, Plane]:
    """Counts of a camera, uint16, and the counts of the same light without noise, float64."""
    low, high = np.percentile(scene, [0.5, 99.9])
    light = photons * np.clip((scene - low) / (high - low), 0.0, 1.5)
    rng, (gain, offset, read_noise) = np.random.default_rng(int(photons)), camera(photons)
    counts = rng.poisson(light) * gain + rng.normal(0, read_noise, light.shape) + offset
    return np.clip(np.round(counts), 0, 65535).astype(np.uint16), light * gain + offset


def camera(photons: float) -> tuple[float, float, float]:
    """Gain, offset and read noise in counts of the camera that counts so many photo-electrons."""
    gain = min(2.0, 30_000 / photons)
    return gain, 100.0, READ * gain


def _scores(codec: Codec, noisy: Plane, clean: Plane, span: float, **known: Any) -> Row:
    image, report = denoise_one(codec, noisy, **known)
    channel, bare = report.channels[0], image
    if channel.structure:
        bare, _ = denoise_one(codec, noisy, structure="none", **known)
    return {
        "noisy": psnr(noisy.astype(np.float64), clean, span),
        "decode": psnr(bare, clean, span),
        "ours": psnr(image, clean, span),
        "rate": report.rate,
        "doubt": channel.noise.doubt,
        "shared": shares_noise(channel.noise),
    }


def _shown(row: Row) -> Row:
    print({k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    return row


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    parts = []
    for part, keys in (
        ("simulated", ("kind", "photons")),
        ("told", ("kind", "photons")),
        ("real", ("kind",)),
    ):
        rows = record["result"][part]
        groups = _groups(rows, keys)
        if part != "real":
            groups += [("all, " + title, group) for title, group in _groups(rows, keys[1:])]
        parts.append(markdown((_TITLES[part], *_HEAD), [_line(title, group) for title, group in groups]))
    return "\n\n".join([*parts, _FOOT])


def _groups(rows: list[Row], keys: tuple[str, ...]) -> list[tuple[str, list[Row]]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(", ".join(str(row[key]) for key in keys), []).append(row)
    return list(groups.items())


def _line(title: str, rows: list[Row]) -> tuple[str, ...]:
    gains = [row["ours"] - row["noisy"] for row in rows]
    returned = [row["ours"] - row["decode"] for row in rows]
    return (
        title,
        str(len(rows)),
        *(f"{np.mean([row[key] for row in rows]):.2f}" for key in ("noisy", "decode", "ours")),
        str(sum(gain < -HARM for gain in gains)),
        f"{min(gains):+.2f}",
        f"{np.mean(returned):+.3f}",
        f"{min(returned):+.2f}",
        f"{np.mean([row['doubt'] for row in rows]):.2f}",
        str(sum(row["shared"] for row in rows)),
    )


_TITLES = {
    "simulated": "simulated: scenes, photo-electrons at the bright end",
    "told": "the same, the camera told (setting `camera`)",
    "real": "real exposures",
}
_HEAD = (
    "images", "noisy", "decode", "ours", f"below the input by {HARM:g} dB and more", "least gain",
    "gained by structure", "at worst", "doubt", "called shared",
)  # fmt: skip
_FOOT = (
    "Means of PSNR in dB. *decode*: without structure from the residual. *doubt*: share of what looks like"
    " noise that may be the sample itself and stays. Truths have grain of their own; where it is white,"
    " nothing tells it from noise: a truth as noisy as a camera of a few hundred photo-electrons loses it."
)


def main() -> None:
    """Measure and keep the result."""
    execute("light", measure, parser(__doc__).parse_args())


if __name__ == "__main__":
    main()
