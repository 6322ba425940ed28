"""What is found of the noise: series whose noise changes, and what is found falsely in real images.

The series are simulated exposures of clean test images. Their light falls to a share of itself from plane to
plane and is made good, or the camera's gain is changed in the middle; both change the noise at equal
brightness. Each is denoised by each plane's own noise, as a run does, and by one noise for all planes, told
as the camera's: what that costs, in dB. The false finds are counted on all real test images as they are, one
by one: rows that repeat (borders, calibration bars), straight ramps, soft masks, halves of other noise, and
dead pixels that touch.

    python benchmarks/run.py noise [--limit 4]

``--limit`` holds for the images of the series (4 without it) and for the real ones (all without it).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import execute, load_codec, markdown, parser
from benchmarks.images import SETS, folder_of
from napari_rdpdenoise.noise.dead_groups import find_dead_groups
from napari_rdpdenoise.noise.halves import find_halves
from napari_rdpdenoise.noise.invalid_sample import screen_sample

PLANES, SIZE = 8, 256  # of a series; px
PEAK = 60.0  # photo-electrons at the bright end of the first plane
GAIN, OFFSET, READ = 2.0, 100.0, 3.0  # counts per photo-electron, counts, counts rms
KINDS = ("bleached to 15 %, made good", "gain times four in the middle")
CHECKS = ("repeated rows or bars", "straight ramps", "soft masks", "two cameras", "dead pixels that touch")
Image = NDArray[Any]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """PSNR of each series by own noise and by one, and the false finds by check."""
    codec = load_codec(options)
    names = SETS[-1].names(options.limit or 4)
    series = []
    for number, (name, _, clean) in enumerate(SETS[-1].pairs(names)):
        for kind in KINDS:
            noisy, truth = simulated(clean, kind, number)
            series.append({"image": name, "kind": kind} | _scores(codec, noisy, truth))
    return {"series": series} | false_finds(real_images(options.limit))


def simulated(clean: Image, kind: str, seed: int) -> tuple[Image, Image]:
    """A series (T, Y, X) of a clean image whose noise changes, uint16, and its truth (Y, X), counts."""
    low, high = np.percentile(clean, [0.5, 99.9])
    light = PEAK * np.clip((clean[:SIZE, :SIZE] - low) / (high - low), 0.0, 1.5)
    rng, frames = np.random.default_rng(seed), []
    for t in range(PLANES):
        share = 0.15 ** (t / (PLANES - 1)) if kind == KINDS[0] else 1.0
        gain = 4.0 if kind == KINDS[1] and t >= PLANES // 2 else 1.0
        # the higher gain sees a quarter of the light, so that the brightness is the same
        photons = light * share / gain
        counts = (GAIN * rng.poisson(photons) + rng.normal(0, READ, light.shape)) * gain / share
        frames.append(np.clip(np.round(counts + OFFSET), 0, 65535).astype(np.uint16))
    return np.stack(frames), GAIN * light + OFFSET


def _scores(codec: Any, noisy: Image, truth: Image) -> dict[str, float]:
    """Mean PSNR of the planes, dB: noisy, by their own noise, and by one for all."""
    from benchmarks.quality import denoise_one
    from napari_rdpdenoise.metrics import psnr
    from napari_rdpdenoise.noise import estimate_noise

    one = estimate_noise(list(noisy))
    own = denoise_one(codec, noisy, "TYX")[0]
    told = denoise_one(codec, noisy, "TYX", camera=(one.gain, one.offset, one.read_noise))[0]
    span = float(np.ptp(truth))

    def mean(planes: Image) -> float:
        return float(np.mean([psnr(plane, truth, span) for plane in planes]))

    return {"noisy": mean(noisy), "own": mean(own), "one": mean(told)}


def real_images(limit: int | None) -> Iterator[tuple[str, Image]]:
    """Name and pixels of the test images: all, or so many of them."""
    from skimage.io import imread

    found = sorted(folder_of("test").rglob("*.png"))
    for path in found if limit is None else found[:: max(1, len(found) // limit)]:
        image = imread(path)
        yield path.relative_to(folder_of("test")).as_posix(), image if image.ndim == 2 else image[..., 0]


def false_finds(images: Iterator[tuple[str, Image]]) -> dict[str, Any]:
    """How many images there are, and the names of those in which each check finds something."""
    count, found = 0, {check: [] for check in CHECKS}
    for name, image in images:
        count += 1
        rule, (part,) = screen_sample([image])
        groups = rule.noise is not None and find_dead_groups(part.filled, rule.noise, rule.dead_groups).any()
        seen = (
            rule.repeated,
            rule.ramps is not None,
            rule.fading > 0,
            rule.noise is not None and find_halves([part.masked], [(0, 0)], image.shape[:2]) is not None,
            bool(groups),
        )
        for check, at in zip(CHECKS, seen, strict=True):
            if at:
                found[check].append(name)
    return {"images": count, "false": found}


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    r = record["result"]
    rows = []
    for kind in KINDS:
        of_kind = [series for series in r["series"] if series["kind"] == kind]
        means = (np.mean([series[way] for series in of_kind]) for way in ("noisy", "one", "own"))
        gains = [series["own"] - series["one"] for series in of_kind]
        rows.append((kind, *(f"{m:.2f}" for m in means), f"{np.mean(gains):+.2f}", f"{min(gains):+.2f}"))
    head = ("series, mean PSNR of its planes in dB", "noisy", "one noise", "own noise", "gain", "least")
    false = [(check, len(names), ", ".join(names) or "-") for check, names in r["false"].items()]
    count = f"found in {r['images']} real images"
    return markdown(head, rows) + "\n\n" + markdown((count, "images", "which"), false)


def main() -> None:
    """Measure and keep the result."""
    execute("noise", measure, parser(__doc__).parse_args())


if __name__ == "__main__":
    main()
