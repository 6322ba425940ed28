"""Layers that go and come in one turn of the event loop: the viewer draws on, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.display

_PROGRAM = """
import sys
import time

import napari
import numpy as np
from napari.qt import get_qapp

from napari_rdpdenoise.codec import load_model
from napari_rdpdenoise.ui.qt import DenoiseDock, contents
from napari_rdpdenoise.ui.qt.preferences import Preferences

model, *given = sys.argv[1:]
contents.preferences = Preferences
codec, rng = load_model(model, "cpu"), np.random.default_rng(0)
viewer = napari.Viewer()


def image(*shape):
    return rng.poisson(100, shape).astype(np.uint16)


def until(holds, seconds=60):
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        get_qapp().processEvents()
        time.sleep(0.005)


def settled():
    return dock.preview_layer is not None and not dock.session.unsettled


def draw(seconds):
    until(lambda: False, seconds)


def noisy(name, width=60):
    return viewer.add_image(image(90, width), name=name)


changes = {
    "all": lambda: (viewer.layers.clear(), noisy("b")),
    "all, then several": lambda: (viewer.layers.clear(), noisy("b"), noisy("c", 70), noisy("d", 80)),
    "the noisy one": lambda: (viewer.layers.remove("a"), noisy("b")),
    "another first": lambda: (noisy("b"), viewer.layers.remove("a")),
    "its pixels": lambda: setattr(viewer.layers["a"], "data", image(90, 60)),
    "the preview": lambda: (viewer.layers.remove("a preview"), noisy("b")),
}
dock = DenoiseDock(viewer, None, lambda name: None, lambda name, device: codec)
viewer.window.add_dock_widget(dock)
dock.session.edit(auto_rate=False)
for change in [name for name in changes if name in given]:
    viewer.layers.clear()
    draw(0.5)
    viewer.add_image(image(70, 80), name="a")
    until(settled)
    draw(0.3)
    changes[change]()
    until(settled)
    for layer in list(viewer.layers) * 3:
        layer.refresh()
        draw(0.05)
    print(change, *(layer.name for layer in viewer.layers), sep=": ", flush=True)
viewer.close()
"""

_LEFT = """
all: b: b preview
all, then several: b: c: d: d preview
the noisy one: b: b preview
another first: b: b preview
its pixels: a: a preview
the preview: a: b: b preview
"""


@pytest.mark.slow
def test_the_viewer_draws_on_when_layers_go_and_come_in_one_turn(tiny_realism_model):
    changes = [line.split(":")[0] for line in _LEFT.strip().splitlines()]
    command = [sys.executable, "-c", _PROGRAM, str(tiny_realism_model), *changes]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stdout.strip()) == (0, _LEFT.strip()), done.stderr[-2000:]
