"""Do tile sizes agree, and can a seam be seen? On a mosaic of real images, or a simulated one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import data_folder, execute, load_codec, markdown, parser
from benchmarks.quality import denoise_one

CROP, GRID = 480, 3  # px; no multiple of a tile, so that the mosaic's own joints are not where tiles meet
SMALL, LARGE = 256, 1024
VIEW = 160  # px on each side of the corner that is shown


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Differences between tile sizes, steps across tile edges, and a picture in the results' folder."""
    plane, kind = mosaic()
    codec = load_codec(options)
    span = float(np.ptp(plane)) if plane.dtype != np.uint8 else 255.0
    small, report = denoise_one(codec, plane, tile=SMALL)
    large, _ = denoise_one(codec, plane, tile=LARGE)
    whole, _ = denoise_one(codec, plane, tile=2048)
    _picture(options.out / "seams.png", plane, small, large)
    return {
        "images": kind,
        "shape": list(plane.shape),
        "rate": report.rate,
        "small_large": float(np.abs(small - large).max() / span),
        "small_whole": float(np.abs(small - whole).max() / span),
        "mean_small_large": float(np.abs(small - large).mean() / span),
        "step_at_edges": edge_step(small) / edge_step(whole),
    }


def mosaic() -> tuple[NDArray[np.generic], str]:
    """Nine crops of different test images side by side; a simulated plane where there are no images."""
    if data_folder() is None:
        from napari_rdpdenoise.samples import simulate_timelapse

        return simulate_timelapse((1, CROP * GRID, CROP * GRID)).noisy[0], "simulated"
    from benchmarks.images import SETS

    images = SETS[2]
    tiles = [images.pair(name)[0][:CROP, :CROP] for name in images.names(GRID**2)]
    return np.block([tiles[row * GRID : (row + 1) * GRID] for row in range(GRID)]), images.name


def edge_step(image: NDArray[np.generic]) -> float:
    """Mean absolute step between the two pixels on either side of the small tiles' edges, counts."""
    image = image.astype(np.float64)
    at = np.arange(SMALL, min(image.shape) - SMALL // 4, SMALL)
    rows, columns = image[at] - image[at - 1], image[:, at] - image[:, at - 1]
    return float(np.abs(rows).mean() + np.abs(columns).mean()) / 2


def _picture(
    path: Path, plane: NDArray[np.generic], small: NDArray[np.generic], large: NDArray[np.generic]
) -> None:
    """Around a corner of small tiles: noisy, small tiles, large tiles, a thousand times the difference."""
    from skimage.io import imsave

    corner = 3 * SMALL  # inside the middle image
    view = (slice(corner - VIEW, corner + VIEW),) * 2
    low, high = np.percentile(small[view], [0.5, 99.8])
    panels = [np.clip((p[view] - low) / (high - low), 0, 1) for p in (plane.astype(np.float32), small, large)]
    panels.append(np.clip(1000 * np.abs(small - large)[view] / 255, 0, 1))
    line = np.ones((2 * VIEW, 4), np.float32)
    strip = np.concatenate([part for panel in panels for part in (panel, line)][:-1], axis=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    imsave(path, (255 * np.kron(strip, np.ones((2, 2)))).astype(np.uint8), check_contrast=False)


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    r = record["result"]
    rows = [
        (f"largest difference, tiles of {SMALL} and of {LARGE} px", f"{r['small_large']:.1e} of the range"),
        (
            f"largest difference, tiles of {SMALL} px and the whole plane",
            f"{r['small_whole']:.1e} of the range",
        ),
        ("mean difference", f"{r['mean_small_large']:.1e} of the range"),
        (
            "mean step across tile edges, against the same places in the whole plane",
            f"{r['step_at_edges']:.5f}",
        ),
    ]
    shape = " x ".join(str(n) for n in r["shape"])
    return markdown(("tiles", ""), rows) + f"\n\nMosaic of {r['images']}, {shape} px, rate {r['rate']:.2f}."


def main() -> None:
    """Measure and keep the result."""
    execute("seams", measure, parser(__doc__).parse_args())


if __name__ == "__main__":
    main()
