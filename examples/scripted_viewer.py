"""Drive the dock from a script: preview, sliders, pictures, and a run to OME-Zarr that opens as a layer.

Without a screen: xvfb-run -a python examples/scripted_viewer.py
"""

import argparse
import time
from pathlib import Path
from tempfile import mkdtemp

import napari
from qtpy.QtWidgets import QApplication

from napari_rdpdenoise.samples import simulate_timelapse

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--model", default="default", help="a shipped model, or the path of a model's folder")
parser.add_argument("--size", type=int, default=512, help="edge of the simulated images, pixels")
parser.add_argument("--show", action="store_true", help="show the window, and leave it open")
args = parser.parse_args()

folder, viewer = Path(mkdtemp()), napari.Viewer(show=args.show)
viewer.add_image(simulate_timelapse((3, args.size, args.size)).noisy, name="cells", axis_labels=("t", "y", "x"))
_, dock = viewer.window.add_plugin_dock_widget("napari-rdpdenoise")
session = dock.session  # a controller: all its calls return at once, the work is done in threads
session.edit(model=args.model)
for rate, realism in (("auto", 0.0), (0.2, 0.5)):
    session.rate, session.realism = rate, realism
    session.preview()  # of what is in view
    while session.state.shown < session.state.wished or session.plan is None:
        QApplication.processEvents()
        time.sleep(0.01)
    print(f"rate {rate}, realism {realism}: {session.state.outcome}")
    viewer.window.screenshot(folder / f"rate-{rate}.png", flash=False, canvas_only=not args.show)
dock.run(folder / "cells.ome.zarr")
while session.state.busy:
    QApplication.processEvents()
    time.sleep(0.01)
print(session.state.status, f"layers: {', '.join(layer.name for layer in viewer.layers)}", folder, sep="\n")
napari.run() if args.show else viewer.close()
