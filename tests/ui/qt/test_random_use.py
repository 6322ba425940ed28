"""The dock under a user who never waits: fast random changes, layers that vanish, windows closed in a run."""

from __future__ import annotations

import logging
import random
import threading

import numpy as np
import pytest

from napari_rdpdenoise.io import ArraySink, open_image
from napari_rdpdenoise.jobs.job import Opened
from napari_rdpdenoise.stream import denoise_stream, output_spec
from napari_rdpdenoise.ui.run.jobs import Finished

pytestmark = pytest.mark.display

ACTIONS = 200
PATIENCE_MS = 60_000


@pytest.fixture(autouse=True)
def _default_preferences(monkeypatch):
    """Not those of whoever runs the tests."""
    from napari_rdpdenoise.ui.qt import contents
    from napari_rdpdenoise.ui.qt.preferences import Preferences

    monkeypatch.setattr(contents, "preferences", Preferences)


@pytest.fixture
def open_dock(make_napari_viewer, qtbot, tiny_realism_codec):
    """A viewer with the dock and an engine that runs the tiny model; the viewer and the dock."""
    from napari_rdpdenoise.ui.qt import DenoiseDock

    def engine(job):
        source = open_image(job.input, job.axes)
        sink = ArraySink(output_spec(source, job.settings, tiny_realism_codec))
        yield Opened(sink.array)
        report = yield from denoise_stream(source, sink, job.settings, codec=tiny_realism_codec)
        return Finished(sink.array, report)

    def open_(stream=None):
        viewer = make_napari_viewer()
        dock = DenoiseDock(
            viewer, stream or engine, lambda model: None, lambda model, device: tiny_realism_codec
        )
        viewer.window.add_dock_widget(dock, name="RDP Denoise")
        dock.session.edit(auto_rate=False)
        dock.session.edit_settings(tile=64, device="cpu")
        qtbot.waitUntil(lambda: dock.session.state.realism_note is None, timeout=PATIENCE_MS)
        return viewer, dock

    return open_


def _cells(rng, number=0):
    shape = rng.choice([(3, 130, 140), (2, 200, 90), (70, 80)])
    light = np.random.default_rng(number).poisson(rng.randint(10, 60), shape)
    return (100 + 2 * light).astype(rng.choice([np.uint8, np.uint16, np.float32]))


class User:
    """Does one thing after another, without looking what came of the one before."""

    def __init__(self, viewer, dock, seed):
        self.viewer, self.dock, self.rng = viewer, dock, random.Random(seed)
        self._made = 0
        for _ in range(2):
            self.add()

    def act(self):
        """One random thing; its name."""
        kinds = (
            self.add,
            self.choose,
            self.rate,
            self.realism,
            self.plane,
            self.look,
            self.delete,
            self.show,
        )
        weights = (1, 3, 5, 8, 5, 6, 1, 1)
        action = self.rng.choices(kinds, weights)[0]
        action()
        return action.__name__

    def noisy(self):
        return list(self.dock.sections["image"].layers.offered)

    def add(self):
        if len(self.noisy()) < 4:
            self._made += 1
            self.viewer.add_image(_cells(self.rng, self._made), name=f"cells {self._made}")

    def choose(self):
        if layers := self.noisy():
            self.dock.choose(self.rng.choice(layers))

    def rate(self):
        self.dock.sections["image"].rate.setValue(self.rng.random())

    def realism(self):
        self.dock.sections["image"].realism.setValue(self.rng.random())

    def plane(self):
        dims = self.viewer.dims
        if dims.ndim > 2:
            dims.set_current_step(0, self.rng.randrange(dims.nsteps[0]))

    def look(self):
        self.viewer.camera.zoom *= self.rng.choice((0.5, 0.8, 1.25, 2.0))
        self.viewer.camera.center = (0, self.rng.uniform(0, 150), self.rng.uniform(0, 150))

    def delete(self):
        if self.viewer.layers:
            self.viewer.layers.remove(self.rng.choice(list(self.viewer.layers)))

    def show(self):
        self.dock.sections["more"].preview.setChecked(self.rng.random() < 0.8)


def _whole(dock):
    """Whether all of the plane that is shown was denoised and put into the layer."""

    def holds():
        shown = dock.session.shown()
        return (
            shown is not None
            and not dock.session.unsettled
            and dock.session.view.canvas.done(shown.index).all()
        )

    return holds


def _previews(viewer):
    return [layer for layer in viewer.layers if layer.name.endswith("preview")]


