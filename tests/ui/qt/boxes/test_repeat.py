"""Copy, save and load."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from napari_rdpdenoise.codec.card import read_card
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.ui.run.as_text import Request

pytestmark = pytest.mark.display

SETTINGS = RunSettings(rate=0.3, realism=0.25, channels=(1, 0))


class Desk:
    """A box, what it was given and what it said."""

    def __init__(self, qtbot, monkeypatch, keep=True):
        from napari_rdpdenoise.ui.qt.boxes import repeat as repeat_box

        self.request = Request(SETTINGS, "/data/cells.tif", "/out/cells.ome.zarr", "cells")
        self.applied, self.errors = [], []
        self.dialogs = repeat_box.QFileDialog
        self._qtbot, self._monkeypatch = qtbot, monkeypatch
        monkeypatch.setattr(repeat_box, "show_error", self.errors.append)
        self.asked, self.part = [], True  # whether only the part of the image that a job names is meant
        self.box = repeat_box.RepeatBox(lambda: self.request, self.applied.append, self._ask)
        if keep:
            qtbot.addWidget(self.box)
        self.box.show()

    def _ask(self, parent, limits):
        self.asked.append(limits)
        return self.part

    def answer(self, dialog, name):
        """Choose a file in the next dialog."""
        self._monkeypatch.setattr(self.dialogs, dialog, lambda *_, **__: (str(name), ""))

    def wait_told(self):
        self._qtbot.waitUntil(lambda: bool(self.box._told.text() or self.errors), timeout=15_000)


@pytest.fixture
def desk(qtbot, monkeypatch):
    return Desk(qtbot, monkeypatch)


def clipboard():
    from qtpy.QtWidgets import QApplication

    return QApplication.clipboard().text()


def test_python_and_command_go_to_the_clipboard(desk):
    from napari_rdpdenoise.ui.run.as_text import Request, as_command, as_python

    request = desk.request
    desk.box._python.click()
    assert clipboard() == as_python(Request(SETTINGS, request.path, request.target, "cells"))
    assert desk.box._told.text() == "Python text copied."
    desk.box._command.click()
    assert clipboard() == as_command(Request(SETTINGS, request.path, request.target))
    assert desk.box._told.text() == "Command copied."
    assert desk.box._told.isVisible()


def test_of_a_layer_in_memory_it_says_what_to_do(desk):
    desk.request = Request(SETTINGS, layer="cells")
    desk.box._command.click()
    assert clipboard().startswith("# no file holds layer 'cells'")
    assert "save it first" in desk.box._told.text()
    desk.box._python.click()
    assert "viewer.layers['cells']" in clipboard()


def test_what_is_saved_is_loaded_again(desk, tmp_path, qtbot):
    job = tmp_path / "mine.job.json"
    desk.answer("getSaveFileName", job)
    desk.box._save.click()
    desk.wait_told()
    assert json.loads(job.read_text())["result"] == "/out/cells.ome.zarr"
    desk.answer("getOpenFileName", job)
    desk.box._load.click()
    qtbot.waitUntil(lambda: desk.applied == [SETTINGS.replace(model="fluo-light")])  # what "default" means
    assert desk.box._told.text() == "Settings taken from mine.job.json."
    assert desk.errors == []


def test_a_name_without_ending_gets_one_and_replaces_nothing(desk, tmp_path):
    desk.answer("getSaveFileName", tmp_path / "mine")
    desk.box._save.click()
    desk.wait_told()
    job = tmp_path / "mine.job.json"
    assert job.is_file()
    job.write_text("precious")
    desk.box._save.click()
    assert "choose it itself" in desk.errors[0]
    assert job.read_text() == "precious"


def test_a_dialog_that_was_left_changes_nothing(desk):
    for dialog, button in (("getSaveFileName", desk.box._save), ("getOpenFileName", desk.box._load)):
        desk.answer(dialog, "")
        button.click()
    assert (desk.applied, desk.errors, desk.box._told.text()) == ([], [], "")


@pytest.mark.parametrize("content", [None, "no json", '{"color": "red"}', '{"settings": {"rate": 9}}'])
def test_a_file_that_is_no_job_is_refused_with_the_reason(desk, tmp_path, content):
    job = tmp_path / "other.json"
    if content is not None:
        job.write_text(content)
    desk.answer("getOpenFileName", job)
    desk.box._load.click()
    desk.wait_told()
    assert str(job) in desk.errors[0]
    assert (desk.applied, desk.box._told.text()) == ([], "")


def test_a_job_of_another_model_of_the_name_is_refused(desk, tmp_path, tiny_model, tiny_realism_model):
    model = shutil.copytree(tiny_model, tmp_path / "cells-pairs")
    desk.request = replace(desk.request, settings=SETTINGS.replace(model=str(model)))
    job = tmp_path / "mine.job.json"
    desk.answer("getSaveFileName", job)
    desk.box._save.click()
    desk.wait_told()
    shutil.copytree(tiny_realism_model, model, dirs_exist_ok=True)
    desk.answer("getOpenFileName", job)
    desk.box._load.click()
    desk._qtbot.waitUntil(lambda: bool(desk.errors), timeout=15_000)
    for folder in (tiny_model, tiny_realism_model):
        assert read_card(folder).sha256[:32] in desk.errors[0]
    assert desk.applied == []


def test_a_place_that_cannot_be_written_is_told(desk, tmp_path):
    desk.answer("getSaveFileName", tmp_path / "no folder" / "mine.job.json")
    desk.box._save.click()
    desk.wait_told()
    assert desk.errors[0].startswith("The job could not be saved")


def test_nothing_to_repeat_and_settings_that_do_not_fit_are_told(qtbot, monkeypatch, tmp_path):
    from napari_rdpdenoise.jobs.record import write_job
    from napari_rdpdenoise.ui.qt.boxes import repeat as repeat_box

    def refuse(*_):
        raise ValueError("choose a layer first")

    errors = []
    monkeypatch.setattr(repeat_box, "show_error", errors.append)
    box = repeat_box.RepeatBox(refuse, refuse, lambda *_: True)
    qtbot.addWidget(box)
    for button in (box._python, box._command, box._save):
        button.click()
    assert errors == ["choose a layer first."] * 3
    job = write_job(tmp_path / "mine.job.json", SETTINGS)
    monkeypatch.setattr(repeat_box.QFileDialog, "getOpenFileName", lambda *_, **__: (str(job), ""))
    box._load.click()
    qtbot.waitUntil(lambda: len(errors) == 4, timeout=15_000)
    assert errors[3] == "The job does not fit: choose a layer first."


def test_a_box_that_is_gone_is_not_told(tmp_path, qtbot, monkeypatch):
    from qtpy import sip

    desk = Desk(qtbot, monkeypatch, keep=False)
    desk.answer("getSaveFileName", tmp_path / "mine.job.json")
    desk.box._save.click()
    sip.delete(desk.box)
    qtbot.waitUntil((tmp_path / "mine.job.json").is_file)
    qtbot.wait(100)  # the answer comes, to nobody
    assert desk.errors == []


def test_controls_are_named_and_narrow(desk):
    buttons = [desk.box._python, desk.box._command, desk.box._save, desk.box._load]
    assert all(button.accessibleName() and button.toolTip() for button in buttons)
    assert desk.box.minimumSizeHint().width() <= 320


@pytest.mark.parametrize(
    ("part", "applied"),
    [(True, [SETTINGS]), (False, [SETTINGS.replace(channels=None, time=None)]), (None, [])],
)
def test_a_job_of_a_part_of_an_image_says_which_and_asks(desk, part, applied):
    settings, desk.part = SETTINGS.replace(time=(2, 5)), part
    desk.box._loaded(Path("mine.job.json"), settings)
    assert desk.asked == ["channels 1, 0 and times 2 to 4"]
    assert [one.replace(time=None) for one in desk.applied] == applied
    assert [one.time for one in desk.applied] == [(2, 5) if part else None for _ in applied]
    desk.box._loaded(Path("mine.job.json"), RunSettings())
    assert len(desk.asked) == 1, "all of the image needs no question"


def test_what_was_said_ends_with_the_image_it_was_said_of(make_napari_viewer, qtbot, tiny_codec, monkeypatch):
    import numpy as np

    from napari_rdpdenoise.ui.qt import DenoiseDock, contents
    from napari_rdpdenoise.ui.qt.preferences import Preferences

    monkeypatch.setattr(contents, "preferences", Preferences)
    viewer = make_napari_viewer()
    first, second = (viewer.add_image(np.zeros((70, 80), np.uint16), name=name) for name in ("one", "two"))
    dock = DenoiseDock(viewer, None, lambda model: "none", lambda model, device: tiny_codec)
    dock.session.edit(preview=False)
    viewer.window.add_dock_widget(dock, name="dock")
    dock.choose(first)
    dock.open_tab("more")
    box = dock.sections["more"].repeat
    box._command.click()
    assert "Command copied; no file holds the layer" in box._told.text()
    assert not box._told.isHidden()
    dock.session.realism = 0.5
    assert not box._told.isHidden(), "it is still so"
    dock.choose(second)
    assert box._told.isHidden()


def test_what_was_done_is_scrolled_into_view(qtbot, monkeypatch):
    from qtpy.QtWidgets import QScrollArea, QVBoxLayout, QWidget

    desk = Desk(qtbot, monkeypatch, keep=False)
    inside, around = QWidget(), QScrollArea()
    qtbot.addWidget(around)
    column = QVBoxLayout(inside)
    column.addWidget(desk.box)
    column.addSpacing(400)
    around.setWidgetResizable(True)
    around.setWidget(inside)
    around.resize(320, 90)
    around.show()
    desk.box._command.click()
    label = desk.box._told

    def in_sight():
        bottom = label.mapTo(around.viewport(), label.rect().bottomLeft()).y()
        return label.isVisible() and 0 < bottom <= around.viewport().height()

    qtbot.waitUntil(in_sight)
