"""False spots: does the denoised image of a flat, noisy field show spots that are not there?

Fields without any structure (flat, with uneven illumination, with noise that neighbours share) are simulated,
denoised and searched for spots, and so are the noisy field itself and a Gaussian blur of it. All values are
first made relative: ``d = (image - true field) / noise``, with the true noise standard deviation of a raw
pixel. A false spot is a local maximum (within 5 x 5 px)

* "as in the input": of the Laplacian of Gaussian of ``d`` (sigma 1.5 px), beyond 5 robust standard deviations
  of that response *in the noisy input*: as strong as a spot that would be significant there;
* "above the noise": of ``d`` itself, higher than 1: it stands out by more than the noise of one raw pixel
  (the noisy image is full of such maxima, so there this one says nothing);
* "by itself": like the first, but beyond 5 robust standard deviations *in the searched image*: what a
  detector reports that sets its threshold by the denoised image, however faint.

So that nothing is won by erasing, Gaussian spots (sigma 1.5 px) of known heights are planted into the same
fields, but for those with shared noise: found are those with such a maximum within 2 px.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.common import execute, load_codec, markdown, parser
from napari_rdpdenoise.codec import Codec
from napari_rdpdenoise.codec.autorate import choose_rate
from napari_rdpdenoise.codec.trial import Trial
from napari_rdpdenoise.noise import estimate_noise

SIZE = 512  # px
SIGMA = 1.5  # px, of spots and of the detector
SIGNIFICANT = 5.0  # robust standard deviations
FRAME = 8  # px at the edges that are not searched
REACH = 2.0  # px between a planted spot and the maximum that finds it
SPACING = 48  # px between planted spots
HEIGHTS = (2, 3, 4, 6, 8)  # of planted spots, noise standard deviations
SEEDS = 2
NOISY = "noisy"
WAYS = ("as in the input", "above the noise", "by itself")
Image = NDArray[np.float64]


@dataclass(frozen=True)
class Field:
    """A field without structure.

    Attributes:
        family: as in the table.
        photons: photo-electrons per pixel.
        read: read noise, photo-electrons rms.
        eight_bit: stretched from its smallest to its largest value, else 16 bits.
        gradient: share of the light that is lost towards one corner.
        blur: Gaussian sigma of the noise that neighbours share, px.
    """

    family: str
    photons: float
    read: float
    eight_bit: bool = False
    gradient: float = 0.0
    blur: float = 0.0

    def light(self) -> Image:
        """Photo-electrons per pixel, (SIZE, SIZE)."""
        y, x = np.mgrid[:SIZE, :SIZE] / (SIZE - 1)
        return self.photons * (1 - self.gradient * (x**2 + y**2) / 2)


@dataclass(frozen=True)
class Exposed:
    """A noisy image as stored; the true field and the noise standard deviation per pixel, both in counts."""

    image: NDArray[np.generic]
    field: Image
    noise: Image

    def relative(self, image: NDArray[np.generic]) -> Image:
        """Distance from the true field, noise standard deviations."""
        return (image.astype(np.float64) - self.field) / self.noise


FIELDS = (
    *(Field("flat, 16 bits", photons, read) for photons in (5, 20, 100, 1000) for read in (0.5, 3.0)),
    *(Field("flat, 8 bits", photons, 0.5, eight_bit=True) for photons in (5, 20, 100, 1000)),
    *(Field("uneven light", photons, 0.5, gradient=0.7) for photons in (5, 20, 100, 1000)),
    *(Field("noise shared, blur 0.6 px", photons, 0.5, blur=0.6) for photons in (20, 1000)),
    *(Field("noise shared, blur 1 px", photons, 0.5, blur=1.0) for photons in (20, 1000)),
)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """False spots and found spots of every field, seed and method; ``--limit`` takes that many fields."""
    codec = load_codec(options)
    step = max(1, len(FIELDS) // options.limit) if options.limit else 1
    heights, places, spots = planted_spots()
    empty, planted = [], []
    for field in FIELDS[::step]:
        for seed in range(1 if options.limit else SEEDS):
            rows = _false(codec, expose(field, np.zeros((SIZE, SIZE)), seed))
            empty += [{"family": field.family, "field": repr(field), **row} for row in rows]
        if not field.blur:  # what is kept of shared noise would be taken for found
            rows = _found(codec, expose(field, spots, SEEDS), heights, places)
            planted += [{"family": field.family, **row} for row in rows]
        latest = [f"{row['method']}: {row['false']}" for row in empty if row["field"] == repr(field)]
        print(field, *latest, sep="\n  ", flush=True)
    return {"false": empty, "found": planted, "realism": "realism" in codec.decoders}


def expose(field: Field, spots: Image, seed: int) -> Exposed:
    """Photograph a field; ``spots`` are heights above it in noise standard deviations."""
    rng = np.random.default_rng(seed)
    ground = field.light()
    noise = np.sqrt(ground + field.read**2)
    light = ground + spots * noise
    electrons = rng.poisson(light) + rng.normal(0, field.read, light.shape)
    if field.blur:
        electrons = light + _shared(electrons - light, field.blur)
    low, high = electrons.min(), electrons.max()
    counts, offset = (255 / (high - low), -low * 255 / (high - low)) if field.eight_bit else (2.0, 100.0)
    stored = np.round(electrons * counts + offset)
    kind = np.uint8 if field.eight_bit else np.uint16
    image = np.clip(stored, 0, np.iinfo(kind).max).astype(kind)
    return Exposed(image, ground * counts + offset, noise * counts)


def _shared(noise: Image, blur: float) -> Image:
    """Noise after a Gaussian blur, with the variance that it had."""
    impulse = np.zeros(33)
    impulse[16] = 1.0
    return ndimage.gaussian_filter(noise, blur) / float(
        np.square(ndimage.gaussian_filter1d(impulse, blur)).sum()
    )


def planted_spots() -> tuple[NDArray[np.int64], NDArray[np.int64], Image]:
    """Heights (n,), places (n, 2) and image of the spots, on a grid with random offsets."""
    rng = np.random.default_rng(0)
    centres = np.arange(SPACING // 2, SIZE - SPACING // 2, SPACING)
    places = np.stack(np.meshgrid(centres, centres, indexing="ij"), -1).reshape(-1, 2)
    places = places + rng.integers(-8, 9, places.shape)
    heights = np.array(HEIGHTS)[np.arange(len(places)) % len(HEIGHTS)]
    image = np.zeros((SIZE, SIZE))
    image[tuple(places.T)] = heights
    return heights, places, ndimage.gaussian_filter(image, SIGMA) * (2 * np.pi * SIGMA**2)


def results(codec: Codec, noisy: NDArray[np.generic]) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """The noisy image, blurred, and denoised: rate auto and 1, both ends of realism where there are two."""
    yield NOISY, noisy
    yield f"Gaussian, sigma {SIGMA:g}", ndimage.gaussian_filter(noisy.astype(np.float64), SIGMA)
    normalization = codec.fit([noisy], estimate_noise([noisy]))
    auto = choose_rate(Trial(codec, [noisy], normalization)).rate
    for name, rate in (("rate auto", auto), ("rate 1", 1.0)):
        (decoded,) = codec.decode(codec.encode([noisy], normalization, rate), codec.decoders)
        for realism in (0, 1) if "realism" in codec.decoders else (0,):
            yield f"ours, {name}, realism {realism}", decoded.blend(realism)


def _false(codec: Codec, exposed: Exposed) -> Iterator[dict[str, Any]]:
    noisy = exposed.relative(exposed.image)
    for method, image in results(codec, exposed.image):
        relative = exposed.relative(image)
        found = {way: len(places) for way, places in detect(relative, noisy).items()}
        yield {"method": method, "false": found, "highest": float(_inside(relative).max())}


def _found(
    codec: Codec, exposed: Exposed, heights: NDArray[np.int64], places: NDArray[np.int64]
) -> Iterator[dict[str, Any]]:
    noisy = exposed.relative(exposed.image)
    for method, image in results(codec, exposed.image):
        for way, maxima in detect(exposed.relative(image), noisy).items():
            hit = matched(places, maxima)
            shares = {str(h): float(hit[heights == h].mean()) for h in HEIGHTS}
            yield {"method": method, "way": way, "found": shares}


def detect(image: Image, noisy: Image) -> dict[str, NDArray[np.int64]]:
    """Places (n, 2) of the spots in ``image`` by each of ``WAYS``; both in noise standard deviations."""
    response = log_response(image)
    own, input_sd = robust_sd(response), robust_sd(log_response(noisy))
    return {
        WAYS[0]: maxima(response, SIGNIFICANT * input_sd),
        WAYS[1]: maxima(image, 1.0),
        WAYS[2]: maxima(response, SIGNIFICANT * own),
    }


def log_response(image: Image) -> Image:
    """Laplacian of Gaussian, bright spots positive: half the height of a spot of the same sigma."""
    return -(SIGMA**2) * ndimage.gaussian_laplace(image, SIGMA)


def robust_sd(values: Image) -> float:
    """Standard deviation of a Gaussian bulk from the median absolute deviation."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def maxima(values: Image, threshold: float) -> NDArray[np.int64]:
    """Places (n, 2) of local maxima above a threshold, but for the frame."""
    top = (values == ndimage.maximum_filter(values, 5)) & (values > max(threshold, 1e-6))
    return np.argwhere(_inside(top)) + FRAME


