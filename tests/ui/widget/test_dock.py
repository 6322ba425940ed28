"""The dock in a real viewer, with a stand-in for the engine."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from napari_rdpdenoise.ui.controller import Finished

pytestmark = pytest.mark.display

PLUGIN, DOCK = "napari-rdpdenoise", "RDP Denoise"
REPORT = SimpleNamespace(seconds=1.0, rate=0.5, bpp=0.3, messages=())


def tile(done):
    return SimpleNamespace(done=done, total=3, mpps=1.0, eta_s=1.0, bpp=0.3, message=None)


def engine(job):
    for number in range(1, 4):
        yield tile(number)
    return Finished(np.asarray(job.data) // 2, REPORT)


def broken_engine(job):
    yield tile(1)
    raise RuntimeError("the device has no memory left")


@pytest.fixture
def open_dock(make_napari_viewer, qtbot):
    """Open a viewer with one calibrated stack and the dock; returns both."""
    from napari_rdpdenoise.ui.widget import DenoiseDock

    def open_(stream=engine, note="This model has no realism decoder."):
        viewer = make_napari_viewer()
        stack = np.arange(3 * 40 * 50, dtype=np.uint16).reshape(3, 40, 50)
        viewer.add_image(
            stack,
            name="cells",
            scale=(2.0, 0.1, 0.2),
            translate=(0.0, 5.0, 6.0),
            units=("s", "um", "um"),
            axis_labels=("t", "y", "x"),
        )
        dock = DenoiseDock(viewer, stream, lambda: note)
        viewer.window.add_dock_widget(dock, name=DOCK)
        qtbot.waitUntil(lambda: dock._controller.state.realism_note == note)
        return viewer, dock

    return open_


def test_denoise_adds_a_layer_in_the_same_place(open_dock, qtbot):
    viewer, dock = open_dock()
    dock._denoise.click()
    assert not dock._denoise.isEnabled()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2)
    source, result = viewer.layers
    np.testing.assert_array_equal(result.data, source.data // 2)
    assert result.name == "cells denoised"
    for name in ("scale", "translate", "contrast_limits"):
        np.testing.assert_array_equal(getattr(result, name), getattr(source, name))
    assert result.units == source.units
    assert tuple(result.axis_labels) == ("t", "y", "x")
    assert dock._status.text().startswith("Done in 1.0 s")
    assert dock._bar.value() == dock._bar.maximum()
    assert dock._denoise.isEnabled()


def test_axes_that_are_not_named_are_told(open_dock, qtbot, monkeypatch):
    told = []
    monkeypatch.setattr("napari_rdpdenoise.ui.widget.dock.show_info", told.append)
    viewer, dock = open_dock()
    dock._denoise.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2)
    assert told == []
    dock._layers.value = viewer.add_image(np.ones((2, 3, 4, 40, 50), np.uint16))
    dock._denoise.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 4)
    assert [note for note in told if "TCZYX" in note] == told != []


def test_cancel_leaves_no_layer(open_dock, qtbot):
    go_on = threading.Event()

    def slow(job):
        yield tile(1)
        go_on.wait(10)
        yield tile(2)
        raise AssertionError("the run went on after Cancel")

    viewer, dock = open_dock(slow)
    dock._denoise.click()
    qtbot.waitUntil(lambda: dock._controller.state.done == 1)
    dock._cancel.click()
    assert not dock._cancel.isEnabled()
    go_on.set()
    qtbot.waitUntil(lambda: "Cancelled" in dock._status.text())
    assert len(viewer.layers) == 1


def test_closing_the_dock_stops_the_run(open_dock, qtbot):
    closed = threading.Event()

    def endless(job):
        try:
            while not closed.wait(0.01):
                yield tile(1)
        finally:
            closed.set()

    viewer, dock = open_dock(endless)
    dock._denoise.click()
    qtbot.waitUntil(lambda: dock._controller.state.done == 1)
    viewer.window.remove_dock_widget(dock)
    assert closed.wait(10)
    qtbot.waitUntil(lambda: not dock._controller.state.busy)


def test_a_renamed_layer_is_offered_by_its_new_name(open_dock):
    viewer, dock = open_dock()
    viewer.layers["cells"].name = "nuclei"
    assert dock._layers.native.currentText() == "nuclei"
    assert dock._controller.state.layer == "nuclei"


def test_an_error_is_notified_and_clears(open_dock, qtbot):
    from napari.utils.notifications import notification_manager

    _, dock = open_dock(broken_engine)
    dock._denoise.click()
    qtbot.waitUntil(lambda: "Failed" in dock._status.text())
    assert "the device has no memory left" in dock._status.text()
    assert "the device has no memory left" in notification_manager.records[-1].message
    assert dock._denoise.isEnabled()


def test_realism_is_off_with_the_reason_or_on(open_dock, qtbot):
    _, dock = open_dock()
    assert not dock._realism.isEnabled()
    assert dock._realism.toolTip() == "This model has no realism decoder."
    dock._set_realism_note(None)
    assert dock._realism.isEnabled()


def test_rate_slider_is_off_while_auto(open_dock):
    _, dock = open_dock()
    assert not dock._rate.isEnabled()
    dock._auto.setChecked(False)
    dock._rate.setValue(0.3)
    assert dock._rate.isEnabled()
    assert dock._controller.state.settings().rate == pytest.approx(0.3)


def test_colour_layers_and_no_layer(open_dock, qtbot):
    viewer, dock = open_dock()
    viewer.layers.clear()
    assert not dock._denoise.isEnabled()
    viewer.add_image(np.zeros((20, 30, 3), np.uint8), name="colour", rgb=True)
    viewer.add_points([[1, 2]])
    assert dock._controller.state.layer == "colour"
    dock._denoise.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 3)
    assert viewer.layers["colour denoised"].rgb


def test_controls_are_named_and_the_dock_is_wide_enough(open_dock):
    _, dock = open_dock()
    controls = [dock._layers.native, dock._auto, dock._rate, dock._realism, dock._denoise, dock._cancel]
    assert all(control.accessibleName() and control.toolTip() for control in controls)
    assert dock.minimumWidth() >= 320


def test_the_manifest_opens_the_dock(make_napari_viewer, qtbot, monkeypatch):
    from napari_rdpdenoise.ui import widget

    # The real question loads the model, which other tests do.
    monkeypatch.setattr(widget.DenoiseDock.__init__, "__defaults__", (engine, lambda: None))
    viewer = make_napari_viewer()
    viewer.add_image(np.zeros((16, 16), np.uint8), name="cells")
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, DOCK)
    qtbot.waitUntil(lambda: dock._controller.state.realism_note is None)
    dock._denoise.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2)
