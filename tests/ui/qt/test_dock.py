"""The dock in a real viewer: runs with a stand-in for the engine, the preview with a tiny random model."""

from __future__ import annotations

import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from napari_rdpdenoise.jobs.job import Opened
from napari_rdpdenoise.ui.compare.view import View
from napari_rdpdenoise.ui.run.jobs import Finished

pytestmark = pytest.mark.display

PLUGIN, DOCK = "napari-rdpdenoise", "RDP Denoise"
REPORT = SimpleNamespace(
    seconds=1.0, rate=0.5, blank=False, bpp=0.3, messages=("The noise was shared by neighbours.",)
)
NO_REALISM = "This model has no realism decoder."


def tile(done):
    return SimpleNamespace(done=done, total=3, mpps=1.0, eta_s=1.0, bpp=0.3, message=None)


def engine(job):
    for number in range(1, 4):
        yield tile(number)
    return Finished(np.asarray(job.input) // 2, REPORT)


def broken_engine(job):
    yield tile(1)
    raise RuntimeError("the device has no memory left")


@pytest.fixture(autouse=True)
def _default_preferences(monkeypatch):
    """Not those of whoever runs the tests."""
    from napari_rdpdenoise.ui.qt import contents
    from napari_rdpdenoise.ui.qt.preferences import Preferences

    monkeypatch.setattr(contents, "preferences", Preferences)


@pytest.fixture
def open_dock(make_napari_viewer, qtbot, tiny_realism_codec):
    """Open a viewer with one calibrated stack and the dock; returns both."""
    from napari_rdpdenoise.ui.qt import DenoiseDock

    def open_(stream=engine, note=NO_REALISM, preview=False, codec=tiny_realism_codec, **options):
        viewer = make_napari_viewer(**options)
        rng = np.random.default_rng(0)
        viewer.add_image(
            (100 + 2 * rng.poisson(30, (3, 140, 150))).astype(np.uint16),
            name="cells",
            scale=(2.0, 0.1, 0.2),
            translate=(0.0, 5.0, 6.0),
            units=("s", "um", "um"),
            axis_labels=("t", "y", "x"),
        )
        dock = DenoiseDock(viewer, stream, lambda model: note, lambda model, device: codec)
        dock.session.edit(preview=preview, auto_rate=False, rate=0.4)
        viewer.window.add_dock_widget(dock, name=DOCK)
        qtbot.waitUntil(lambda: dock.session.state.realism_note == note, timeout=20000)
        return viewer, dock

    return open_


def images(viewer):
    return [layer.name for layer in viewer.layers]


def test_denoise_adds_a_layer_in_the_same_place(open_dock, qtbot):
    viewer, dock = open_dock()
    source = viewer.layers["cells"]
    source.contrast_limits = (90, 200)
    dock.sections["run"].denoise.click()
    assert not dock.sections["run"].denoise.isEnabled()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2)
    result = viewer.layers["cells denoised"]
    np.testing.assert_array_equal(result.data, source.data // 2)
    for name in ("scale", "translate", "contrast_limits"):
        np.testing.assert_array_equal(getattr(result, name), getattr(source, name))
    assert result.units == source.units
    assert tuple(result.axis_labels) == ("t", "y", "x")
    made = result.metadata[PLUGIN]
    assert made["settings"]["rate"] == 0.4
    assert made["bpp"] == 0.3
    assert "Done in 1.0 s" in dock.sections["run"].status.text()
    assert "shared by neighbours" in dock.sections["run"].status.text()
    assert dock.sections["run"]._working.isHidden(), "no bar of the past"
    assert dock.sections["run"].denoise.isEnabled()


def test_a_time_range_lies_where_it_was_taken_from(open_dock, qtbot):
    def cut(job):
        yield tile(1)
        return Finished(np.asarray(job.input)[1:3], REPORT)

    viewer, dock = open_dock(cut)
    dock.sections["more"].form.controls["time"].setText("1:3")
    dock.sections["more"].form.controls["time"].editingFinished.emit()
    assert dock.session.state.settings().time == (1, 3)
    dock.sections["run"].denoise.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2)
    assert viewer.layers["cells denoised"].translate[0] == 2.0, "one time step of 2 s"


def test_axes_that_are_not_named_are_told(open_dock, qtbot, monkeypatch):
    told = []
    monkeypatch.setattr("napari_rdpdenoise.ui.qt.boxes.run.show_info", told.append)
    viewer, dock = open_dock()
    dock.sections["run"].denoise.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=20000)
    assert told == []
    dock.choose(viewer.add_image(np.ones((2, 3, 4, 40, 50), np.uint16), name="unnamed"))
    dock.sections["run"].denoise.click()
    qtbot.waitUntil(lambda: "unnamed denoised" in images(viewer), timeout=20000)
    assert [note for note in told if "TCZYX" in note] == told != []


def test_cancel_goes_back_to_what_was_shown(open_dock, qtbot):
    go_on = threading.Event()

    def slow(job):
        part = np.zeros(job.input.shape, np.uint16)
        yield Opened(part)
        yield tile(1)
        go_on.wait(10)
        yield tile(2)
        raise AssertionError("the run went on after Cancel")

    viewer, dock = open_dock(slow)
    dock.sections["run"].denoise.click()
    qtbot.waitUntil(lambda: dock.session.state.done == 1)
    dock.sections["run"].stop.click()
    assert not dock.sections["run"].stop.isEnabled()
    go_on.set()
    qtbot.waitUntil(lambda: "Cancelled" in dock.sections["run"].status.text())
    assert images(viewer) == ["cells"], "no black layer"
    assert viewer.layers["cells"].visible
    assert dock.sections["run"].denoise.isEnabled()


