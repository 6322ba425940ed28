"""How well the error that a run expects meets the true one: a table, and a plot in ``risk.png``.

**Simulated.** Scenes and series that no model was trained on become exposures (as in ``light``). The true
error is that of the result against the light itself, where the noise of the true camera has variance 1.
Once the noise is measured in the image, as by default, and once the camera is told: what is off then is the
estimate's own.

**Real.** Images with a mean of many exposures as truth, in units of the noise that was measured. Such a truth
has noise of its own: of 50 exposures 17 dB below that of one, so that no error seems smaller.

Rate, structure and neighbours auto, realism 0, central crops. Errors in dB below the noise. The test images
are for reporting only.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.io import imread

from benchmarks.common import execute, kept, load_codec, markdown, parser
from benchmarks.images import folder_of
from benchmarks.light import READ, REAL, expose
from benchmarks.quality import denoise_one
from benchmarks.series import HELD_OUT, PLANES, decibels, error
from napari_rdpdenoise.codec import Codec
from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.metrics import affine_match
from napari_rdpdenoise.noise import NoiseModel, shares_noise
from napari_rdpdenoise.stream import RunReport

PHOTONS = (10, 50, 500, 5000)  # at the bright end
CROP = 256  # px
# Kind, folder below the training images, pattern of its files, and every how many of them.
SCENES = (
    ("W2S, held out", "w2s/clean", "07*_?.png", 5),
    ("nuclei, held out", "dsb2018", "0[01]*.png", 1),
)
PAIRS = ("W2S, held out, real", "07[26]_?.png", "080_?.png")
WIDTH, HEIGHT, DPI = 9.6, 5.2, 110  # inches
MARKS = {
    "W2S, held out": "o", "nuclei, held out": "s", "series, held out": "D", "W2S, held out, real": "*",
    "FMD raw (test)": "^", "FMD avg4 (test)": "v", "W2S 081-100 (test)": "P",
}  # fmt: skip
Row = dict[str, Any]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Expected and true error of every image, and the plot; ``--limit`` takes that many of each kind."""
    codec = load_codec(options)
    rows = [*_simulated(codec, options.limit), *_series(codec, options.limit), *_real(codec, options.limit)]
    draw(rows, options.out / "risk.png", f"{codec.card.name} ({codec.digest.hex()[:8]})")
    return {"rows": rows}


def _simulated(codec: Codec, limit: int | None) -> Iterator[Row]:
    for kind, folder, pattern, every in SCENES:
        for path in sorted((folder_of("train") / folder).glob(pattern))[::every][:limit]:
            scene = _cropped(imread(path))
            for photons in PHOTONS:
                yield from _exposed(codec, scene, kind, path.name, photons)


