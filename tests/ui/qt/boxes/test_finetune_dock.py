"""Fine-tuning in a real viewer: with the real training of a tiny model, and closed in the middle of it."""

from __future__ import annotations

import functools
import threading
from dataclasses import replace

import numpy as np
import pytest
from simulated_cells import camera, cells

from napari_rdpdenoise.files import models_folder
from napari_rdpdenoise.ui.finetune.run import events

pytestmark = pytest.mark.display

QUICK = {"batch": 1, "crop": 64, "validate_every": 20, "rate": 0.8, "learning_rate": 1e-3, "patience": 10_000}
PATIENCE = 120_000  # ms


@pytest.fixture
def open_dock(make_napari_viewer, qtbot, tiny_model, tiny_realism_codec, monkeypatch):
    """A viewer with a noisy stack and the dock, whose trainings start from a tiny model; and their ends."""
    from napari_rdpdenoise.ui.qt import DenoiseDock, contents
    from napari_rdpdenoise.ui.qt.boxes import finetune
    from napari_rdpdenoise.ui.qt.preferences import Preferences

    ended = threading.Event()

    def stream(task):
        try:
            yield from events(replace(task, model=str(tiny_model), device="cpu", settings=QUICK))
        finally:
            ended.set()

    monkeypatch.setattr(contents, "preferences", Preferences)
    monkeypatch.setattr(finetune, "FineTuneBox", functools.partial(finetune.FineTuneBox, stream=stream))
    viewer = make_napari_viewer()
    noisy = np.stack([camera(cells(k), 0.01, k) for k in range(2)])
    viewer.add_image(noisy, name="cells", axis_labels=("t", "y", "x"))
    made = DenoiseDock(viewer, None, lambda model: None, lambda model, device: tiny_realism_codec)
    made.session.edit(preview=False)
    viewer.window.add_dock_widget(made, name="RDP Denoise")
    made.open_tab("train")
    form = made.sections["train"].form
    form.kind.setCurrentIndex(form.kind.findData("zeroshot"))
    form.unit.setCurrentText("steps")
    return viewer, made, ended


@pytest.mark.slow
def test_a_better_model_is_offered_and_used(open_dock, qtbot):
    _, dock, ended = open_dock
    box = dock.sections["train"]
    box.form.amount.setValue(40)
    box.start.click()
    qtbot.waitUntil(lambda: not box.busy, timeout=PATIENCE)
    assert ended.is_set()
    assert box.use.isEnabled(), (box.status.text(), box.report.text())
    assert "is better on held-out data" in box.report.text()
    assert not box.crop.isHidden()
    before = dock.session.state.model
    assert before == "default"
    assert dock.sections["more"].model.findText("cells-zeroshot (tuned)") >= 0
    box.use.click()
    assert dock.session.state.model == "cells-zeroshot"
    assert dock.sections["more"].model.currentText() == "cells-zeroshot (tuned)"


def test_training_on_clean_images_of_the_own_by_clicks(open_dock, qtbot, monkeypatch):
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    viewer, dock, ended = open_dock
    for name, value in {"critic_steps": 1, "critic_alone": 0, "validate_every": 2}.items():
        monkeypatch.setitem(QUICK, name, value)
    box = dock.sections["train"]
    box.form.kind.setCurrentIndex(box.form.kind.findData("unpaired"))
    QTest.mouseClick(box.start, Qt.MouseButton.LeftButton)
    assert not box.busy
    assert "References: expected a layer or a folder" in box.status.text(), "what is missing is said"
    clean = np.stack([camera(cells(k), 1.0, k) for k in (7, 8, 9)])
    viewer.add_image(clean, name="clean", axis_labels=("t", "y", "x"))
    assert dock.layer is viewer.layers["clean"], "it is selected, and taken as the image"
    dock.choose(viewer.layers["cells"])
    box.form.others.layers.choose(viewer.layers["clean"])
    box.form.amount.setValue(4)
    QTest.mouseClick(box.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: ended.is_set() and not box.busy, timeout=PATIENCE)
    assert box.report.text(), box.status.text()
    assert not box.crop.isHidden(), "before and after are seen"
    assert (models_folder() / "cells-unpaired" / "training").is_dir()


@pytest.mark.parametrize("whole", [True, False])
def test_closing_while_training_saves_and_ends_it(open_dock, qtbot, whole):
    viewer, dock, ended = open_dock
    dock.sections["train"].form.amount.setValue(100_000)
    dock.sections["train"].start.click()
    qtbot.waitUntil(lambda: dock.sections["train"].bar.value() >= 2, timeout=PATIENCE)
    out = models_folder() / "cells-zeroshot"
    assert not ended.is_set()
    if whole:
        viewer.close()
    else:
        viewer.window.remove_dock_widget(dock)
    qtbot.waitUntil(ended.is_set, timeout=PATIENCE)
    assert (out / "training" / "1-adapt" / "checkpoint.pt").is_file()
    assert not (out / "card.yaml").exists()


@pytest.fixture
def one_core():
    """Qt's threads as on a machine of one core."""
    from qtpy.QtCore import QThreadPool

    pool = QThreadPool.globalInstance()
    before = pool.maxThreadCount()
    pool.setMaxThreadCount(1)
    yield
    pool.setMaxThreadCount(before)


def test_a_run_works_while_training(open_dock, qtbot, tiny_model, one_core):
    viewer, dock, ended = open_dock
    box = dock.sections["train"]
    dock.session.edit(model=str(tiny_model), auto_rate=False)
    box.form.amount.setValue(100_000)
    box.start.click()
    qtbot.waitUntil(lambda: box.bar.value() >= 2, timeout=PATIENCE)
    dock.sections["run"].denoise.click()
    qtbot.waitUntil(lambda: "cells denoised" in [layer.name for layer in viewer.layers], timeout=PATIENCE)
    assert box.busy
    assert not ended.is_set()
    box.cancel.click()
    qtbot.waitUntil(lambda: not box.busy, timeout=PATIENCE)
