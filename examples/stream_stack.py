"""Stream a TIFF stack to OME-Zarr; then to 32-bit OME-TIFF without encoding anything again."""

import argparse
from pathlib import Path
from tempfile import mkdtemp

import tifffile

from napari_rdpdenoise import LatentCache, RunSettings, denoise_stream, open_image
from napari_rdpdenoise.io import open_sink
from napari_rdpdenoise.samples import simulate_timelapse
from napari_rdpdenoise.stream import output_spec


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default", help="a shipped model, or the path of a model's folder")
    parser.add_argument("--size", type=int, default=512, help="edge of the simulated images, pixels")
    args = parser.parse_args()

    folder = Path(mkdtemp())
    sample = simulate_timelapse((3, args.size, args.size))
    tifffile.imwrite(folder / "noisy.tif", sample.noisy, imagej=True, metadata={"axes": "TYX"})

    cache = LatentCache(folder=folder / "latents")
    for target, dtype in (("denoised.ome.zarr", "input"), ("denoised.ome.tif", "float32")):
        settings = RunSettings(model=args.model, dtype=dtype)
        source = open_image(folder / "noisy.tif")
        sink = open_sink(folder / target, output_spec(source, settings))
        for step in denoise_stream(source, sink, settings, cache=cache):
            print(f"{target}: {step.done}/{step.total} tiles, {step.encoder_calls} encoder calls")
    print("written to", folder)


if __name__ == "__main__":
    main()
