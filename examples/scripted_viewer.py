"""Drive the dock from a script: preview, sliders, pictures, and a run to OME-Zarr that opens as a layer.

The window is closed at the end, or stays with --show. Without a screen: xvfb-run -a python scripted_viewer.py
"""

import argparse
from pathlib import Path
from tempfile import mkdtemp

import napari

from napari_rdpdenoise.samples import simulate_timelapse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default", help="a shipped model, or the path of a model's folder")
    parser.add_argument("--size", type=int, default=512, help="edge of the simulated images, pixels")
    parser.add_argument("--show", action="store_true", help="leave the window open")
    args = parser.parse_args()

    folder, viewer = Path(mkdtemp()), napari.Viewer()
    viewer.add_image(simulate_timelapse((3, args.size, args.size)).noisy, name="cells", axis_labels="tyx")
    _, dock = viewer.window.add_plugin_dock_widget("napari-rdpdenoise")
    session = dock.session  # the controller: its calls return at once, the work is done in threads
    session.edit(model=args.model)
    for rate, realism in (("auto", 0.0), (0.2, 0.5)):
        session.rate, session.realism = rate, realism
        dock.wait()  # until what is in view is denoised
        print(f"rate {rate}, realism {realism}: {session.state.outcome}")
        viewer.screenshot(folder / f"rate-{rate}.png", flash=False)
    dock.run(folder / "cells.ome.zarr")
    dock.wait()
    print(session.state.status, f"layers: {', '.join(layer.name for layer in viewer.layers)}", sep="\n")
    print("written to", folder)
    napari.run() if args.show else viewer.close()


if __name__ == "__main__":
    main()
