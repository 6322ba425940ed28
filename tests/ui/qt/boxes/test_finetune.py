"""The fine-tuning box over a viewer's model, with a stand-in for the training."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from napari_rdpdenoise.ui.finetune.events import Checked, Crop, Done, Failed, Preparing, Progress

pytestmark = pytest.mark.display

SHAPE = (2, 160, 96)
WORDS = ("the tuned model is better on held-out data: error 0.9 before, 0.5 after (-44 %)",)
PATIENCE = 20_000  # ms


class Trainer:
    """A training whose steps wait to be let through; notes what it was asked for, and its end."""

    def __init__(self):
        self.tasks, self.steps, self.better, self.fails = [], 4, True, None
        self.free = threading.Event()
        self.closed, self.held = threading.Event(), threading.Event()
        self.done = 0
        self.free.set()

    def __call__(self, task):
        self.tasks.append(task)
        self.closed.clear()
        try:
            yield Preparing("Reading and checking the images.")
            if self.fails:
                yield Failed(self.fails)
                return
            yield Checked(("reference 2 is a little coarse",), 0.7, "cpu", "error")
            for step in range(1, self.steps + 1):
                if not self.free.is_set():
                    self.held.set()
                assert self.free.wait(20)
                time.sleep(0.01)
                self.done = step
                left = 60.0 * (self.steps - step)
                held = 0.9 - 0.1 * step if step % 2 == 0 else None
                yield Progress(step, self.steps, {"loss": 1 / step, "bpp": 0.3}, held, 0.9, 0, left)
                yield Crop(*np.random.default_rng(step).normal(100, 9, (3, 48, 64)).astype(np.float32), step)
            yield Done(self.better, WORDS if self.better else ("the old one is kept",), task.out)
        finally:
            self.closed.set()


@pytest.fixture
def desk(qtbot, tmp_path):
    """A box with two layers, a stand-in trainer, and what it told."""
    from napari.components import ViewerModel
    from qtpy.QtWidgets import QVBoxLayout, QWidget

    from napari_rdpdenoise.ui.qt.boxes.finetune import FineTuneBox

    viewer, trainer = ViewerModel(), Trainer()
    rng = np.random.default_rng(0)
    noisy = viewer.add_image(rng.poisson(30, SHAPE).astype(np.uint16), name="cells", axis_labels=tuple("tyx"))
    clean = viewer.add_image(
        rng.poisson(900, SHAPE).astype(np.uint16), name="clean", axis_labels=tuple("tyx")
    )
    found = SimpleNamespace(
        viewer=viewer, trainer=trainer, noisy=noisy, clean=clean, image=noisy, tuned=[], used=[]
    )
    box = FineTuneBox(viewer, lambda: found.image, lambda: "fluo-light", lambda: "cpu", trainer)
    holder = QWidget()
    QVBoxLayout(holder).addWidget(box)
    qtbot.addWidget(holder)
    holder.resize(340, 600)
    holder.show()
    box.tuned.connect(found.tuned.append)
    box.used.connect(found.used.append)
    found.box, found.holder = box, holder
    found.kind = lambda name: box.form.kind.setCurrentIndex(box.form.kind.findData(name))
    found.wait = lambda: qtbot.waitUntil(lambda: not box.busy, timeout=PATIENCE)
    found.step = lambda n: qtbot.waitUntil(lambda: box.bar.value() >= n, timeout=PATIENCE)
    found.kind("zeroshot")
    yield found
    trainer.free.set()
    box.shut()
    assert not trainer.tasks or trainer.closed.wait(20)


def test_before_and_after_are_compared_in_a_large_window_that_follows(desk):
    box = desk.box
    assert box.large.isHidden()
    crop = Crop(*np.random.default_rng(0).normal(100, 5, (3, 40, 60)).astype(np.float32), 3)
    box._hear(crop)
    assert not box.large.isHidden()
    box.large.click()
    large = box._window
    assert large.isVisible()
    assert large.width() >= 1000
    captions = [label.text() for label in large.view._captions]
    assert captions == ["noisy", "before", "step 3"]
    box._hear(replace(crop, step=9))
    assert large.view._captions[2].text() == "step 9"
    box.shut()
    assert not large.isVisible()


def test_a_training_from_start_to_use(desk, qtbot):
    box = desk.box
    assert not box.use.isEnabled()
    box.start.click()
    assert not box.start.isEnabled()
    assert not box.form.isEnabled()
    desk.wait()
    assert (
        box.report.text()
        == "The tuned model is better on held-out data: error 0.9 before, 0.5 after (-44 %)."
    )
    assert "better" in box.status.text()
    assert "Reference 2 is a little coarse." in box.notes.text()
    assert box.bar.value() == box.bar.maximum() == 4
    assert box.bar.isHidden(), "no bar of the past"
    (task,) = desk.trainer.tasks
    assert (task.kind, task.model, task.device, task.minutes, task.steps) == (
        "zeroshot",
        "fluo-light",
        "cpu",
        30,
        None,
    )
    assert task.noisy.data is desk.noisy.data
    assert task.others is None
    assert desk.tuned == [str(task.out)]
    assert desk.used == []
    assert box.use.isEnabled()
    box.use.click()
    assert desk.used == [str(task.out)]
    assert box.start.isEnabled()


def test_the_curves_and_the_crop_are_live(desk, qtbot):
    box = desk.box
    desk.trainer.free.clear()
    box.start.click()
    qtbot.waitUntil(lambda: len(desk.trainer.tasks) == 1)
    assert not box.crop.isVisible()
    desk.trainer.free.set()
    desk.wait()
    qtbot.waitUntil(lambda: len(box.plots._panels) == 4, timeout=30_000)
    qtbot.waitUntil(lambda: not box._redraw.isActive())
    titles = [panel.title.text() for panel in box.plots._panels if panel.plot.isVisible()]
    assert titles == ["images kept apart 0.5", "training error 0.25", "bits per pixel 0.3"]
    x, y = box.plots._panels[1]._line.getData()
    np.testing.assert_allclose([x, y], [[1, 2, 3, 4], [1, 1 / 2, 1 / 3, 1 / 4]])
    assert box.plots._panels[0]._level.value() == 0.9
    assert box.crop.isVisible()
    assert [caption.text() for caption in box.crop._captions] == ["noisy", "before", "step 4"]
    shapes = [picture._pixels.shape for picture in box.crop._pictures]
    assert shapes == [(48, 64)] * 3
    picture = box.crop._pictures[0]
    assert picture.height() == pytest.approx(picture.width() * 48 / 64, abs=1)


def test_one_that_is_not_better_cannot_be_used(desk):
    desk.trainer.better = False
    desk.box.start.click()
    desk.wait()
    assert "is kept" in desk.box.status.text()
    assert desk.box.report.text() == "The old one is kept."
    assert not desk.box.use.isEnabled()
    assert desk.tuned == []


def test_a_better_one_of_before_cannot_be_used_for_one_that_failed(desk):
    desk.box.start.click()
    desk.wait()
    desk.trainer.fails = ValueError(
        "references: expected clean images, found none of use: a is not clean enough"
    )
    desk.box.start.click()
    desk.wait()
    assert not desk.box.use.isEnabled()
    assert desk.box.report.text() == ""


def test_refused_references_are_told_in_words(desk):
    from napari.utils.notifications import notification_manager

    before = len(notification_manager.records)
    desk.trainer.fails = ValueError(
        "references: expected clean images, found none of use: a is not clean enough"
    )
    desk.box.start.click()
    desk.wait()
    assert desk.box.status.text() == f"Stopped: {desk.trainer.fails}."
    assert len(notification_manager.records) == before, "no message of its own"
    assert desk.box.start.isEnabled()
    assert not desk.box.bar.isVisible()


def test_cancel_returns_at_once_and_says_what_is_kept(desk, qtbot):
    box = desk.box
    desk.trainer.steps = 1000
    box.start.click()
    desk.step(2)
    desk.trainer.free.clear()  # a step that takes long
    qtbot.waitUntil(desk.trainer.held.is_set, timeout=PATIENCE)
    box.cancel.click()
    assert not desk.trainer.closed.is_set(), "the click does not wait for it"
    assert "Stopping" in box.status.text()
    assert not box.cancel.isEnabled()
    assert not box.start.isEnabled(), "the last step is still writing into the folder"
    desk.trainer.free.set()
    desk.wait()
    assert desk.trainer.closed.is_set()
    assert desk.trainer.done < 1000
    assert "Cancelled. What is trained is kept" in box.status.text()
    assert box.start.isEnabled()
    desk.trainer.steps = 3
    box.start.click()
    desk.wait()
    assert desk.trainer.tasks[1].out == desk.trainer.tasks[0].out, "the same folder goes on"


def test_pause_holds_the_training_and_resume_goes_on(desk, qtbot):
    box = desk.box
    desk.trainer.steps = 100_000
    box.start.click()
    desk.step(2)
    box.pause.click()
    qtbot.waitUntil(lambda: box.pause.text() == "Resume", timeout=PATIENCE)
    qtbot.wait(50)
    held = desk.trainer.done
    qtbot.wait(300)
    assert desk.trainer.done == held
    assert "Paused" in box.status.text()
    box.pause.click()
    qtbot.waitUntil(lambda: box.pause.text() == "Pause" and desk.trainer.done > held, timeout=PATIENCE)
    box.pause.click()
    qtbot.waitUntil(lambda: box.pause.text() == "Resume", timeout=PATIENCE)
    box.cancel.click()
    desk.wait()
    assert desk.trainer.closed.is_set(), "one that is paused can be cancelled"
    assert box.pause.text() == "Pause"


def test_deleted_layers_do_not_end_it(desk):
    desk.kind("unpaired")
    desk.box.form.others.layers.choose(desk.clean)
    desk.trainer.free.clear()
    desk.box.start.click()
    desk.image = None
    desk.viewer.layers.clear()
    desk.trainer.free.set()
    desk.wait()
    assert "better" in desk.box.status.text()


def test_a_deleted_box_ends_its_training(desk, qtbot):
    desk.trainer.steps = 1_000_000
    desk.box.start.click()
    desk.step(2)
    desk.box.deleteLater()
    assert desk.trainer.closed.is_set() is False
    qtbot.waitUntil(desk.trainer.closed.is_set, timeout=PATIENCE)
    assert desk.trainer.done < 1_000_000
    desk.box.shut = lambda: None


@pytest.mark.parametrize(
    ("kind", "words"),
    [("unpaired", "References: expected a layer or a folder"), ("pairs", "Partners: expected")],
)
def test_what_is_missing_is_told_before_anything_starts(desk, kind, words):
    desk.kind(kind)
    desk.box.start.click()
    assert words in desk.box.status.text()
    assert desk.box.status.isVisible()
    assert desk.trainer.tasks == []
    desk.kind("zeroshot")
    desk.image = None
    desk.box.start.click()
    assert "Noisy: expected a layer" in desk.box.status.text()
    assert not desk.box.busy


def test_what_was_missing_is_not_said_any_more_once_it_is_there(desk):
    desk.kind("unpaired")
    desk.box.start.click()
    assert "References: expected" in desk.box.status.text()
    desk.box.form.others.layers.setCurrentIndex(1)
    assert desk.box.status.text() == ""
    assert not desk.box.status.isVisible()


def test_the_budget_stays_beside_its_name_in_a_narrow_dock(desk, qtbot):
    from napari.qt import get_stylesheet

    desk.box.setStyleSheet(get_stylesheet("dark"))  # it makes fields of numbers wide
    desk.box.resize(292, 900)
    form = desk.box.form
    from qtpy.QtWidgets import QLabel

    label = next(part for part in form.findChildren(QLabel) if part.text() == "3  At most")
    qtbot.waitUntil(
        lambda: abs(label.geometry().center().y() - form.amount.geometry().center().y()) < 12,
        timeout=PATIENCE,
    )
    for text in ("steps", "minutes"):
        form.unit.setCurrentText(text)
        assert form.unit.shown_text() == text


def test_what_is_not_there_yet_is_not_offered(desk):
    assert not desk.box.use.isVisible()


def test_the_form_says_what_is_asked_for(desk, tmp_path):
    from napari_rdpdenoise.files import models_folder

    form = desk.box.form
    assert form.task().out == models_folder() / "cells-zeroshot"
    assert not form.others.isVisible()
    desk.kind("pairs")
    assert form.others.isVisible()
    assert form.partner.isVisible()
    form.others.layers.choose(desk.clean)
    form.partner.setCurrentText("noisy")
    form.noisy.take_folder(tmp_path)
    form.unit.setCurrentText("steps")
    form.amount.setValue(77)
    task = form.task()
    assert (task.noisy, task.others.name, dict(task.settings)) == (tmp_path, "clean", {"partner": "noisy"})
    assert (task.minutes, task.steps) == (None, 77)
    assert task.out.name == f"{tmp_path.name}-pairs"[-len(task.out.name) :]
    form.noisy.layers.choose(desk.noisy)
    assert form.task().noisy.name == "cells"
    desk.kind("unpaired")
    assert not form.partner.isVisible()
    assert form.task().settings == {}


@pytest.mark.parametrize("name", ["a/b", "..", "what?", "c:d"])
def test_names_that_are_none_of_a_folder_are_refused(desk, name):
    desk.box.form.name.setText(name)
    assert "Name: expected" in desk.box.form.hint.text()
    desk.box.start.click()
    assert "Name: expected" in desk.box.status.text()
    assert desk.trainer.tasks == []


def test_colours_are_refused_in_words(desk):
    desk.image = desk.viewer.add_image(np.zeros((90, 90, 3), np.uint8), rgb=True, name="photo")
    desk.box.start.click()
    assert "photo: expected one intensity per pixel, found colours" in desk.box.status.text()


def test_a_folder_that_is_there_already_is_told(desk):
    out = desk.box.form.out()
    (out / "training").mkdir(parents=True)
    (out / "training" / "run.json").write_text("{}")
    desk.box.opened()
    assert "unfinished training" in desk.box.form.hint.text()
    desk.box.form.name.setText("other")
    assert not desk.box.form.hint.isVisible()


@pytest.mark.parametrize("kind", ["unpaired", "pairs"])
def test_a_layer_is_not_its_own_reference(desk, kind):
    desk.kind(kind)
    desk.image = desk.clean  # as it is selected once it is opened
    desk.box.form.others.layers.choose(desk.clean)
    desk.box.start.click()
    assert "expected another layer than the noisy one, found 'clean' for both" in desk.box.status.text()
    assert not desk.trainer.tasks
    desk.box.form.noisy.layers.choose(desk.noisy)
    desk.box.start.click()
    desk.wait()
    assert len(desk.trainer.tasks) == 1


def test_all_controls_are_named_and_it_fits_320_px(desk):
    from qtpy.QtWidgets import QAbstractButton, QComboBox, QLineEdit, QSpinBox

    desk.kind("pairs")
    desk.box.start.click()
    desk.trainer.fails = ValueError(f"found nothing at {'/a-very-long-folder' * 9}")
    desk.kind("zeroshot")
    desk.box.start.click()
    desk.wait()
    kinds = (QAbstractButton, QComboBox, QLineEdit, QSpinBox)
    controls = [
        c
        for kind in kinds
        for c in desk.box.findChildren(kind)
        if not isinstance(c.parent(), QSpinBox | QComboBox)
    ]
    assert len(controls) > 10
    assert [c for c in controls if not (c.accessibleName() and c.toolTip())] == []
    assert desk.box.minimumSizeHint().width() <= 300


def test_a_model_is_not_trained_into_its_own_folder(desk):
    """It would be refused after all images are read, and asked to be deleted."""
    desk.box.start.click()
    desk.wait()
    desk.box.form._model = lambda: desk.tuned[0]
    desk.box.use.click()
    assert "Name: expected a new one" in desk.box.form.hint.text()
    desk.box.start.click()
    assert "Name: expected a new one" in desk.box.status.text()
    assert len(desk.trainer.tasks) == 1
    desk.box.form.name.setText("second")
    desk.box.start.click()
    desk.wait()
    assert desk.trainer.tasks[1].out.name == "second"
