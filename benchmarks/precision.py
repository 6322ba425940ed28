"""bfloat16 against float32: how far results move, whether they are worse for it, and how long both take.

Central crops of training images become exposures (as in ``light``), the noise told. *Same symbols*: encoded
in float32 and decoded in both, so that only the decoder's rounding shows. *Whole*: encoded in both as well;
rounding then turns symbols over, of which neither is nearer to the truth, so what counts is the error
against it. Differences are in noise standard deviations, errors in dB, positive where bfloat16 is better.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.io import imread

from benchmarks.common import execute, load_codec, markdown, parser
from benchmarks.images import folder_of
from benchmarks.light import READ, SCENES, expose
from napari_rdpdenoise.codec import Codec, Normalization
from napari_rdpdenoise.codec.normalization import UNIT
from napari_rdpdenoise.codec.precision import choose_precision
from napari_rdpdenoise.noise import NoiseModel

PHOTONS = (10, 100, 500, 1500, 5000, 50_000)  # at the bright end
RATES = (0.3, 0.6, 1.0)
EACH = 2  # images of a kind
CROP = 160  # px
Row = dict[str, Any]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Differences and seconds of every image, light, rate and decoder; ``--limit`` takes that many kinds."""
    codec = load_codec(options)
    return {"auto": choose_precision("auto", codec.device), "rows": list(_rows(codec, options.limit))}


def _rows(codec: Codec, limit: int | None) -> Iterator[Row]:
    data = folder_of("train").parent
    kinds = [scene for scene in SCENES if scene[1].startswith("train/")]
    for kind, folder, pattern, _ in kinds[:limit]:
        paths = sorted((data / folder).glob(pattern))
        for number in range(EACH):
            image = imread(paths[(number + 1) * len(paths) // (EACH + 1)])
            scene = _cropped(image[len(image) // 2] if image.ndim == 3 else image)
            for photons in PHOTONS:
                rows = list(_compared(codec, scene, photons))
                yield from ({"kind": kind, "photons": photons} | row for row in rows)
        print(kind, flush=True)


def _cropped(image: NDArray[Any]) -> NDArray[Any]:
    top, left = (max(0, (n - CROP) // 2) for n in image.shape)
    return image[top : top + CROP, left : left + CROP]


def _compared(codec: Codec, scene: NDArray[Any], photons: int) -> Iterator[Row]:
    noisy, clean = expose(scene, photons)
    gain = min(2.0, 30_000 / photons)
    units = codec.fit([noisy], NoiseModel(gain, 100.0, READ * gain))
    truth = _stabilised(units, clean)
    reach = float(np.abs(units.forward(noisy)).max() * UNIT / units.scale)
    exact, fast = codec.at("float32"), codec.at("bfloat16")
    for rate in RATES:
        symbols, known, seconds = _through(exact, exact, noisy, units, rate)
        _, whole, quicker = _through(fast, fast, noisy, units, rate)
        decoded = fast.decode(symbols, codec.decoders)[0]
        for name in codec.decoders:
            one, other, same = (_stabilised(units, images[name]) for images in (known, whole, decoded))
            before, after = (float(np.mean(np.square(image - truth))) for image in (one, other))
            yield {
                "reach": reach, "rate": rate, "decoder": name,
                **_moved("decoder", same - one), **_moved("whole", other - one),
                "gain": 10 * float(np.log10(before / after)), "float32": seconds, "bfloat16": quicker,
            }  # fmt: skip


def _through(
    encoder: Codec, decoder: Codec, noisy: NDArray[Any], units: Normalization, rate: float
) -> tuple[Any, Any, float]:
    """Latents, decodes, and the seconds that took."""
    began = time.perf_counter()
    latents = encoder.encode([noisy], units, rate)
    (decoded,) = decoder.decode(latents, decoder.decoders)
    return latents, decoded, time.perf_counter() - began


def _stabilised(units: Normalization, image: NDArray[Any]) -> NDArray[Any]:
    return units.target(image) * (UNIT / units.scale)


def _moved(name: str, difference: NDArray[Any]) -> Row:
    rms, most = np.sqrt(np.mean(np.square(difference))), np.abs(difference).max()
    return {f"{name} rms": float(rms), f"{name} most": float(most)}


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    rows = record["result"]["rows"]
    lines = []
    for photons in PHOTONS:
        some = [row for row in rows if row["photons"] == photons]
        gains = [row["gain"] for row in some]
        lines.append(
            (
                photons,
                f"{min(row['reach'] for row in some):.0f} to {max(row['reach'] for row in some):.0f}",
                *(_mean_most(some, f"{part} {kind}") for part in ("decoder", "whole") for kind in _KINDS),
                f"{np.mean(gains):+.3f} / {min(gains):+.3f}",
                f"{sum(r['float32'] for r in some) / sum(r['bfloat16'] for r in some):.2f}",
            )
        )
    foot = (
        "Mean / worst over images, rates and decoders. Differences in noise standard deviations; *error* in "
        "dB, negative where bfloat16 is worse; *times as fast* on this machine, where precision auto takes "
        f"{record['result']['auto']}."
    )
    return "\n\n".join([markdown(_HEAD, lines), foot])


def _mean_most(rows: list[Row], key: str) -> str:
    values = [row[key] for row in rows]
    return f"{np.mean(values):.3f} / {max(values):.3f}"


_KINDS = ("rms", "most")
_HEAD = (
    "photo-electrons", "reach of the image, noise sd", "same symbols: rms", "at one pixel",
    "whole: rms", "at one pixel", "error", "times as fast",
)  # fmt: skip


def main() -> None:
    """Measure and keep the result."""
    execute("precision", measure, parser(__doc__).parse_args())


if __name__ == "__main__":
    main()
