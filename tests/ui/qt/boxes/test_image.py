"""The controls that are always in sight: what they say where there is no image, or where axes are assumed."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import tifffile

pytestmark = pytest.mark.display


@pytest.fixture
def desk(make_napari_viewer, tiny_realism_codec, monkeypatch):
    """An empty viewer with the dock."""
    from napari_rdpdenoise.ui.qt import DenoiseDock, contents
    from napari_rdpdenoise.ui.qt.preferences import Preferences

    monkeypatch.setattr(contents, "preferences", Preferences)
    viewer = make_napari_viewer()
    made = DenoiseDock(viewer, None, lambda model: None, lambda model, device: tiny_realism_codec)
    made.session.edit(preview=False, auto_rate=False, rate=0.4)
    viewer.window.add_dock_widget(made, name="RDP Denoise")
    return viewer, made


def counts(*shape):
    return np.random.default_rng(0).integers(0, 200, shape).astype(np.uint16)


def test_what_is_open_in_place_of_an_image_is_named(desk):
    viewer, dock = desk

    def line():
        return dock.session.state.preview_line

    assert line().startswith("Open an image")
    viewer.add_labels(np.ones((40, 50), np.uint8), name="nuclei")
    assert "“nuclei” is a labels layer" in line()
    assert "Convert to Image" in line()
    assert dock.sections["verdict"].line.text() == line()
    viewer.layers["nuclei"].name = "cells"
    assert "“cells” is a labels layer" in line()
    for kind, data in (("shapes", [np.array([[0, 0], [9, 9]])]), ("points", np.zeros((2, 2)))):
        getattr(viewer, f"add_{kind}")(data, name=f"my {kind}")
        assert f"“my {kind}” is a {kind} layer, not an image" in line()
    image = viewer.add_image(counts(40, 50), name="noisy")
    assert "layer" not in line().split(":")[0]
    viewer.layers.remove(image)
    assert "“my points” is a points layer" in line()
    viewer.layers.clear()
    assert line().startswith("Open an image")


def test_a_result_without_its_noisy_image_is_named_as_such(desk):
    from napari_rdpdenoise.ui.layers.metadata import OURS

    viewer, dock = desk
    viewer.add_image(counts(40, 50), name="cells denoised", metadata={OURS: {"role": "result"}})
    assert "“cells denoised” was made here" in dock.session.state.preview_line


def told(dock):
    note = dock.sections["image"].axes_note
    return "" if note.isHidden() else note.text()


def press(dock, text):
    box = dock.sections["image"]
    box.axes.setText(text)
    box.axes.returnPressed.emit()
    box.axes.editingFinished.emit()


def test_axes_that_nothing_names_are_told_until_they_are_set(desk):
    viewer, dock = desk
    viewer.add_image(counts(40, 50), name="plane")
    assert told(dock) == ""
    stack = viewer.add_image(counts(2, 3, 40, 50), name="stack")
    dock.choose(stack)
    assert "TZYX is assumed" in told(dock)
    press(dock, "tcyx")
    assert told(dock) == ""
    dock.choose(viewer.add_image(counts(3, 40, 50), name="other"))
    assert "TYX is assumed" in told(dock)
    press(dock, "tyx")
    assert told(dock) == ""
    dock.choose(viewer.layers["plane"])
    dock.choose(viewer.layers["other"])
    assert told(dock) == "", "what was agreed to is not asked again"


def test_a_file_that_does_not_name_its_axes_says_so_each_time_it_is_opened(desk, tmp_path):
    viewer, dock = desk
    tifffile.imwrite(tmp_path / "stack.tif", counts(5, 70, 50))
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (layer,) = viewer.open(str(tmp_path / "stack.tif"), plugin="napari")
        dock.choose(layer)
        assert "TYX is assumed" in told(dock)
        viewer.layers.clear()
        assert told(dock) == ""
