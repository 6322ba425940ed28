"""What stores take and keep: bits per pixel beside lossless files, errors of the original, time to read.

Real images that no model was trained on: a few planes of series as they are, and test images of FMD and W2S.
*Blosc* is zstd with bit shuffle in chunks of 512 px, as this program writes other results; *JPEG XL* is
lossless, plane by plane. A store is all files with its metadata; at few small planes these are a tenth of it.
Noise is that which was measured. How fast stores are read ``store_reading`` says.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import data_folder, execute, load_codec, markdown, parser
from benchmarks.images import SETS
from napari_rdpdenoise.codec import Codec
from napari_rdpdenoise.io import ImageSource, open_image, planes

FILES = (
    "stacks/mitosis_tzcyx.ome.tif", "series/calcium_cells_tyx.ome.tif", "series/stpt_neurons_zyx.ome.tif",
    "series/lattice_erythrocyte_zyx.ome.tif", "series/phase_scratch_tyx.ome.tif", "stacks/drosophila_tyx.tif",
)  # fmt: skip
PLANES = 12
RESIDUALS = ("none", "1", "0.5", "lossless")
Row = dict[str, Any]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Sizes, errors and times of each image; ``--limit`` takes that many of each kind, and as many planes."""
    from napari_rdpdenoise.store.zarr_codec import register

    register()
    codec = load_codec(options)
    return {"rows": [_row(codec, *image) for image in _images(options.limit)]}


def _images(limit: int | None) -> Iterator[tuple[str, NDArray[Any], str]]:
    """Name, pixels and axes of each image."""
    folder = data_folder()
    if folder is None:
        raise FileNotFoundError("store: expected data/ in the folder that RDPDENOISE_DATA names; set it")
    for name in FILES[:limit]:
        source = open_image(folder / "data" / name)
        yield name.split("/")[1].split(".")[0], *_middle(source, min(PLANES, limit or PLANES))
        source.close()
    for test in SETS:
        names = test.names(min(4, limit or 4))
        for name in names:
            yield f"{test.name} {Path(name).stem}", test.pair(name)[0], "YX"


def _middle(source: ImageSource, count: int) -> tuple[NDArray[Any], str]:
    """Some planes of the first channel from the middle of a series."""
    axes, whole = source.metadata.axes, (slice(None), slice(None))
    chosen = planes(source, channels=(0,) if "C" in axes else None)
    first = max(0, (len(chosen) - count) // 2)
    return np.stack([source.read(index, *whole) for index in chosen[first : first + count]]), "TYX"


def _row(codec: Codec, name: str, image: NDArray[Any], axes: str) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        row: Row = {"image": name, "dtype": image.dtype.name, "raw": 8.0 * image.dtype.itemsize}
        row["shape"] = list(image.shape)
        row |= _lossless(image, Path(folder))
        for residual in RESIDUALS:
            row[residual] = _stored(codec, image, axes, residual, Path(folder))
    print(_shown(row), flush=True)
    return row


def _lossless(image: NDArray[Any], folder: Path) -> Row:
    import imagecodecs
    import zarr
    from zarr.codecs import BloscCodec, BloscShuffle

    stack = image.reshape(-1, *image.shape[-2:])
    blosc = BloscCodec(cname="zstd", clevel=5, shuffle=BloscShuffle.bitshuffle)
    chunks = (1, *(min(512, size) for size in stack.shape[1:]))
    array = zarr.create_array(
        folder / "blosc.zarr", shape=stack.shape, dtype=stack.dtype, chunks=chunks, compressors=blosc
    )
    array[...] = stack
    jpegxl = sum(len(imagecodecs.jpegxl_encode(plane, lossless=True, effort=7)) for plane in stack)
    return {
        "blosc": _bpp(array.nbytes_stored(), image),
        "jpegxl": _bpp(jpegxl, image),
    }


def _stored(codec: Codec, image: NDArray[Any], axes: str, residual: Any, folder: Path) -> Row:
    import warnings

    import napari_rdpdenoise as rdp
    from napari_rdpdenoise.store.about import store_info
    from napari_rdpdenoise.store.reading import iter_chunks

    path = folder / f"{residual}.ome.zarr"
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is doubtful of the images is told elsewhere
        cache = rdp.LatentCache(folder=folder / "cache")
        rdp.create_store(image, path, residual=residual, model=codec, axes=axes, cache=cache)
    seconds = time.perf_counter() - began
    info = store_info(path)
    found = rdp.verify_store(path, image, axes=axes)
    check = found.channels[0]
    return {
        "bpp": info.bpp,
        "coded": {name: 8 * size / info.pixels for name, size in info.coded.items()},
        "lossless_tiles": info.lossless / info.tiles,
        "worst": check.worst,
        "rms": check.rms,
        "holds": found.holds,
        "mean_off": (check.denoised_mean - check.mean) / max(abs(check.mean), 1e-9),
        "create_mpps": info.pixels / 1e6 / seconds,
        "plane_bytes": statistics.mean(chunk.size for chunk in iter_chunks(path)),
    }


def _bpp(size: int, image: NDArray[Any]) -> float:
    return 8 * size / image.size


def _shown(row: Row) -> str:
    cells = [f"{row[name]:.2f}" for name in ("raw", "blosc", "jpegxl")]
    return " | ".join([row["image"], *cells, *(f"{row[name]['bpp']:.2f}" for name in RESIDUALS)])


def table(record: dict[str, Any]) -> str:
    """Sizes of each image, then what became of the originals."""
    rows = record["result"]["rows"]
    head = ["bits per pixel", "raw", "Blosc", "JPEG XL", *(f"store, residual {name}" for name in RESIDUALS)]
    sizes = [_shown(row).split(" | ") for row in rows]
    errors = [
        [
            row["image"],
            *(f"{row[name]['rms']:.3f} / {row[name]['worst']:.2f}" for name in ("1", "0.5", "lossless")),
            f"{row['1']['mean_off']:+.2%}",
            f"{row['1']['lossless_tiles']:.0%}",
        ]
        for row in rows
    ]
    names = ["error of the original, rms / worst, noise sd", "residual 1", "0.5", "lossless"]
    return "\n\n".join(
        [
            markdown(head, sizes),
            markdown([*names, "mean, denoised", "tiles kept losslessly at residual 1"], errors),
        ]
    )


if __name__ == "__main__":
    execute("store", measure, parser(__doc__).parse_args())
