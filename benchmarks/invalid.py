"""What is not image: how often image is taken for it, and how much of it is missed.

False alarms are counted on real images (the folders of training images, series and stacks; never the test
images), all of them, as they are; on simulated exposures of them, with smooth letters drawn into these, and
to much light, where the steps of their grey levels stand out; and on simulated images that look like defects
and are none. Misses are counted on defects of known place, put into simulated exposures
(`benchmarks.invalid_members`). A pixel is missed if it is a defect and not found, and false if it is found
and no defect.

    python benchmarks/invalid.py [--limit 40] [--seeds 2]

``--limit`` holds for exposures; all real images are always looked at as they are.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import data_folder, execute, markdown, parser
from benchmarks.invalid_members import SIZE, Member, as_stored, exposure, innocent, members, text
from napari_rdpdenoise.noise.invalid import Screened
from napari_rdpdenoise.noise.invalid_sample import screen_sample

LIGHT, MUCH_LIGHT = 300, 50_000  # photo-electrons at the bright end
Image = NDArray[Any]
SEEN = 4.0  # noise standard deviations by which a letter's pixel stands out
WORST = 12  # real images that the record names


def real_images(limit: int | None) -> Iterator[tuple[str, list[Image]]]:
    """Folder and name of an image, and its planes; never the test images."""
    from skimage.io import imread

    data = data_folder()
    if data is None:
        raise FileNotFoundError("no folder of images: set RDPDENOISE_DATA to the folder that holds data/")
    folder = data / "data"
    found: list[Path] = sorted((folder / "train").rglob("*.png"))
    found += sorted((folder / "series").glob("*.tif")) + sorted((folder / "stacks").glob("*.tif"))
    for path in found if limit is None else found[:: max(1, len(found) // limit)]:
        image = imread(path)
        if path.suffix == ".png":
            yield path.relative_to(folder / "train").as_posix(), [image if image.ndim == 2 else image[..., 0]]
        else:
            planes = image.reshape(-1, *image.shape[-2:])
            yield (
                f"{path.parent.name}/{path.name}",
                list(planes[np.linspace(0, len(planes) - 1, 8).astype(int)]),
            )


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All counts."""
    real, worst = _real()
    simulated = [_innocent_row(seed) for seed in range(options.seeds)]
    return {
        "real": real,
        "worst": worst,
        "letters": _letters(options.limit),
        "much light": _much_light(options.limit),
        "innocent": {name: [part[name] for part in simulated] for name in simulated[0]},
        "members": {m.name: [_missed(m, seed) for seed in range(options.seeds)] for m in members()},
    }


def _real() -> tuple[dict[str, list[float]], list[list[Any]]]:
    """By folder of real images what is marked in them, and the images in which most is.

    The counts are of images, pixels, images with a value found, defects, images with pixels that are no
    image, such pixels, and pixels that are so bright that they are spared the codec.
    """
    rows: dict[str, list[float]] = {}
    marked: list[list[Any]] = []
    for name, planes in real_images(None):
        rule, sample = screen_sample(planes)
        kinds = [_count(sample, kind) for kind in ("defects", "regions", "highlights")]
        pixels, values = sum(plane.size for plane in planes), bool(rule.values)
        found = (1, pixels, values, kinds[0], kinds[1] > 0, kinds[1], kinds[2])
        folder = name.split("/")[0]
        row = rows.setdefault(folder, [0] * len(found))
        rows[folder] = [a + b for a, b in zip(row, found, strict=True)]
        if sum(kinds):
            marked.append([name, *kinds])
    return rows, sorted(marked, key=lambda image: -sum(image[1:]))[:WORST]


def _letters(limit: int | None) -> dict[str, list[float]]:
    """Smooth letters of the largest and the smallest value of a number type, drawn into exposures.

    By their colour and the type: images, pixels of letters that stand out of the noise, those of them that
    are missed, pixels beside letters that are taken for them, and images in which no letter is found.
    """
    from benchmarks.light import expose

    rows: dict[str, list[float]] = {}
    share = text() / 255.0
    for _, (plane, *_) in real_images(limit):
        if plane.dtype != np.uint8 or _middle(plane).shape != share.shape or np.ptp(_middle(plane)) == 0:
            continue
        counts = expose(_middle(plane), LIGHT)[0].astype(np.float64)
        for dtype, image in ((np.uint16, counts), (np.uint8, counts * 235 / np.quantile(counts, 0.999))):
            for colour, value in (("white", np.iinfo(dtype).max), ("black", 0)):
                name = f"{colour}, {np.dtype(dtype).name}"
                row = _letters_row(image, share, value, dtype)
                rows[name] = [a + b for a, b in zip(rows.get(name, [0] * len(row)), row, strict=True)]
    return rows


