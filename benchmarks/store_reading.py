"""Reading of stores: a plane of 2048 px and crops of it, beside a Zarr with zstd in chunks of 512 px.

Time of the processor, which other work does not change much, seconds, and bytes that are read from files. A
crop is read twice: the second time its latents are still in memory, as where somebody moves through a plane.
The plane is simulated, so that it can be as large as a chunk may be. *Off* is how far the crop is from the
same part of the whole plane, in standard deviations of the noise.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import execute, load_codec, markdown, parser

EDGE, CROP = 2048, 256
OPTIONS = {"rate": 0.6, "structure": "none", "neighbours": "none", "axes": "TYX", "device": "cpu"}
READS = (("none", "denoised", 0.0), ("1", "denoised", 0.0), ("1", "original", 0.0), ("1", "denoised", 1.0))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Times, bytes and differences of each way to read; ``--limit`` takes a plane of 768 px."""
    import napari_rdpdenoise as rdp
    from napari_rdpdenoise.store.about import store_info

    edge, rows = 768 if options.limit else EDGE, []
    image, codec = plane(edge)[None], load_codec(options)
    with TemporaryDirectory() as name:
        rows.append({"name": "zstd, chunks of 512 px", **read(zstd(image, Path(name) / "zstd.zarr"))})
        for residual, layer, realism in READS:
            path = Path(name) / f"{residual}.ome.zarr"
            if not path.exists():
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    rdp.create_store(image, path, residual=residual, model=codec, **OPTIONS)
            deviation = float(np.sqrt(np.median(image) * store_info(path).channels[0].noise[0]))
            array = rdp.open_store(path, layer=layer, realism=realism)
            title = f"store, residual {residual}: {layer}" + (f", realism {realism:g}" if realism else "")
            rows.append({"name": title, **read(array, deviation)})
            print(rows[-1], flush=True)
    return {"edge": edge, "crop": CROP, "rows": rows}


def plane(edge: int) -> NDArray[np.uint16]:
    """Photon noise over smooth spots, 12 bits."""
    rng = np.random.default_rng(0)
    light = np.full((edge, edge), 8.0)
    for y, x, width in zip(*(rng.random((2, 200)) * edge), 3 + 12 * rng.random(200), strict=True):
        rows, columns = (np.exp(-np.square((np.arange(edge) - at) / width)) for at in (y, x))
        light += 80 * rows[:, None] * columns
    return (100 + 4 * rng.poisson(light) + rng.normal(0, 4, light.shape)).clip(0, 4095).astype(np.uint16)


def zstd(image: NDArray[Any], path: Path) -> Any:
    """A Zarr as this program writes other results."""
    import zarr
    from zarr.codecs import BloscCodec, BloscShuffle

    coder = BloscCodec(cname="zstd", clevel=5, shuffle=BloscShuffle.bitshuffle)
    array = zarr.create_array(
        path, shape=image.shape, dtype=image.dtype, chunks=(1, 512, 512), compressors=coder
    )
    array[...] = image
    return array


def read(array: Any, deviation: float = 1.0) -> dict[str, float]:
    """Plane, crop, and the crop again: seconds of the processor, and bytes."""
    middle = slice(array.shape[-1] // 2 - CROP // 2, array.shape[-1] // 2 + CROP // 2)
    array[0, :8, :8]  # whatever is loaded once
    whole, plane_s, plane_bytes = timed(lambda: array[0])
    array[0, -8:, -8:]
    _forget()
    crop, crop_s, crop_bytes = timed(lambda: array[0, middle, middle])
    _, again_s, _ = timed(lambda: array[0, middle, middle])
    off = float(np.abs(crop.astype(float) - whole[middle, middle]).max()) / deviation
    return {
        "plane_s": plane_s,
        "plane_bytes": plane_bytes,
        "crop_s": crop_s,
        "crop_bytes": crop_bytes,
        "again_s": again_s,
        "off": off,
    }


def _forget() -> None:
    """Nothing of the plane is to be in memory."""
    from napari_rdpdenoise.store.tile import decoding

    decoding._LATEST = decoding._Latest()


def timed(call: Any) -> tuple[NDArray[Any], float, int]:
    """What a call gives, seconds of the processor, and bytes that it read from files."""
    import psutil

    process = psutil.Process()
    before, began = process.io_counters().read_chars, time.process_time()
    found = call()
    return found, time.process_time() - began, process.io_counters().read_chars - before


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    r = record["result"]
    head = ("", "plane, s", "MB", f"crop of {r['crop']} px, s", "MB", "again, s", "off, noise sd")
    rows = [
        (
            row["name"],
            f"{row['plane_s']:.2f}",
            f"{row['plane_bytes'] / 1e6:.2f}",
            f"{row['crop_s']:.2f}",
            f"{row['crop_bytes'] / 1e6:.2f}",
            f"{row['again_s']:.2f}",
            f"{row['off']:.4f}",
        )
        for row in r["rows"]
    ]
    return markdown(head, rows) + f"\n\nA plane of {r['edge']} px, seconds of the processor."


def main() -> None:
    """Measure and keep the result."""
    execute("store_reading", measure, parser(__doc__).parse_args())


if __name__ == "__main__":
    main()