def _inside(values: NDArray[Any]) -> NDArray[Any]:
    return values[FRAME:-FRAME, FRAME:-FRAME]


def matched(places: NDArray[np.int64], found: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each place has something found within ``REACH``."""
    if not len(found):
        return np.zeros(len(places), bool)
    gaps = np.linalg.norm(places[:, None] - found[None], axis=-1)
    return gaps.min(1) <= REACH


def table(record: dict[str, Any]) -> str:
    """The result in Markdown: false spots per megapixel, and shares of the planted spots that are found."""
    result = record["result"]
    methods = list(dict.fromkeys(row["method"] for row in result["false"]))
    rows = [_false_row(result["false"], family, method) for family in _families(result) for method in methods]
    head = ("false spots per megapixel", "method", "megapixels", *WAYS, "highest pixel, noise sd")
    seen = [(method, way) for method in methods for way in (WAYS if method != NOISY else WAYS[:1])]
    found = [_found_row(result["found"], method, way) for method, way in seen]
    heights = (f"{h} noise sd" for h in HEIGHTS)
    without = "" if result["realism"] else "\n\nThis model has no realism decoder."
    return (
        f"{markdown(head, rows)}\n\n{markdown(('planted spots found', 'detector', *heights), found)}\n\n"
        f"Spots of sigma {SIGMA:g} px; benchmarks/spots.py defines the three detectors.{without}"
    )


def _families(result: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(row["family"] for row in result["false"]))


def _false_row(rows: list[dict[str, Any]], family: str, method: str) -> tuple[str, ...]:
    chosen = [row for row in rows if (row["family"], row["method"]) == (family, method)]
    area = len(chosen) * (SIZE - 2 * FRAME) ** 2 / 1e6
    counts = (f"{sum(row['false'][way] for row in chosen) / area:.1f}" for way in WAYS)
    return (family, method, f"{area:.1f}", *counts, f"{max(row['highest'] for row in chosen):.2f}")


def _found_row(rows: list[dict[str, Any]], method: str, way: str) -> tuple[str, ...]:
    chosen = [row["found"] for row in rows if (row["method"], row["way"]) == (method, way)]
    return (method, way, *(f"{100 * np.mean([row[str(h)] for row in chosen]):.0f} %" for h in HEIGHTS))


def main() -> None:
    """Measure and keep the result."""
    execute("spots", measure, parser(__doc__).parse_args())


if __name__ == "__main__":
    main()
