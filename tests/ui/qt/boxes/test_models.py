"""The box of the user's models."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest

from napari_rdpdenoise.codec import library

pytestmark = pytest.mark.display


@pytest.fixture
def desk(qtbot, tiny_model, tmp_path, monkeypatch):
    """A box over two models of the user's; what it used and exported."""
    from qtpy.QtWidgets import QFileDialog, QInputDialog, QMessageBox

    from napari_rdpdenoise.ui.qt.boxes.models import ModelsBox

    monkeypatch.setenv("RDPDENOISE_MODELS", str(tmp_path / "mine"))
    for name in ("a", "b"):
        shutil.copytree(tiny_model, tmp_path / "mine" / name)
    made = SimpleNamespace(model="a", exported=[], name="cells", agrees=True, folder=tmp_path)

    def export(model, path):
        made.exported.append((model, path))
        return lambda: path

    buttons = QMessageBox.StandardButton
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: (made.name, made.agrees))
    monkeypatch.setattr(QMessageBox, "question", lambda *_: buttons.Yes if made.agrees else buttons.Cancel)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "out"), ""))
    made.box = ModelsBox(lambda key: setattr(made, "model", key), lambda: made.model, export)
    qtbot.addWidget(made.box)
    made.names = lambda: [made.box.choice.itemText(n) for n in range(made.box.choice.count())]
    made.box.refresh()
    qtbot.waitUntil(lambda: made.names() == ["a", "b"], timeout=20_000)
    return made


def test_a_model_is_used_and_one_in_use_keeps_being_so_under_its_new_name(desk, qtbot):
    desk.box.rename.click()
    qtbot.waitUntil(lambda: desk.names() == ["b", "cells"], timeout=20_000)
    assert desk.model == "cells"
    desk.box.choice.setCurrentText("b")
    desk.box.use.click()
    assert desk.model == "b"
    desk.name = "cells"
    desk.box.rename.click()
    assert "already" in desk.box.told.text()


def test_without_a_model_there_is_nothing_to_click(desk, qtbot):
    assert not desk.box.delete.isHidden()
    shutil.rmtree(desk.folder / "mine")
    desk.box.refresh()
    qtbot.waitUntil(lambda: desk.names() == ["none yet"], timeout=20_000)
    assert all(part.isHidden() for part in desk.box._buttons)


def test_a_model_is_deleted_when_that_is_meant_and_one_in_use_is_let_go(desk, qtbot):
    desk.agrees = False
    desk.box.delete.click()
    assert library.find("a").folder.is_dir()
    desk.agrees = True
    desk.box.delete.click()
    qtbot.waitUntil(lambda: desk.names() == ["b"], timeout=20_000)
    assert desk.model == "default"
    desk.box.delete.click()
    qtbot.waitUntil(lambda: desk.names() == ["none yet"], timeout=20_000)
    assert not desk.box.delete.isEnabled()


def test_a_model_is_exported_under_a_name_that_says_what_it_is(desk, qtbot):
    desk.box.export.click()
    qtbot.waitUntil(lambda: "Written" in desk.box.told.text(), timeout=20_000)
    assert desk.exported == [("a", desk.folder / "out.zip")]
