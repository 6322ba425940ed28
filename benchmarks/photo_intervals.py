"""Intervals of the model of photographs: made good on pictures held out of its training, tried on Kodak's.

As in ``intervals``, for pictures in colour: the other colours are looked at where that helps, and the noise,
Gaussian or that of a camera, is told.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import data_folder, execute, load_codec, markdown, parser
from benchmarks.photo import Picture, pictures
from napari_rdpdenoise.codec import Codec
from napari_rdpdenoise.codec.interval import error_in_counts, fit_intervals
from napari_rdpdenoise.io import SelectedSource, open_image
from napari_rdpdenoise.nn.decoder_names import FIDELITY, FLOW
from napari_rdpdenoise.noise import NoiseModel, expected_stabilized
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream import Plan, make_plan
from napari_rdpdenoise.stream.tile import TileTask

CROP = 192  # px, in the middle
HELD_OUT = ("30", "32")  # starts of the names of pictures
CAMERAS = {
    "sigma 10": (0.0, 0.0, 10.0),
    "sigma 25": (0.0, 0.0, 25.0),
    "sigma 50": (0.0, 0.0, 50.0),
    "30 photo-electrons": (255 / 30, 0.0, 2.0),
    "500 photo-electrons": (255 / 500, 0.0, 1.0),
}


class Judged(NamedTuple):
    """One colour of a picture.

    Attributes:
        image: Result, counts.
        expected: Expected error of the decode, noise standard deviations.
        error: Its error, noise standard deviations.
        noise: Noise model.
        share: Share of the input in the result; None for none.
        clean: Truth, counts.
    """

    image: NDArray[np.float32]
    expected: NDArray[np.float32]
    error: NDArray[np.float64]
    noise: NoiseModel
    share: NDArray[np.float32] | None
    clean: NDArray[np.float32]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Table of factors, and the share of pixels within; ``--limit`` takes that many pictures of each kind."""
    codec = load_codec(options)
    codec.check((FLOW,))
    cases = [
        found
        for clean in _held_out(options.limit)
        for number, camera in enumerate(CAMERAS.values())
        for found in _judged(codec, _exposed(clean, camera, number), clean, camera)
    ]
    fitted = fit_intervals(*zip(*((case.expected, case.error) for case in cases), strict=True))
    rows = []
    for name, clean, _ in pictures(options.limit):
        crop = _cropped(clean)
        for number, (kind, camera) in enumerate(CAMERAS.items()):
            for found in _judged(codec, _exposed(crop, camera, number), crop, camera):
                half = fitted.half_width(found.expected)
                width = error_in_counts(found.image, half, found.noise, found.share)
                within = np.abs(found.image - found.clean) <= width
                relative = width / np.sqrt(found.noise.variance(found.clean))
                rows.append({"kind": kind, "within": float(within.mean()), "width": float(relative.mean())})
        print(name, {k: round(_mean(rows, k, "within"), 3) for k in CAMERAS}, flush=True)
    return {"table": fitted.model_dump(mode="json"), "rows": rows, "fitted_on": len(cases)}


def _mean(rows: list[dict[str, Any]], kind: str, key: str) -> float:
    return float(np.mean([row[key] for row in rows if row["kind"] == kind]))


def _held_out(limit: int | None) -> Iterator[Picture]:
    from skimage.io import imread

    folder = data_folder()
    assert folder is not None
    found = sorted((folder / "data" / "photo" / "train").glob("*.jpg"))
    for path in [path for path in found if path.name.startswith(HELD_OUT)][:limit]:
        yield _cropped(imread(path).astype(np.float32))


def _cropped(picture: Picture) -> Picture:
    top, left = ((n - CROP) // 2 for n in picture.shape[:2])
    return picture[top : top + CROP, left : left + CROP]


def _exposed(clean: Picture, camera: tuple[float, float, float], seed: int) -> Picture:
    gain, _, read = camera
    rng = np.random.default_rng(seed)
    light = gain * rng.poisson(clean / gain) if gain else clean
    return np.asarray(light + rng.normal(0, read, clean.shape), dtype=np.float32)


def _judged(
    codec: Codec, noisy: Picture, clean: Picture, camera: tuple[float, float, float]
) -> Iterator[Judged]:
    """The colours of a picture as a run denoises them."""
    settings = RunSettings(model=codec.card.name, camera=camera, dtype="float32", device=codec.device)
    source = open_image(noisy, "YXS")
    plan = next(step for step in make_plan(source, settings, codec) if isinstance(step, Plan))
    task = TileTask(SelectedSource(source), plan, codec, None, (FIDELITY,))
    for work in plan.works:
        item = task.read(work)
        task.encode([item])
        (decoded,) = task.decode([item])
        assert item.latents is not None
        noise, truth = item.plan.normalization.noise, clean[..., work.channel]
        plain = decoded.first if item.plain is None else item.plain
        (expected,) = codec.expected_error([item.latents])
        apart = expected_stabilized(plain, noise) - expected_stabilized(truth, noise)
        share = None if item.back is None else item.back.noise_share
        yield Judged(decoded.first, expected, apart, noise, share, truth)


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    rows = record["result"]["rows"]
    lines = [
        (
            kind,
            str(sum(row["kind"] == kind for row in rows)),
            f"{100 * _mean(rows, kind, 'within'):.1f}",
            f"{_mean(rows, kind, 'width'):.2f}",
        )
        for kind in CAMERAS
    ]
    head = ("Kodak", "colours", "% of pixels within (90 asked)", "mean half width, noise sd")
    return markdown(head, lines)


if __name__ == "__main__":
    execute("photo_intervals", measure, parser(__doc__.splitlines()[0]).parse_args())