def _letters_row(image: Image, share: Image, value: float, dtype: type) -> tuple[float, ...]:
    plain, drawn = as_stored(image, dtype), as_stored(image * (1 - share) + value * share, dtype)
    before = _marked(screen_sample([plain])[1][0])
    rule, (part,) = screen_sample([drawn])
    after, letter = _marked(part), drawn != plain
    seen = letter
    if rule.noise is not None:
        noise = np.sqrt(rule.noise.variance(np.maximum(image, rule.noise.offset)))
        seen = letter & (np.abs(drawn - image) > SEEN * noise)
    missed, false = int((seen & ~after).sum()), int((after & ~before & ~letter).sum())
    return 1, int(seen.sum()), missed, false, not (after & letter).any()


def _middle(plane: Image) -> Image:
    return plane[tuple(slice(max(0, (n - SIZE) // 2), max(0, (n - SIZE) // 2) + SIZE) for n in plane.shape)]


def _marked(part: Screened) -> NDArray[np.bool_]:
    """Pixels that stay as they are."""
    return np.zeros(part.filled.shape, bool) if part.left is None else part.left


def _much_light(limit: int | None) -> dict[str, list[float]]:
    """By folder of 8-bit training images exposed to much light: images, pixels and defects found."""
    from benchmarks.light import expose

    rows: dict[str, list[float]] = {}
    for name, (plane, *_) in real_images(limit):
        if plane.dtype == np.uint8 and np.ptp(plane) > 0:
            exposed, _ = expose(_middle(plane), MUCH_LIGHT)
            folder = name.split("/")[0]
            row = rows.setdefault(folder, [0, 0, 0])
            found = _count(screen_sample([exposed])[1], "defects")
            rows[folder] = [a + b for a, b in zip(row, (1, exposed.size, found), strict=True)]
    return rows


def _innocent_row(seed: int) -> dict[str, list[float]]:
    rows = {}
    for name, image in innocent(seed):
        rule, sample = screen_sample([image])
        rows[name] = [float(len(rule.values)), float(_count(sample, "defects")), float(image.size)]
    return rows


def _missed(member: Member, seed: int) -> list[float]:
    """Share of the defect that is missed, and share of the image that is taken for one."""
    image, lost = member.put(exposure(seed, member.offset), np.random.default_rng([seed, 1]))
    _, (found,) = screen_sample([as_stored(image, member.dtype)])
    marked = np.zeros(lost.shape, bool) if found.invalid is None else found.invalid
    return [float(np.mean(~marked[lost])), float(np.mean(marked[~lost]))]


def _count(sample: list[Screened], kind: str) -> int:
    masks = [getattr(part, kind) for part in sample]
    return sum(int(mask.sum()) for mask in masks if mask is not None)


def table(record: dict[str, Any]) -> str:
    """False alarms and misses."""
    result = record["result"]
    real = [
        (
            name,
            *(str(int(number)) for number in (n, values, marked)),
            *(_per_megapixel(number, pixels) for number in (regions, defects, highlights)),
        )
        for name, (n, pixels, values, defects, marked, regions, highlights) in result["real"].items()
    ]
    letters = [
        (colour, str(int(n)), str(int(none)), f"{100 * missed / drawn:.2f} %", f"{100 * false / drawn:.2f} %")
        for colour, (n, drawn, missed, false, none) in result["letters"].items()
    ]
    much_light = [
        (name, str(int(n)), _per_megapixel(defects, pixels))
        for name, (n, pixels, defects) in result.get("much light", {}).items()
    ]
    innocent_rows = [
        (
            name,
            str(int(sum(r[0] for r in rows))),
            _per_megapixel(sum(r[1] for r in rows), sum(r[2] for r in rows)),
        )
        for name, rows in result["innocent"].items()
    ]
    missed = [
        (name, f"{100 * np.mean([r[0] for r in rows]):.2f} %", f"{100 * np.mean([r[1] for r in rows]):.3f} %")
        for name, rows in result["members"].items()
    ]
    return "\n\n".join(
        (
            markdown(
                (
                    "real images",
                    "images",
                    "with a value found",
                    "with pixels that are no image",
                    "these per megapixel",
                    "defects per megapixel",
                    "highlights per megapixel",
                ),
                real,
            ),
            markdown(("letters", "images", "not found", "missed", "false, of their pixels"), letters),
            markdown(("exposed to 50,000 photo-electrons", "images", "defects per megapixel"), much_light),
            markdown(("simulated, without defects", "values found", "defects per megapixel"), innocent_rows),
            markdown(("defect", "missed", "false"), missed),
        )
    )


def _per_megapixel(count: float, pixels: float) -> str:
    return f"{1e6 * count / pixels:.1f}"


def main() -> None:
    """Measure and keep the result."""
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, default=2, help="simulated images of each kind")
    execute("invalid", measure, options.parse_args())


if __name__ == "__main__":
    main()
