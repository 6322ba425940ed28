"""The choice of the model: shipped ones, the user's own by name, and any folder."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.display


def test_the_model_choice_offers_tuned_models_by_name(qtbot, tmp_path, tiny_model):
    from qtpy.QtCore import Qt

    from napari_rdpdenoise.codec.library import COLOUR_MODEL, DEFAULT_MODEL, ListedModel, find
    from napari_rdpdenoise.ui.qt.boxes.model import ModelChoice

    def listed(name, where):
        return ListedModel(name, tmp_path / name, where, find(tiny_model).card)

    shipped = "default: fits the image"
    choice, chosen = ModelChoice(), []
    qtbot.addWidget(choice)
    choice.chosen.connect(chosen.append)
    folder = tmp_path / "mine"
    choice.show_model(str(folder))
    choice.offer([listed("mine", "yours"), listed("default", "yours"), listed("cells", "yours")])
    choice.offer([listed("mine", "yours")])
    choice.offer([listed("fluo-base", "shipped"), listed(DEFAULT_MODEL, "shipped")])
    names = [choice.itemText(n) for n in range(choice.count())]
    assert sorted(names) == sorted(
        [shipped, "mine (tuned)", "default (tuned)", "cells (tuned)", "fluo-base", "Other folder…"]
    )
    assert names[-1] == "Other folder…"
    assert choice.currentText() == "mine (tuned)"
    for name, value in (
        ("default (tuned)", str(tmp_path / "default")),
        (shipped, "default"),
        ("mine (tuned)", str(folder)),  # by which it was chosen
        ("cells (tuned)", "cells"),
    ):
        choice.setCurrentIndex(choice.findText(name))
        choice.activated.emit(choice.currentIndex())
        assert chosen[-1] == value
    both = f"{DEFAULT_MODEL}, in colour {COLOUR_MODEL}"
    choice.offer([listed(DEFAULT_MODEL, "shipped"), listed(COLOUR_MODEL, "shipped")])
    assert choice.itemData(choice.findData("default"), Qt.ItemDataRole.ToolTipRole) == both
    assert choice.findData(COLOUR_MODEL) >= 0, "by its own name for what is not in colour"


def test_other_folders_can_still_be_chosen_or_not(qtbot, monkeypatch):
    from qtpy.QtWidgets import QFileDialog

    from napari_rdpdenoise.ui.qt.boxes.model import ModelChoice

    choice, chosen, answers = ModelChoice(), [], ["", "/some/model"]
    qtbot.addWidget(choice)
    choice.chosen.connect(chosen.append)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: answers.pop(0))
    for _ in range(2):
        choice.setCurrentIndex(choice.count() - 1)
        choice.activated.emit(choice.currentIndex())
    assert chosen == ["/some/model"]
    choice.show_model(chosen[0])
    assert choice.currentText() == str(Path("/some/model"))