def test_closing_the_dock_stops_the_run(open_dock, qtbot):
    closed = threading.Event()

    def endless(job):
        try:
            while not closed.wait(0.01):
                yield tile(1)
        finally:
            closed.set()

    viewer, dock = open_dock(endless)
    dock.sections["run"].denoise.click()
    qtbot.waitUntil(lambda: dock.session.state.done == 1)
    viewer.window.remove_dock_widget(dock)
    assert closed.wait(10)
    assert images(viewer) == ["cells"]


def test_closing_the_window_ends_all_threads(open_dock, qtbot):
    viewer, dock = open_dock(preview=True)
    qtbot.waitUntil(lambda: dock.session.state.shown > 0, timeout=20000)
    names = lambda: [thread.name for thread in threading.enumerate()]  # noqa: E731
    assert "preview" in names()
    viewer.close()
    qtbot.waitUntil(lambda: "preview" not in names(), timeout=10000)


def test_a_renamed_layer_is_offered_by_its_new_name(open_dock):
    viewer, dock = open_dock()
    viewer.layers["cells"].name = "nuclei"
    assert dock.sections["image"].layers.currentText() == "nuclei"
    assert dock.session.state.layer == "nuclei"


def test_an_error_is_notified_and_clears(open_dock, qtbot):
    from napari.utils.notifications import notification_manager

    _, dock = open_dock(broken_engine)
    dock.sections["run"].denoise.click()
    qtbot.waitUntil(lambda: "Failed" in dock.sections["run"].status.text())
    assert "the device has no memory left" in dock.sections["run"].status.text()
    assert "the device has no memory left" in notification_manager.records[-1].message
    assert dock.sections["run"].denoise.isEnabled()


def test_realism_is_off_with_the_reason_or_on(open_dock, qtbot):
    _, dock = open_dock()
    assert not dock.sections["image"].realism.isEnabled()
    assert dock.sections["image"].realism.toolTip() == NO_REALISM
    dock.session.edit(realism_note=None)
    assert dock.sections["image"].realism.isEnabled()


def test_the_rate_slider_stands_at_what_was_found_and_moving_it_ends_auto(open_dock):
    _, dock = open_dock()
    box = dock.sections["image"]
    box.auto.setChecked(True)
    assert box.rate._number.text() == "–", "not known yet"
    dock.session.edit(found_rate=0.9)
    assert (box.rate.value(), box.rate._number.text()) == (pytest.approx(0.9), "0.90")
    box.rate.setValue(0.3)
    assert not box.auto.isChecked()
    assert dock.session.state.settings().rate == pytest.approx(0.3)


def test_the_selected_layer_is_taken_and_what_we_made_is_not(open_dock, qtbot):
    viewer, dock = open_dock(preview=True)
    other = viewer.add_image(np.full((3, 70, 80), 100, np.uint16), name="others")
    viewer.add_points([[1, 2, 3]])
    assert dock.layer is other
    viewer.layers.selection.active = viewer.layers["cells"]
    assert dock.layer is viewer.layers["cells"]
    viewer.layers.selection.active = dock.preview_layer
    assert dock.layer is viewer.layers["cells"]


@pytest.mark.parametrize("active", ["first", "second", "third", "boxes"])
def test_the_layer_that_is_selected_when_the_dock_opens_is_taken(make_napari_viewer, tiny_codec, active):
    from napari_rdpdenoise.ui.qt import DenoiseDock

    viewer = make_napari_viewer()
    for name in ("first", "second", "third"):
        viewer.add_image(np.ones((40, 50), np.uint16), name=name)
    viewer.add_shapes(name="boxes")
    viewer.layers.selection.active = viewer.layers[active]
    dock = DenoiseDock(viewer, engine, lambda model: NO_REALISM, lambda model, device: tiny_codec)
    dock.session.edit(preview=False)
    viewer.window.add_dock_widget(dock, name=DOCK)
    taken = "first" if active == "boxes" else active
    assert dock.layer is viewer.layers[taken]
    assert dock.sections["image"].layers.currentText() == dock.session.state.layer == taken


def test_a_layer_that_cannot_be_denoised_is_named_and_the_preview_stays_on(open_dock, qtbot, monkeypatch):
    monkeypatch.setattr("napari_rdpdenoise.ui.qt.window.show_error", lambda words: None)
    viewer, dock = open_dock(preview=True)
    qtbot.waitUntil(lambda: dock.preview_layer is not None, timeout=20000)
    viewer.layers.clear()
    viewer.add_image(np.ones((40, 50), bool), name="mask")  # before what was deleted has come to its end
    qtbot.wait(50)
    assert dock.session.state.preview, "it was not the user who took the preview away"
    assert dock.sections["verdict"].line.text().startswith("This layer cannot be denoised")
    assert "found bool" in dock.sections["run"].status.text()
    assert dock.sections["run"].status.text().endswith("made from.")
    viewer.layers.clear()
    assert dock.sections["verdict"].line.text().startswith("Open an image")


def test_what_is_chosen_in_the_dock_stays_chosen_whatever_is_selected(open_dock, qtbot):
    viewer, dock = open_dock(preview=True)
    cells = viewer.layers["cells"]
    other = viewer.add_image(np.full((3, 70, 80), 100, np.uint16), name="others")
    viewer.layers.selection.active = cells
    shown = lambda: dock.session.state.requested > 0 and not dock.session.unsettled  # noqa: E731
    qtbot.waitUntil(shown, timeout=20000)
    dock.choose(other)
    qtbot.waitUntil(shown, timeout=20000)
    assert dock.layer is other
    assert viewer.layers.selection.active is cells, "the preview layer takes no selection"
    viewer.layers.selection.active = other
    viewer.layers.selection.active = cells
    assert dock.layer is cells


