"""Megapixels per second: end to end, the bare network, a plain U-Net, BM3D; and the convolutions' roof.

Everything runs with the allocator's settings of the command line (`cli.allocator`).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.common import execute, load_codec, markdown, parser, timed
from napari_rdpdenoise import LatentCache, RunSettings, denoise_stream, open_image
from napari_rdpdenoise.cli.allocator import keep_freed_memory
from napari_rdpdenoise.codec import Codec
from napari_rdpdenoise.io import ImageSource, open_sink
from napari_rdpdenoise.samples import simulate_timelapse
from napari_rdpdenoise.stream import RunReport, output_spec

PLANES, EDGE = 6, 2048  # what a camera gives
NET_EDGE = 1024  # px of the tensors that the bare networks get


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All speeds of one run; see ``table``."""
    from benchmarks import networks

    keep_freed_memory()
    device, repeats = options.device, 2 if options.limit else 7
    batch = 1 if device == "cpu" else 8
    codec = load_codec(options)
    pixels = batch * NET_EDGE**2 / 1e6
    print("roof of the convolutions", flush=True)
    roof = networks.conv_roof(device, 2 * repeats)
    print({c: round(v) for c, v in roof.items()}, "GFLOP/s; bare network", flush=True)
    bare = pixels / networks.bare_seconds(codec, NET_EDGE, batch, repeats)
    ideal, macs = networks.roof_seconds_per_pixel(codec, roof)
    print(f"{bare:.2f} MP/s; U-Net", flush=True)
    seconds, unet_name = networks.unet_seconds(device, NET_EDGE, batch, repeats)
    print(f"{pixels / seconds:.2f} MP/s; BM3D", flush=True)
    bm3d = _bm3d(options.threads, 1 if options.limit else 3)
    print(f"{bm3d:.3f} MP/s; end to end", flush=True)
    rows = _end_to_end(codec, options.limit or PLANES)
    # once more: what else the machine does must not flatter the end to end figures
    again = pixels / networks.bare_seconds(codec, NET_EDGE, batch, repeats)
    return {
        "roof_gflops": roof,
        "kmac_per_px": macs / 1e3,
        "bare_mpps": max(bare, again),
        "bare_share_of_roof": bare * 1e6 * ideal,
        "unet": unet_name,
        "unet_mpps": pixels / seconds,
        "bm3d_mpps": bm3d,
        "stack": [options.limit or PLANES, EDGE, EDGE],
        "end_to_end": rows,
    }


def _bm3d(threads: int, repeats: int) -> float:
    from bm3d import BM3DProfile, bm3d

    profile = BM3DProfile()
    profile.num_threads = threads
    image = simulate_timelapse((1, 512, 512)).noisy[0].astype(float)
    image = (image - image.min()) / np.ptp(image)
    return image.size / 1e6 / timed(lambda: bm3d(image, 0.05, profile), repeats, warm=0)


def _end_to_end(codec: Codec, planes: int) -> dict[str, dict[str, float]]:
    small = simulate_timelapse((min(planes, 6), 512, 512)).noisy
    places = [(0, 0), *[(0, EDGE - 512)] * 2]
    stack = np.stack([np.pad(small[t % len(small)], places[1:], mode="symmetric") for t in range(planes)])
    rows = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        cache = LatentCache(folder=folder / "latents")
        rows["from memory"] = _run(codec, open_image(stack), folder / "a.ome.zarr", None)
        _copy(stack, folder / "in.ome.zarr")
        file = open_image(folder / "in.ome.zarr")
        rows["from OME-Zarr"] = _run(codec, file, folder / "b.ome.zarr", None)
        rows["from OME-Zarr, filling the latent cache"] = _run(codec, file, folder / "c.ome.zarr", cache)
        rows["from OME-Zarr, latents cached (decode only)"] = _run(codec, file, folder / "d.ome.zarr", cache)
    return rows


def _copy(stack: np.ndarray, target: Path) -> None:
    source = open_image(stack)
    sink = open_sink(target, output_spec(source, RunSettings()))
    for t, plane in enumerate(stack):
        sink.write((t,), slice(0, EDGE), slice(0, EDGE), plane)
    sink.finish()


def _run(codec: Codec, source: ImageSource, target: Path, cache: LatentCache | None) -> dict[str, float]:
    settings = RunSettings(model=codec.card.name)
    sink = open_sink(target, output_spec(source, settings))
    run = denoise_stream(source, sink, settings, codec=codec, cache=cache)
    while True:
        try:
            next(run)
        except StopIteration as end:
            report: RunReport = end.value
            break
    pixels = float(np.prod(source.shape)) / 1e6
    row = {"mpps": report.mpps, "mpps_with_preparation": pixels / report.seconds, "bpp": report.bpp}
    print(target.name, {k: round(v, 3) for k, v in row.items()}, flush=True)
    return row


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    r, threads = record["result"], record["threads"]
    rows: list[tuple[str, str, str, str]] = []
    for name, row in r["end_to_end"].items():
        share = f"{100 * row['mpps'] / r['bare_mpps']:.0f} % of the bare network"
        note = f"{share}; {row['mpps_with_preparation']:.2f} with noise estimate and choice of rate"
        rows.append((f"ours, {name} to OME-Zarr", f"{row['mpps']:.2f}", str(threads), note))
    numbers = record["machine"].get("precision", "float32")
    share = f"{100 * r['bare_share_of_roof']:.0f} % of the roof of its convolutions"
    beside = share if numbers == "float32" else "the roof is that of float32"
    note = f"{r['kmac_per_px']:.1f} kMAC/px, {numbers}; {beside}"
    rows.append(("ours, bare network: encode and decode", f"{r['bare_mpps']:.2f}", str(threads), note))
    rows.append(("N2V U-Net, bare prediction", f"{r['unet_mpps']:.2f}", str(threads), r["unet"]))
    rows.append(("BM3D", f"{r['bm3d_mpps']:.3f}", str(threads), "one 512x512 plane, all in memory"))
    roof = ", ".join(f"{value:.0f} GFLOP/s with {c} channels" for c, value in r["roof_gflops"].items())
    shape = " x ".join(str(n) for n in r["stack"])
    return (
        markdown(("what", "MP/s", "threads", ""), rows)
        + f"\n\nStack: {shape} uint16. Bare networks: tensors of {NET_EDGE} x {NET_EDGE}. "
        + f"Roof, 3x3 convolution, channels-last float32, batch of 16: {roof}."
    )


def main() -> None:
    """Measure and keep the result."""
    execute("speed", measure, parser(__doc__).parse_args())


if __name__ == "__main__":
    main()