def _series(codec: Codec, limit: int | None) -> Iterator[Row]:
    for name in HELD_OUT[:limit]:
        (path,) = (folder_of("train").parent / "series").glob(f"{name}_*.ome.tif")
        source = open_image(path)
        axis, count = source.metadata.axes[0], source.shape[0]
        first = max(0, count // 2 - PLANES // 2)
        whole = slice(None), slice(None)
        planes = np.stack([source.read((i,), *whole) for i in range(first, min(count, first + PLANES))])
        for photons in PHOTONS:
            yield from _exposed(codec, _cropped(planes), "series, held out", name, photons, f"{axis}YX")


def _exposed(
    codec: Codec, scene: NDArray[Any], kind: str, name: str, photons: int, axes: str = "YX"
) -> Iterator[Row]:
    noisy, clean = expose(scene, photons)
    gain = min(2.0, 30_000 / photons)
    camera = NoiseModel(gain, 100.0, READ * gain)
    for told in (False, True):
        given = {"camera": (camera.gain, camera.offset, camera.read_noise)} if told else {}
        image, report = denoise_one(codec, noisy, axes, **given)
        row = {"kind": kind, "name": name, "photons": photons, "told": told}
        yield _shown(row | _errors(image, clean, report, camera))


def _real(codec: Codec, limit: int | None) -> Iterator[Row]:
    kind, *patterns = PAIRS
    folder = folder_of("train") / "w2s"
    paths = sorted(path for pattern in patterns for path in (folder / "noisy").glob(pattern))
    for path in paths[:limit]:
        yield _pair(codec, kind, path.name, imread(path), imread(folder / "clean" / path.name))
    for images in REAL[:-1]:  # the last was trained on
        for name in images.few()[:limit]:
            yield _pair(codec, images.name, name, *images.pair(name))


def _pair(codec: Codec, kind: str, name: str, noisy: NDArray[Any], clean: NDArray[Any]) -> Row:
    noisy, clean = _cropped(noisy), _cropped(affine_match(clean, noisy))
    image, report = denoise_one(codec, noisy)
    row = {"kind": kind, "name": name, "photons": None, "told": False}
    return _shown(row | _errors(image, clean, report, report.channels[0].noise))


def _cropped(image: NDArray[Any]) -> NDArray[Any]:
    top, left = (max(0, (n - CROP) // 2) for n in image.shape[-2:])
    return image[..., top : top + CROP, left : left + CROP]


def _errors(image: NDArray[Any], clean: NDArray[Any], report: RunReport, camera: NoiseModel) -> Row:
    (channel,) = report.channels
    return {
        "expected": decibels(channel.error),
        "true": decibels(error(image, clean, camera)),
        "shared": shares_noise(channel.noise),
        "doubt": channel.noise.doubt,
    }


def _shown(row: Row) -> Row:
    print({k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    return row


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    groups: dict[tuple[bool, str, Any], list[Row]] = {}
    for row in record["result"]["rows"]:
        groups.setdefault((row["told"], row["kind"], row["photons"]), []).append(row)
    lines = [_line(*key, rows) for key, rows in sorted(groups.items(), key=lambda group: group[0][0])]
    foot = (
        "Errors in dB below the noise; *expected - true* is positive where a result is worse than expected. "
        "*Not known*: neighbouring pixels share their noise, or no error could be told."
    )
    return "\n\n".join([markdown(_HEAD, lines), _in_words(record["result"]["rows"]), foot])


def _line(told_camera: bool, kind: str, photons: int | None, rows: list[Row]) -> tuple[object, ...]:
    told = [row for row in rows if row["expected"] is not None]
    gaps = [row["expected"] - row["true"] for row in told]
    numbers = ("", "", "", "")
    if told:
        means = (np.mean([row[key] for row in told]) for key in ("expected", "true"))
        numbers = (*(f"{mean:.1f}" for mean in means), f"{np.mean(gaps):+.1f}", f"{max(gaps, key=abs):+.1f}")
    light = "real" if photons is None else str(photons)
    noise = "told" if told_camera else "measured"
    return (kind, light, noise, len(rows), *numbers, len(rows) - len(told))


def _in_words(rows: list[Row]) -> str:
    """How near expected and true errors are, with the noise measured and with the camera told."""
    parts = []
    for name, told in (("with the noise measured", False), ("with the camera told", True)):
        known = [row for row in rows if row["told"] is told and row["expected"] is not None]
        gaps = np.array([row["expected"] - row["true"] for row in known])
        if gaps.size:
            near, middle = np.mean(np.abs(gaps) <= 3), np.median(gaps)
            parts.append(f"{name} {near:.0%} of {gaps.size} images (median difference {middle:+.1f} dB)")
    return f"Within 3 dB of the true error: {'; '.join(parts)}."


_HEAD = (
    "images", "photo-electrons", "noise", "number", "expected", "true", "expected - true", "at worst",
    "not known",
)  # fmt: skip


def draw(rows: list[Row], file: Path, model: str) -> None:
    """Write the plot of expected over true errors."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    size = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    with pyplot.rc_context(size):
        figure, panels = pyplot.subplots(1, 2, figsize=(WIDTH, HEIGHT), layout="constrained")
        ends = [row[key] for row in rows if row["expected"] is not None for key in ("expected", "true")]
        limits = min(ends, default=0.0) - 1, max(ends, default=1.0) + 1
        for axes, title, told in (
            (panels[0], "noise measured in the image", False),
            (panels[1], "camera told", True),
        ):
            _panel(axes, [row for row in rows if row["told"] is told], title, limits)
        _legend(panels[1], rows)
        panels[0].set_ylabel("expected error, dB below the noise")
        words = f"{model}. Grey: within 3 dB; hollow: what looks like noise may be the sample's own grain"
        figure.suptitle(words, size=8)
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, dpi=DPI, facecolor="white", metadata={"Software": None})
        pyplot.close(figure)


def _panel(axes: Any, rows: list[Row], title: str, limits: tuple[float, float]) -> None:
    (low, high), known = limits, [row for row in rows if row["expected"] is not None]
    axes.fill_between([low, high], [low - 3, high - 3], [low + 3, high + 3], color="0.92", linewidth=0)
    axes.plot([low, high], [low, high], color="0.6", linewidth=1)
    for row in known:
        colour = _colour(row["photons"])
        face = colour if row["doubt"] == 0 else "none"
        place, mark = (row["true"], row["expected"]), MARKS[row["kind"]]
        axes.scatter(*place, s=16, marker=mark, facecolors=[face], edgecolors=[colour], linewidths=0.8)
    axes.set(xlim=limits, ylim=limits, aspect="equal", xlabel="true error, dB below the noise")
    unknown = len(rows) - len(known)
    axes.set_title(f"{title}: {len(known)} images, {unknown} not known", size=9, loc="left")


def _legend(axes: Any, rows: list[Row]) -> None:
    for kind in dict.fromkeys(row["kind"] for row in rows):
        axes.scatter([], [], s=16, marker=MARKS[kind], color="0.4", label=kind)
    for photons in PHOTONS:
        axes.scatter([], [], s=30, marker="_", color=_colour(photons), label=f"{photons} photo-electrons")
    axes.legend(loc="lower right", fontsize=7, frameon=False)


def _colour(photons: int | None) -> Any:
    """Colour of a light; real images are black."""
    from matplotlib import colormaps

    if photons is None:
        return "black"
    return colormaps["viridis"](0.1 + 0.8 * PHOTONS.index(photons) / (len(PHOTONS) - 1))


def main() -> None:
    """Measure and keep the result; ``--draw`` draws the kept one again."""
    options = parser(__doc__)
    options.add_argument("--draw", action="store_true", help="draw the kept result again")
    given = options.parse_args()
    if not given.draw:
        execute("risk", measure, given)
        return
    record = kept("risk", given)
    draw(record["result"]["rows"], given.out / "risk.png", record["model"])


if __name__ == "__main__":
    main()