def _run(layer, dock, codec):
    """What a run gives with the settings that the dock shows."""
    settings = dock.session.state.settings().replace(axes=dock.session.view.subject.axes, dtype="float32")
    source = open_image(layer.data, settings.axes)
    sink = ArraySink(output_spec(source, settings, codec))
    for _ in denoise_stream(source, sink, settings, codec=codec):
        pass
    return sink.array


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_200_random_actions_leave_the_right_picture_and_nothing_else(
    open_dock, qtbot, caplog, tiny_realism_codec, seed
):
    viewer, dock = open_dock()
    user = User(viewer, dock, seed)
    with caplog.at_level(logging.ERROR, logger="napari_rdpdenoise"):
        for _ in range(ACTIONS):
            user.act()
            qtbot.wait(user.rng.choice((0, 0, 1, 5, 40)))
            left = [layer for layer in _previews(viewer) if layer is not dock.preview_layer]
            assert len(left) <= 1, "only that of the layer before may still be to go"
        if not user.noisy():
            user.add()
        layer = user.noisy()[-1]
        dock.choose(layer)
        dock.sections["more"].preview.setChecked(True)
        viewer.reset_view()
        qtbot.waitUntil(_whole(dock), timeout=PATIENCE_MS)
        qtbot.waitUntil(lambda: _previews(viewer) == [dock.preview_layer], timeout=PATIENCE_MS)
    assert [record for record in caplog.records if record.name.startswith("napari_rdpdenoise")] == []
    assert dock.session.state.layer == layer.name
    shown = dock.session.shown()
    picture = np.asarray(dock.preview_layer.data[shown.index])
    expected = _run(layer, dock, tiny_realism_codec)[shown.index]
    np.testing.assert_allclose(picture, expected, rtol=0, atol=1e-3 * np.ptp(expected))
    assert sum(thread.name == "preview" for thread in threading.enumerate()) == 1
    viewer.close()
    qtbot.waitUntil(lambda: "preview" not in [t.name for t in threading.enumerate()], timeout=PATIENCE_MS)


class Slow:
    """A run of one plane after another, each of which waits for `go_on`; tells when it was closed."""

    def __init__(self):
        self.go_on, self.closed, self.runs = threading.Event(), threading.Event(), 0

    def __call__(self, job):
        from types import SimpleNamespace

        self.runs += 1
        self.closed.clear()
        part = np.zeros(job.input.shape, job.input.dtype)
        try:
            yield Opened(part)
            for plane in range(len(part)):
                part[plane] = 7
                yield SimpleNamespace(
                    done=plane + 1, total=len(part), mpps=1.0, eta_s=1.0, bpp=0.3, message=None
                )
                assert self.go_on.wait(PATIENCE_MS / 1000)
            return Finished(part, SimpleNamespace(seconds=1.0, rate=0.5, blank=False, bpp=0.3, messages=()))
        finally:
            self.closed.set()


def _stack(viewer):
    return viewer.add_image(np.full((4, 70, 80), 100, np.uint16), name="cells", axis_labels=("t", "y", "x"))


def test_cancel_and_run_again(open_dock, qtbot):
    slow = Slow()
    viewer, dock = open_dock(slow)
    _stack(viewer)
    dock.sections["run"].denoise.click()
    qtbot.waitUntil(lambda: dock.session.state.done == 1)
    dock.sections["run"].stop.click()
    slow.go_on.set()
    qtbot.waitUntil(lambda: not dock.session.state.busy)
    assert slow.closed.is_set()
    assert "cells denoised" not in viewer.layers
    dock.sections["run"].denoise.click()
    qtbot.waitUntil(lambda: "cells denoised" in viewer.layers)
    assert (viewer.layers["cells denoised"].data == 7).all()
    assert slow.runs == 2
    assert dock.sections["run"].denoise.isEnabled()


def test_the_layer_is_deleted_in_the_middle_of_a_run(open_dock, qtbot):
    slow = Slow()
    viewer, dock = open_dock(slow)
    _stack(viewer)
    dock.sections["run"].denoise.click()
    qtbot.waitUntil(lambda: dock.session.state.done == 1)
    viewer.layers.remove("cells")
    slow.go_on.set()
    qtbot.waitUntil(lambda: not dock.session.state.busy)
    assert "cells denoised" in viewer.layers, "what was paid for is kept"


def test_closing_the_viewer_in_the_middle_of_a_run_ends_the_run(open_dock, qtbot, caplog):
    slow = Slow()
    viewer, dock = open_dock(slow)
    _stack(viewer)
    dock.sections["run"].denoise.click()
    qtbot.waitUntil(lambda: dock.session.state.done == 1)
    slow.closed.clear()
    with caplog.at_level(logging.ERROR, logger="napari_rdpdenoise"):
        viewer.close()
        slow.go_on.set()
        qtbot.waitUntil(slow.closed.is_set, timeout=PATIENCE_MS)
        qtbot.wait(200)  # nothing that was still on its way may arrive in a deleted window
    assert caplog.records == []
    assert slow.runs == 1