def test_axes_are_set_in_the_dock_or_what_is_wrong_is_said(open_dock):
    viewer, dock = open_dock()
    box = dock.sections["image"]
    for text, words in (("TYXZ", "3 letters"), ("TTX", "at most once"), ("TZC", "Y and X")):
        box.axes.setText(text)
        box.axes.editingFinished.emit()
        assert words in box.axes_note.text()
        assert tuple(viewer.layers["cells"].axis_labels) == ("t", "y", "x")
    box.axes.setText("zyx")
    box.axes.editingFinished.emit()
    assert dock.session.view.subject.axes == "ZYX"
    assert box.axes_note.isHidden()


def test_the_button_says_how_much_and_a_part_is_told(open_dock):
    _, dock = open_dock()
    run = dock.sections["run"]
    assert run.denoise.text() == "Denoise 3 planes"
    dock.session.edit_settings(time=(1, 2))
    assert run.denoise.text() == "Denoise"
    assert "times 1 to 1" in run.part.text()


@pytest.mark.parametrize("preview", [False, True])
def test_several_layers_are_denoised_one_after_the_other(open_dock, qtbot, preview):
    viewer, dock = open_dock(preview=preview)
    cells = viewer.layers["cells"]
    more = [
        viewer.add_image(cells.data + add, name=name, scale=cells.scale, units=cells.units, axis_labels="tyx")
        for name, add in (("nuclei", 10), ("actin", 20))
    ]
    viewer.add_image(np.zeros((3, 40, 50), np.uint16), name="of another size")
    viewer.layers.selection.active = cells
    box, run = dock.sections["image"], dock.sections["run"]
    assert "all 3 layers" in box.together.text()
    assert run.denoise.text() == "Denoise 3 planes"
    viewer.layers.selection.update(more[:1])
    assert box.together.isChecked(), "several selected layers are meant"
    assert run.denoise.text() == "Denoise 6 planes"
    run.denoise.click()
    done = lambda: "nuclei denoised" in images(viewer) and not dock.session.state.busy  # noqa: E731
    qtbot.waitUntil(done, timeout=60000)
    np.testing.assert_array_equal(viewer.layers["cells denoised"].data, cells.data // 2)
    np.testing.assert_array_equal(viewer.layers["nuclei denoised"].data, more[0].data // 2)
    assert "actin denoised" not in images(viewer)
    visible = [layer.name for layer in viewer.layers if layer.visible]
    assert {"cells denoised", "nuclei denoised", "actin"} <= set(visible)
    assert "cells: Done" in run.status.text()
    assert "nuclei: Done" in run.status.text()
    assert dock.layer is cells, "what was chosen before"


@pytest.mark.parametrize(
    ("blending", "colours", "meant"),
    [
        (None, None, True),  # as napari does by itself
        ("additive", ["green", "magenta"], True),
        ("additive", ["gray", "gray"], False),
        ("translucent", ["green", "magenta"], False),
    ],
)
def test_channels_of_an_array_that_are_seen_as_one_picture_are_denoised_together(
    open_dock, blending, colours, meant
):
    viewer, dock = open_dock()
    viewer.layers.clear()
    data = np.full((2, 40, 50), 100, np.uint16)
    viewer.add_image(data, channel_axis=0, name=["actin", "nuclei"], colormap=colours, blending=blending)
    viewer.layers.selection.active = viewer.layers["nuclei"]
    box = dock.sections["image"]
    assert box.together.isChecked() is meant
    words = "Denoise both channels" if meant else "Denoise both layers of this size"
    assert box.together.text() == words
    assert len(box.targets) == 1 + meant


def test_axes_are_read_as_the_engine_reads_the_file(open_dock, tmp_path):
    import tifffile
    from napari.layers._source import layer_source

    viewer, dock = open_dock()
    data = np.random.default_rng(0).integers(0, 200, (3, 2, 70, 80)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", data, imagej=True, metadata={"axes": "TCYX"})
    with layer_source(path=str(tmp_path / "a.tif")):
        whole = viewer.add_image(data, name="whole")
        part = viewer.add_image(data[:2], name="part")
    dock.choose(whole)
    request = dock.session.request()
    assert (dock.session.state.axes, request.path, request.settings.axes) == (
        "TCYX",
        str(tmp_path / "a.tif"),
        None,
    )
    assert tuple(whole.axis_labels) == ("t", "c", "y", "x")
    whole.axis_labels = ("t", "z", "y", "x")
    assert dock.session.request().settings.axes == "TZYX", "as the user says"
    dock.choose(part)
    assert dock.session.request().path is None, "cropped: the file holds something else"


@pytest.mark.parametrize("ending", [".ome.zarr", ".ome.tif"])
def test_a_file_of_a_run_comes_back_as_its_layer_was_shown(
    open_dock, qtbot, tmp_path, tiny_realism_model, ending
):
    from napari.layers._source import layer_source

    from napari_rdpdenoise.ui.layers.files import read_image

    viewer, dock = open_dock(stream=None)
    noisy = viewer.layers["cells"]
    other = viewer.add_image(np.array(noisy.data), name="more", axis_labels=("t", "y", "x"))
    dock.session.edit(model=str(tiny_realism_model))
    dock.session.edit_settings(tile=64, device="cpu")
    for layer, look in ((noisy, ("magenta", (90, 200))), (other, ("green", (80, 170)))):
        dock.choose(layer)
        layer.colormap, layer.contrast_limits = look
        path = tmp_path / f"{layer.name}{ending}"
        dock.run(path)
        dock.wait(60)
        ((_, options, _),) = read_image(str(path))
        assert (options["name"], options["contrast_limits"]) == (layer.name, look[1])
        assert options["colormap"] == {"magenta": "#FF00FF", "green": "#00FF00"}[look[0]]
    words = dock.sections["image"].again
    assert words.isHidden()
    with layer_source(path=str(path)):
        viewer.add_image(read_image(str(path))[0][0], axis_labels=("t", "y", "x"))  # which is selected then
    assert words.text().startswith("This image was denoised already (tiny-realism, rate 0.40);")
    assert not words.isHidden()


def test_the_wheel_scrolls_and_changes_nothing_that_was_not_clicked(open_dock, qtbot):
    from qtpy.QtCore import QPoint, QPointF, Qt
    from qtpy.QtGui import QWheelEvent
    from qtpy.QtWidgets import QApplication

    _, dock = open_dock()
    before = dock.session.state
    for control in (
        dock.sections["image"].rate.slider,
        dock.sections["image"].layers,
        dock.sections["more"].model,
    ):
        where = QPointF(5, 5)
        event = QWheelEvent(
            where, where, QPoint(), QPoint(0, 120), Qt.NoButton, Qt.NoModifier, Qt.NoScrollPhase, False
        )
        QApplication.sendEvent(control, event)
        assert not event.isAccepted()
    assert dock.session.state == before


def test_that_the_viewer_shows_several_planes_as_one_is_told_beside_the_preview(open_dock, qtbot):
    viewer, dock = open_dock(preview=True)
    layer, scope = viewer.layers["cells"], lambda: dock.session.state.scope
    layer.projection_mode = "mean"
    qtbot.waitUntil(lambda: dock.session.state.shown > 0, timeout=30000)
    assert scope() == "", "one plane is shown"
    viewer.dims.thickness = (6, 0, 0)
    qtbot.waitUntil(lambda: "several planes as one" in scope(), timeout=5000)
    layer.projection_mode = "none"
    qtbot.waitUntil(lambda: scope() == "", timeout=5000)


def test_what_the_preview_does_not_show_is_not_told_of_the_result_of_a_run(open_dock, qtbot):
    viewer, dock = open_dock(preview=True)
    viewer.layers["cells"].projection_mode = "mean"
    viewer.dims.thickness = (6, 0, 0)
    words = dock.sections["verdict"].scope
    qtbot.waitUntil(lambda: "several planes as one" in words.text() and not words.isHidden(), timeout=5000)
    dock.sections["run"].denoise.click()
    qtbot.waitUntil(lambda: "cells denoised" in images(viewer))
    qtbot.waitUntil(words.isHidden, timeout=5000)
    dock.sections["image"].rate.setValue(0.6)
    qtbot.waitUntil(lambda: not words.isHidden(), timeout=5000)


def test_rows_are_laid_out_before_anything_can_paint_them(open_dock, qtbot):
    dock = open_dock()[1]
    dock.setParent(None)
    dock.resize(320, 900)
    dock.show()
    qtbot.wait(100)
    image = dock.sections["image"]

    def rows():
        ends = [part.mapTo(dock, part.rect().bottomLeft()).y() for part in (image.rate_note, image.realism)]
        parts = (image.realism, dock.sections["view"])
        starts = [part.mapTo(dock, part.rect().topLeft()).y() for part in parts]
        return all(end <= start for end, start in zip(ends, starts, strict=True))

    assert rows()
    low = image.rate_note.height()
    image.rate_note.setText("in so many words that they take several lines " * 3)
    dock.repaint()  # without a turn of the event loop
    assert image.rate_note.height() > 2 * low
    assert rows()


def room_of(choice):
    """Room of the text of a combo box, px."""
    from qtpy.QtWidgets import QStyle, QStyleOptionComboBox

    option = QStyleOptionComboBox()
    choice.initStyleOption(option)
    field = QStyle.SubControl.SC_ComboBoxEditField
    return choice.style().subControlRect(QStyle.ComplexControl.CC_ComboBox, option, field, choice).width()


def cut(dock):
    """Text and width of what is not seen whole."""
    from qtpy.QtWidgets import QComboBox, QScrollArea

    scroll = dock.findChild(QScrollArea)
    inside, view = scroll.widget(), scroll.viewport()
    wide = [(type(p).__name__, p.width()) for p in [inside] if p.width() > view.width()]
    boxes = [(box, getattr(box, "shown_text", box.currentText)()) for box in dock.findChildren(QComboBox)]
    return (
        wide
        + texts(dock)
        + [
            (text, room_of(box))
            for box, text in boxes
            if box.isVisible() and box.fontMetrics().horizontalAdvance(text) > room_of(box)
        ]
    )


def texts(dock):
    from qtpy.QtWidgets import QLabel, QPushButton

    parts = [part for part in dock.findChildren(QPushButton) + dock.findChildren(QLabel) if part.isVisible()]
    lines = [part for part in parts if not (isinstance(part, QLabel) and part.wordWrap())]
    width = lambda part: part.fontMetrics().horizontalAdvance(part.text().replace("&", ""))  # noqa: E731
    wide = [(part.text(), width(part), part.width()) for part in lines if width(part) > part.width()]
    wrapped = [part for part in parts if part not in lines]
    high = [(part.text(), part.heightForWidth(part.width()), part.height()) for part in wrapped]
    return wide + [(text, wanted, height) for text, wanted, height in high if wanted > height]


def _wait_until_nothing_is_cut(qtbot, dock, tab):
    try:
        qtbot.waitUntil(lambda: not cut(dock), timeout=20000)
    except qtbot.TimeoutError:
        assert cut(dock) == [], tab


@pytest.mark.parametrize("scale", [1.0, 1.35])
def test_nothing_is_cut_at_320_px_with_long_names_and_long_words(open_dock, qtbot, scale):
    """The larger font stands for words that are as much longer, as German ones are.

    In napari's theme, whose margins, bars and buttons are not those of Qt.
    """
    from napari.qt import get_stylesheet
    from qtpy.QtWidgets import QScrollArea

    viewer, dock = open_dock()
    name = "an_experiment_of_which_everything_is_in_its_name_" + "2026-11-29_position_003_well_B7"
    viewer.layers["cells"].name = name
    assert len(name) >= 80
    dock.session.edit(status=f"Done. Kept in /a/{name}/{name}.ome.tif", preview_note=f"No preview: {name}.")
    dock.setStyleSheet(f"{get_stylesheet('dark')} * {{font-size: {round(12 * scale)}px}}")
    facts = "T3 · 140 x 150 · neighbours: time · cpu"
    dock.session.edit(auto_rate=True)
    dock.session._store.edit(found_rate=1.0, outcome="1.77 bits/pixel", facts=facts)
    assert "blur" in dock.sections["image"].rate_note.text(), "explained at the end of the scale"
    scroll = dock.findChild(QScrollArea)
    room = 320 - scroll.verticalScrollBar().sizeHint().width()
    tabs = [name for name, section in dock.sections.items() if section.title]
    for tab in tabs:
        dock.open_tab(tab)
        qtbot.waitUntil(lambda: scroll.widget().minimumSizeHint().width() <= room, timeout=20000)
    dock.setParent(None)
    dock.resize(320, 500)  # no part fits: all have the bar beside them
    dock.show()

    for tab in tabs:
        dock.open_tab(tab)
        _wait_until_nothing_is_cut(qtbot, dock, tab)
    rate = dock.sections["image"].rate
    assert rate.height() >= rate.layout().minimumSize().height(), "rows are not squeezed"


@pytest.mark.parametrize(("points", "most"), [(9, 320), (14, 400), (18, 480)])
def test_in_a_large_font_the_dock_is_as_wide_as_what_is_in_it(open_dock, qtbot, points, most):
    from napari.qt import get_stylesheet

    _, dock = open_dock()
    dock.setStyleSheet(get_stylesheet("dark", extra_variables={"font_size": f"{points}pt"}))
    dock.session.edit(auto_rate=True)
    dock.session._store.edit(found_rate=1.0, outcome="1.77 bits/pixel", facts="T3 · 140 x 150 · cpu")
    dock.setParent(None)
    dock.resize(320, 500)
    dock.show()
    widths = set()
    for tab in [name for name, section in dock.sections.items() if section.title]:
        dock.open_tab(tab)
        _wait_until_nothing_is_cut(qtbot, dock, tab)
        widths.add(dock.minimumWidth())
    assert len(widths) == 1, "it does not jump from tab to tab"
    assert 320 <= max(widths) <= most


def test_wrong_text_in_advanced_is_told_and_taken_back(open_dock, monkeypatch):
    told = []
    _, dock = open_dock()
    monkeypatch.setattr(dock.sections["more"].form, "_complain", told.append)
    dock.sections["more"].form.controls["time"].setText("5 to 3")
    dock.sections["more"].form.controls["time"].editingFinished.emit()
    assert "0:10" in told[0]
    assert dock.sections["more"].form.controls["time"].text() == ""
    assert dock.session.state.settings().time is None


def test_colour_layers_and_no_layer(open_dock, qtbot):
    viewer, dock = open_dock(preview=True)
    viewer.layers.clear()
    assert not dock.sections["run"].denoise.isEnabled()
    assert dock.session.state.preview, "only deleting the preview layer alone switches the preview off"
    viewer.add_image(np.zeros((20, 30, 3), np.uint8), name="colour", rgb=True)
    viewer.add_points([[1, 2]])
    assert dock.session.state.layer == "colour"
    qtbot.waitUntil(lambda: dock.session.state.shown == dock.session.state.requested == 3, timeout=20000)
    assert dock.preview_layer.rgb
    dock.sections["view"].choose(View.SPLIT)
    assert viewer.layers["colour split"].visible
    dock.sections["run"].denoise.click()
    qtbot.waitUntil(lambda: "colour denoised" in images(viewer))
    assert viewer.layers["colour denoised"].rgb


def test_controls_are_named_and_the_dock_is_wide_enough(open_dock):
    from qtpy.QtWidgets import QAbstractButton, QAbstractSlider, QComboBox, QLineEdit, QSpinBox

    _, dock = open_dock()
    for name, section in dock.sections.items():
        if section.title:
            dock.open_tab(name)
    kinds = (QAbstractButton, QComboBox, QLineEdit, QSpinBox)
    inner = (QSpinBox, QComboBox)  # their own line edits and buttons are theirs to name, as a table's corner
    controls = [
        control
        for kind in kinds
        for control in dock.findChildren(kind)
        if not isinstance(control.parent(), inner) and type(control) is not QAbstractButton
    ]
    assert len(controls) > 15
    sliders = [dock.sections["image"].rate, dock.sections["image"].realism]
    assert all(isinstance(s, QAbstractSlider) or s.accessibleName() for s in sliders)
    unnamed = [c for c in controls if not (c.accessibleName() and c.toolTip())]
    assert unnamed == []
    assert dock.minimumWidth() >= 320


def test_the_preview_fills_its_layer_and_follows_the_sliders(open_dock, qtbot, tiny_realism_codec):
    viewer, dock = open_dock(note=None, preview=True)
    done = lambda: 0 < dock.session.state.requested == dock.session.state.shown  # noqa: E731
    qtbot.waitUntil(done, timeout=20000)
    layer = viewer.layers["cells preview"]
    assert layer is dock.preview_layer
    assert layer not in dock.sections["image"].layers.offered
    np.testing.assert_array_equal(layer.scale, viewer.layers["cells"].scale)
    step = int(viewer.dims.current_step[0])
    fidelity, calls = np.array(layer.data[step]), tiny_realism_codec.encoder_calls
    assert not np.array_equal(fidelity, viewer.layers["cells"].data[step])
    dock.sections["image"].realism.setValue(1.0)
    assert not np.array_equal(layer.data[step], fidelity), "at once"
    assert tiny_realism_codec.encoder_calls == calls
    viewer.dims.set_current_step(0, 0)
    qtbot.waitUntil(lambda: dock.session.shown() is not None and dock.session.shown().index == (0,))
    qtbot.waitUntil(done, timeout=20000)
    viewer.layers.remove(layer)
    qtbot.waitUntil(lambda: not dock.session.state.preview)
    assert not dock.sections["more"].preview.isChecked()
    dock.sections["more"].preview.setChecked(True)
    assert "cells preview" in images(viewer)


def test_replaced_pixels_are_previewed_afresh(open_dock, qtbot):
    viewer, dock = open_dock(preview=True)
    qtbot.waitUntil(lambda: dock.session.shown() is not None, timeout=20000)
    brighter = viewer.layers["cells"].data + 500
    viewer.layers["cells"].data = brighter
    qtbot.waitUntil(
        lambda: dock.session.shown() is not None and dock.session.shown().noisy.min() > 500, timeout=20000
    )
    shown = dock.session.shown()
    assert np.nanmean(shown.fidelity) == pytest.approx(shown.noisy.mean(), rel=0.02)


@pytest.mark.parametrize("view", [View.DENOISED, View.SPLIT, View.REMOVED])
def test_whoever_asks_for_the_denoised_image_gets_a_preview_that_was_switched_off(open_dock, qtbot, view):
    viewer, dock = open_dock(preview=True)
    dock.wait()
    viewer.layers.remove(dock.preview_layer)  # as a user undoes what we did
    qtbot.waitUntil(lambda: not dock.session.state.preview)
    assert "click Denoised" in dock.session.state.preview_line
    dock.sections["view"].choose(View.NOISY)
    assert not dock.session.state.preview
    dock.sections["view"].choose(view)
    dock.wait()
    qtbot.waitUntil(lambda: dock.sections["view"].family.seen is view)
    assert dock.session.state.preview_line == ""


def test_the_preview_says_why_there_is_none_in_3d(open_dock, qtbot):
    viewer, dock = open_dock(preview=True)
    viewer.dims.ndisplay = 3
    qtbot.waitUntil(lambda: "2-D" in dock.sections["verdict"].line.text())
    viewer.dims.ndisplay = 2
    qtbot.waitUntil(lambda: "2-D" not in dock.sections["verdict"].line.text())


def test_of_noisy_preview_and_result_one_is_visible(open_dock, qtbot):
    viewer, dock = open_dock(note=None, preview=True)
    visible = lambda: [layer.name for layer in viewer.layers if layer.visible]  # noqa: E731
    qtbot.waitUntil(lambda: dock.session.state.shown > 0, timeout=20000)
    assert visible() == ["cells preview"]
    dock.sections["run"].denoise.click()
    qtbot.waitUntil(lambda: "cells denoised" in images(viewer))
    assert visible() == ["cells denoised"]
    viewer.layers["cells"].name = "nuclei"
    dock.sections["image"].realism.setValue(0.5)
    assert visible() == ["cells preview"]
    dock.sections["view"].choose(View.SPLIT)
    assert visible() == ["nuclei split"]
    viewer.layers["cells preview"].visible = True
    assert visible() == ["cells preview"]
    dock.sections["view"].choose(View.NOISY)
    assert visible() == ["nuclei"]
    dock.choose(viewer.add_image(np.full((3, 70, 80), 100, np.uint16), name="others"))
    assert visible() == ["nuclei", "others preview"]
    viewer.window.remove_dock_widget(dock)
    assert visible() == ["nuclei", "others"]


def test_the_key_flips_and_the_buttons_say_what_is_shown(open_dock, qtbot):
    viewer, dock = open_dock(note=None, preview=True)
    box = dock.sections["view"]
    down = lambda: [view for view, part in box.views.buttons.items() if part.isChecked()]  # noqa: E731
    qtbot.waitUntil(lambda: down() == [View.DENOISED])
    (flip,) = viewer.keymap.values()
    held = flip(viewer)
    next(held)
    assert down() == [View.NOISY]
    next(held, None)
    assert down() == [View.DENOISED]
    dock.sections["check"].views.buttons[View.REMOVED].click()
    qtbot.waitUntil(lambda: down() == [])
    assert dock.sections["check"].views.buttons[View.REMOVED].isChecked()
    dock.sections["check"].views.buttons[View.REMOVED].click()
    assert down() == [View.DENOISED]


def test_what_was_kept_from_the_input_is_a_layer_while_it_is_looked_at(open_dock, qtbot, tiny_realism_codec):
    from napari_rdpdenoise import denoise

    viewer, dock = open_dock(preview=True, show=True)
    viewer.dims.set_point(0, 2.0)
    rows, columns = np.indices((140, 150))
    stripes = np.where(columns < 70, 300 + 250 * ((rows + columns) % 4 < 2), 300)
    noisy = (100 + 2 * np.random.default_rng(1).poisson(stripes, (3, 140, 150))).astype(np.uint16)
    viewer.layers["cells"].data = noisy
    dock.wait()
    assert dock.session.view.plan.structure
    check = dock.sections["check"]
    button = check.kept.buttons[View.KEPT]
    button.click()
    qtbot.waitUntil(lambda: "cells kept" in viewer.layers)
    layer = viewer.layers["cells kept"]
    assert layer.visible
    assert not viewer.layers["cells"].visible
    assert tuple(layer.contrast_limits) == (0.0, 1.0)
    qtbot.waitUntil(button.isChecked)
    assert "more than noise" in check.what.text()
    expected = denoise(noisy, model=tiny_realism_codec, rate=0.4, axes="TYX", device="cpu", quantity="kept")
    found = np.asarray(layer.data[1])
    np.testing.assert_allclose(found, expected[1], atol=2e-3)
    assert found.std() > 0.01
    assert not np.asarray(layer.data[0]).any(), "of the plane that is shown alone"

    dock.session.edit_settings(structure="none")
    dock.wait()
    qtbot.waitUntil(lambda: not np.asarray(layer.data[1]).any())
    qtbot.waitUntil(lambda: check.what.text().startswith("Nothing is kept"))
    button.click()
    qtbot.waitUntil(lambda: "cells kept" not in viewer.layers)
    assert viewer.layers["cells preview"].visible


def test_the_expected_error_is_a_layer_while_it_is_looked_at(open_dock, qtbot, tiny_flow_model):
    from napari_rdpdenoise import denoise, load_model

    codec = load_model(tiny_flow_model, "cpu")
    viewer, dock = open_dock(preview=True, show=True, codec=codec)
    viewer.dims.set_point(0, 2.0)
    dock.wait()
    check = dock.sections["check"]
    button = check.kept.buttons[View.ERROR]
    button.click()
    qtbot.waitUntil(lambda: "cells error" in viewer.layers)
    layer = viewer.layers["cells error"]
    qtbot.waitUntil(button.isChecked)
    assert "so many counts off" in check.what.text()
    assert check.what.text().endswith(f"bright: 0 to {layer.contrast_limits[1]:.3g} counts.")
    bright = layer.contrast_limits[1]
    layer.contrast_limits = (1, 7)
    assert check.what.text().endswith("1 to 7 counts.")
    assert not viewer.layers["cells"].visible
    noisy = viewer.layers["cells"].data
    expected = denoise(noisy, model=codec, rate=0.4, axes="TYX", device="cpu", quantity="error")[1]
    np.testing.assert_allclose(np.asarray(layer.data[1]), expected, rtol=1e-3)
    assert 0 < np.median(expected) < bright < 2 * expected.max()
    button.click()
    qtbot.waitUntil(lambda: "cells error" not in viewer.layers)


def test_a_model_that_does_not_tell_its_error_says_so(open_dock, qtbot):
    viewer, dock = open_dock(note=None, preview=True, show=True)
    dock.wait()
    check = dock.sections["check"]
    check.kept.buttons[View.ERROR].click()
    qtbot.waitUntil(lambda: "does not tell how far" in check.what.text())
    assert not np.asarray(viewer.layers["cells error"].data).any()


def test_a_layer_that_covers_is_named_and_raised_above(open_dock, qtbot):
    viewer, dock = open_dock(note=None, preview=True)
    box = dock.sections["view"]
    viewer.add_image(
        np.zeros((3, 140, 150), np.uint16), name="truth", scale=(2.0, 0.1, 0.2), translate=(0, 5, 6)
    )
    viewer.layers.selection.active = viewer.layers["cells"]
    dock.choose(viewer.layers["cells"])
    qtbot.waitUntil(lambda: not box._cover.isHidden())
    assert "truth" in box.covered.text()
    box.raise_it.click()
    qtbot.waitUntil(box._cover.isHidden)
    assert images(viewer)[0] == "truth"


def test_a_job_file_moves_the_controls(open_dock):
    _, dock = open_dock(note=None)
    wanted = dock.session.state.settings().replace(rate=0.8, realism=0.6, tile=128)
    dock.sections["more"].repeat._apply(wanted)
    assert dock.sections["image"].rate.value() == pytest.approx(0.8)
    assert dock.sections["image"].realism.value() == pytest.approx(0.6)
    assert dock.sections["more"].form.controls["tile"].value() == 128


def test_the_manifest_opens_the_dock(make_napari_viewer, qtbot, monkeypatch):
    from napari_rdpdenoise.ui import qt as widget

    # The real question loads the model, which other tests do.
    defaults = (engine, lambda model: None, lambda model, device: None)
    monkeypatch.setattr(widget.DenoiseDock.__init__, "__defaults__", defaults)
    viewer = make_napari_viewer()
    viewer.add_image(np.zeros((16, 16), np.uint8), name="cells")
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, DOCK)
    dock.session.edit(preview=False)
    qtbot.waitUntil(lambda: dock.session.state.realism_note is None)
    dock.run()
    qtbot.waitUntil(lambda: "cells denoised" in images(viewer))


def test_in_3d_the_preview_layer_is_hidden_also_that_of_another_layer(open_dock, qtbot):
    viewer, dock = open_dock(preview=True)
    viewer.dims.ndisplay = 3
    assert not dock.preview_layer.visible
    dock.choose(viewer.add_image(np.full((3, 70, 80), 100, np.uint16), name="others"))
    assert not dock.preview_layer.visible, "it would read the whole stack"
    viewer.dims.ndisplay = 2
    assert dock.preview_layer.visible


def test_an_opened_part_is_scrolled_into_view(open_dock, qtbot):
    from qtpy.QtCore import QPoint
    from qtpy.QtWidgets import QScrollArea

    viewer, dock = open_dock(show=True)
    viewer.window.resize(900, 560)
    bar, tabs = dock.findChild(QScrollArea).verticalScrollBar(), dock._contents.tabs
    assert bar.value() == 0
    dock.open_tab("train")
    top = lambda: tabs.mapTo(dock, QPoint(0, 0)).y()  # noqa: E731
    qtbot.waitUntil(lambda: bar.value() > 0, timeout=20000)
    qtbot.waitUntil(lambda: bar.value() == bar.maximum() or 0 <= top() <= 2, timeout=20000)


def test_lines_that_come_later_are_not_cut(open_dock, qtbot):
    from qtpy.QtCore import Qt

    viewer, dock = open_dock(show=True)
    viewer.window._qt_window.setGeometry(0, 0, 1366, 420)  # so that there is a bar beside the lines
    box, edit = dock.sections["image"], dock.session._store.edit

    def fits(label):
        """Neither cut nor in a row that is higher than its lines, and than the controls beside them."""
        wrap = Qt.TextFlag.TextWordWrap
        lines = label.fontMetrics().boundingRect(0, 0, label.width(), 999, wrap, label.text()).height()
        return lines <= label.height() <= max(lines, 24) + 4

    edit(auto_rate=True)
    ends = {
        "found_rate": 1.0,
        "outcome": "1.77 bits/pixel",
        "facts": "400 x 460 RGB · neighbours: colours · cpu",
    }
    for changes in (ends, {"found_rate": 0.5, "outcome": "0.50 bits/pixel"}, ends):
        edit(**changes)
        for label in (box.rate_note, box.facts):
            qtbot.waitUntil(lambda label=label: fits(label), timeout=5000)


def test_the_verdict_never_speaks_of_texture_that_is_not_there(open_dock, qtbot):
    _, dock = open_dock(note=None, preview=True)
    line, realism = dock.sections["verdict"].line, dock.sections["image"].realism
    realism.setValue(0.5)
    qtbot.waitUntil(lambda: "texture was added" in line.text(), timeout=60_000)
    realism.setValue(0.0)
    assert "texture" not in line.text()
    qtbot.waitUntil(lambda: line.text().startswith(("Only noise", "Look closer")), timeout=60_000)
    assert "texture" not in line.text()


MANY = ["napari_rdpdenoise.ui.qt.contents", "napari_rdpdenoise.noise", "scipy.ndimage"]


@pytest.fixture
def later_dock(make_napari_viewer, tiny_realism_codec):
    """Open a viewer with a plane and a dock that nobody has asked for anything yet."""
    from napari_rdpdenoise.ui.qt import DenoiseDock

    def open_():
        viewer = make_napari_viewer()
        viewer.add_image(np.full((3, 70, 80), 100, np.uint16), name="cells")
        dock = DenoiseDock(viewer, engine, lambda model: NO_REALISM, lambda model, device: tiny_realism_codec)
        viewer.window.add_dock_widget(dock, name=DOCK)
        return viewer, dock

    return open_


def test_to_show_the_dock_imports_nothing_large():
    code = f"""
import sys
import napari._qt.qt_main_window
from napari_rdpdenoise.ui.qt import DenoiseDock
assert not [name for name in {MANY} if name in sys.modules and not name.startswith("scipy")]
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_the_dock_fills_by_itself_one_part_in_each_turn(later_dock, qtbot, monkeypatch):
    from napari_rdpdenoise.ui.qt.contents import Contents

    turns, steps, made = [0], [], Contents.build

    def count():
        turns[0] += 1

    def build(self):
        for _ in made(self):
            steps.append(turns[0])
            yield

    monkeypatch.setattr(Contents, "build", build)
    from qtpy.QtCore import QTimer

    timer = QTimer()
    timer.timeout.connect(count)
    timer.start(0)
    _, dock = later_dock()
    assert not dock.complete
    qtbot.waitUntil(lambda: dock.complete, timeout=20_000)
    assert len(steps) == len(set(steps)) > 8, "each in a turn of its own"
    assert dock.session.state.layer == "cells"
    parts = [dock.layout().itemAt(number).widget() for number in range(dock.layout().count())]
    assert None not in parts, "napari has left no room above"


def test_who_asks_for_a_part_gets_all_at_once(later_dock):
    viewer, dock = later_dock()
    assert not dock.complete
    dock.choose(viewer.layers["cells"])
    assert dock.complete
    assert list(dock.sections) == ["image", "view", "verdict", "run", "check", "train", "files", "more"]


def test_a_dock_that_is_closed_while_it_opens_is_never_filled(later_dock, qtbot):
    viewer, dock = later_dock()
    viewer.window.remove_dock_widget(dock)
    qtbot.wait(300)
    assert not dock.complete
    with pytest.raises(RuntimeError, match="open another"):
        dock.session.preview()


def test_why_a_dock_cannot_open_is_said_in_it(later_dock, qtbot, monkeypatch):
    from napari_rdpdenoise.ui.qt import contents

    def broken():
        raise OSError("the preferences cannot be read")

    monkeypatch.setattr(contents, "preferences", broken)
    with qtbot.captureExceptions() as raised:
        _, dock = later_dock()
        qtbot.waitUntil(lambda: "cannot be opened" in dock._note.text(), timeout=20_000)
    assert "cannot be read" in dock._note.text()
    assert [str(error[1]) for error in raised] == ["the preferences cannot be read"]
    with pytest.raises(OSError, match="cannot be read"):
        dock.session.preview()
