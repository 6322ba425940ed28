"""Layers that are denoised together are previewed and compared together; with a tiny random model."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from napari.utils._proxies import PublicOnlyProxy

from napari_rdpdenoise.ui.compare.view import View
from napari_rdpdenoise.ui.layers.metadata import OURS

pytestmark = pytest.mark.display


@pytest.fixture
def desk(make_napari_viewer, qtbot, tiny_realism_codec, monkeypatch):
    """A viewer with two channels, both selected, the dock, and a function that waits for all previews."""
    from napari_rdpdenoise.ui.qt import DenoiseDock, contents
    from napari_rdpdenoise.ui.qt.preferences import Preferences

    monkeypatch.setattr(contents, "preferences", Preferences)
    viewer, rng = make_napari_viewer(), np.random.default_rng(0)
    for name, light in (("nuclei", 30), ("actin", 60)):
        data = (100 + 2 * rng.poisson(light, (3, 140, 150))).astype(np.uint16)
        viewer.add_image(data, name=name, blending="additive", axis_labels=("t", "y", "x"))
    given = PublicOnlyProxy(viewer)  # what napari hands to plugins
    made = DenoiseDock(given, None, lambda model: None, lambda model, device: tiny_realism_codec)
    made.session.edit(auto_rate=False, rate=0.4)
    viewer.window.add_dock_widget(made, name="RDP Denoise")
    viewer.layers.selection.update(viewer.layers)

    def settle():
        qtbot.wait(80)  # until changes of the view are looked at
        quiet = lambda: not made.session.unsettled and not made._contents.viewer_window.companions.unsettled  # noqa: E731
        qtbot.waitUntil(quiet, timeout=60_000)

    qtbot.waitUntil(lambda: made.session.state.shown > 0, timeout=60_000)
    settle()
    return viewer, made, settle


def visible(viewer):
    return {layer.name for layer in viewer.layers if layer.visible}


def test_during_a_run_no_layer_is_said_to_be_denoised_for_the_view(desk):
    from napari_rdpdenoise.ui.state import Phase

    _, dock, settle = desk
    companions = dock._contents.viewer_window.companions
    dock.session.edit(phase=Phase.RUNNING)
    assert companions.waiting == [], "both are denoised already, and none is for now"
    dock.session.edit(phase=Phase.IDLE)
    settle()
    assert companions.waiting == []


def test_both_are_previewed_and_compared_together(desk):
    viewer, dock, _ = desk
    assert visible(viewer) == {"nuclei preview", "actin preview"}
    for name in ("nuclei", "actin"):
        noisy, preview = viewer.layers[name].data, viewer.layers[f"{name} preview"].data
        shown = np.asarray(preview[viewer.dims.current_step[0]])
        assert not np.array_equal(shown, noisy[viewer.dims.current_step[0]])
    box = dock.sections["view"]
    box.choose(View.SPLIT)
    assert visible(viewer) == {"nuclei split", "actin split"}
    box.choose(View.NOISY)
    assert visible(viewer) == {"nuclei", "actin"}
    dock.sections["image"].realism.setValue(0.5)  # shows what it does
    assert visible(viewer) == {"nuclei preview", "actin preview"}


def test_the_sliders_and_the_step_hold_for_both(desk, qtbot):
    viewer, dock, settle = desk
    seen = lambda: [  # noqa: E731
        np.array(viewer.layers[f"{n} preview"].data[viewer.dims.current_step[0]]) for n in ("nuclei", "actin")
    ]
    before = seen()
    dock.sections["image"].realism.setValue(1.0)
    qtbot.wait(150)
    settle()
    assert all(not np.array_equal(a, b) for a, b in zip(before, seen(), strict=True))
    viewer.dims.set_current_step(0, 0)
    settle()
    for name, shown in zip(("nuclei", "actin"), seen(), strict=True):
        assert not np.array_equal(shown, viewer.layers[name].data[0])


def test_the_other_one_is_chosen_and_no_layer_is_there_twice(desk):
    viewer, dock, settle = desk
    other = next(viewer.layers[n] for n in ("nuclei", "actin") if viewer.layers[n] is not dock.layer)
    dock.choose(other)
    settle()
    assert dock.layer is other
    assert sorted(layer.name for layer in viewer.layers) == [
        "actin", "actin preview", "nuclei", "nuclei preview",
    ]  # fmt: skip
    assert visible(viewer) == {"nuclei preview", "actin preview"}


def test_one_that_is_not_meant_or_was_deleted_is_noisy_again(desk):
    viewer, dock, settle = desk
    chosen = dock.layer.name
    other = {"nuclei": "actin", "actin": "nuclei"}[chosen]
    dock.sections["image"].together.setChecked(False)
    settle()
    assert visible(viewer) == {f"{chosen} preview", other}
    dock.sections["image"].together.setChecked(True)
    settle()
    assert visible(viewer) == {f"{chosen} preview", f"{other} preview"}
    viewer.layers.remove(f"{other} preview")
    settle()
    assert visible(viewer) == {f"{chosen} preview", other}, "what the user deletes does not come back"


def test_layers_beyond_those_that_are_previewed_at_once_are_named(desk, monkeypatch):
    from napari_rdpdenoise.ui.qt import companions

    viewer, dock, settle = desk
    box, image = dock.sections["verdict"], dock.sections["image"]
    assert box.scope.isHidden()
    other = next(name for name in ("nuclei", "actin") if viewer.layers[name] is not dock.layer)
    image.together.setChecked(False)
    settle()
    monkeypatch.setattr(companions, "_MOST", 0)
    image.together.setChecked(True)
    settle()
    dock.sections["image"].realism.setValue(0.2)
    assert box.scope.text().startswith(f"{other} stays noisy here")
    assert f"{other} preview" not in viewer.layers
    viewer.layers[other].visible = False
    dock.sections["image"].realism.setValue(0.3)
    assert box.scope.isHidden(), "what is not in view is not noisy there"


def test_closing_the_dock_leaves_the_images_and_no_thread(desk, qtbot):
    viewer, dock, _ = desk
    assert sum(thread.name == "preview" for thread in threading.enumerate()) >= 2
    viewer.window.remove_dock_widget(dock)
    assert visible(viewer) == {"nuclei", "actin"} == {layer.name for layer in viewer.layers}
    none = lambda: all(thread.name != "preview" for thread in threading.enumerate())  # noqa: E731
    qtbot.waitUntil(none, timeout=10_000)


def test_a_mask_layer_holds_for_each_channel_and_is_counted_for_each(desk, qtbot):
    viewer, dock, settle = desk
    masked = np.zeros((140, 150), np.uint8)
    masked[20:50, 60:90] = 1
    viewer.add_labels(masked, name="bubbles")
    viewer.layers.selection = {viewer.layers["nuclei"], viewer.layers["actin"]}
    dock.sections["more"].mask.setCurrentIndex(1)
    settle()
    qtbot.waitUntil(lambda: len(dock._contents.viewer_window.companions.shown) == 1, timeout=60_000)
    settle()
    step = viewer.dims.current_step[0]
    for name in ("nuclei", "actin"):
        noisy, shown = (np.asarray(viewer.layers[n].data[step]) for n in (name, f"{name} preview"))
        np.testing.assert_array_equal(shown[20:50, 60:90], noisy[20:50, 60:90])
        assert not np.array_equal(shown[60:], noisy[60:])
    box = dock.sections["verdict"]
    told = lambda: box.sentences.text()  # noqa: E731
    qtbot.waitUntil(lambda: "of nuclei" in told() and "of actin" in told(), timeout=60_000)
    line = next(line for line in told().splitlines() if "of nuclei" in line)
    assert line.count("900 pixels (4.3 %)") == 2
    dock.sections["more"].mask.setCurrentIndex(0)
    settle()
    shown = np.asarray(viewer.layers["actin preview"].data[step])
    assert not np.array_equal(shown[20:50, 60:90], viewer.layers["actin"].data[step, 20:50, 60:90])
    qtbot.waitUntil(lambda: bool(told()) and "Not image" not in told(), timeout=60_000)


@pytest.mark.parametrize("chosen", ["nuclei", "actin"])
@pytest.mark.parametrize("selected", [1, 2])
def test_a_run_denoises_each_of_them_once(
    desk, qtbot, in_place_of_shipped, tiny_realism_codec, chosen, selected
):
    in_place_of_shipped(tiny_realism_codec)
    viewer, dock, settle = desk
    other = {"nuclei": "actin", "actin": "nuclei"}[chosen]
    viewer.layers.selection = {viewer.layers[chosen], *([viewer.layers[other]] if selected == 2 else [])}
    viewer.layers.selection.active = viewer.layers[chosen]
    dock.choose(viewer.layers[chosen])
    dock.sections["image"].together.setChecked(True)
    settle()
    dock.sections["run"].denoise.click()
    done = lambda: not dock.session.state.busy and not dock.sections["run"]._queue  # noqa: E731
    qtbot.waitUntil(done, timeout=60_000)
    settle()
    results = [layer for layer in viewer.layers if layer.metadata.get(OURS, {}).get("role") == "result"]
    assert sorted(layer.name for layer in results) == ["actin denoised", "nuclei denoised"]
    sources = [layer.metadata[OURS]["source"] for layer in results]
    assert sorted(sources) == ["actin", "nuclei"]
    assert visible(viewer) == {"actin denoised", "nuclei denoised"}
    assert dock.layer is viewer.layers[chosen]
    companions = dock._contents.viewer_window.companions
    companions._todo = list(companions._made)  # previewed anew
    assert companions._todo
    assert companions.waiting == [], "the results of the run are seen"


def test_while_another_layer_in_view_is_noisy_that_is_told_and_no_verdict(desk, qtbot, monkeypatch):
    viewer, dock, settle = desk
    box = dock.sections["verdict"]
    qtbot.waitUntil(lambda: not box.why.isHidden(), timeout=60_000)
    other = next(name for name in ("nuclei", "actin") if viewer.layers[name] is not dock.layer)
    companions = dock._contents.viewer_window.companions
    assert companions.waiting == []
    work = companions._work
    monkeypatch.setattr(companions, "_work", lambda: None)  # its turn does not come for a while
    companions._timer.timeout.disconnect()
    viewer.dims.set_current_step(0, 0)
    told = f"Denoising {other}, which is still noisy…"
    qtbot.waitUntil(lambda: box.line.text() == told, timeout=60_000)
    assert box.sign.text() == "…"
    assert box.why.isHidden()
    companions._timer.timeout.connect(work)
    companions._timer.start()
    qtbot.waitUntil(lambda: box.line.text() not in (told, "Checking what was removed…"), timeout=60_000)
    assert companions.waiting == []
    settle()
    viewer.layers[f"{other} preview"].visible = False
    viewer.layers[other].visible = False
    assert companions.waiting == []
