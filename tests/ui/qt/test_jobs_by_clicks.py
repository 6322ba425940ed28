"""What a newcomer does with the window alone, click by click, with the engine and a tiny model.

Training has tests of its own in `boxes/test_finetune_dock.py`.
"""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_rdpdenoise.ui.compare.view import View

pytestmark = pytest.mark.display

PATIENCE = 60_000  # ms


@pytest.fixture
def newcomer(make_napari_viewer, qtbot, tiny_realism_model, tiny_realism_codec, monkeypatch):
    """A viewer with a noisy stack, the dock with its preview done, and a function that clicks."""
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QCheckBox

    from napari_rdpdenoise.ui.qt import DenoiseDock, contents
    from napari_rdpdenoise.ui.qt.preferences import Preferences

    monkeypatch.setattr(contents, "preferences", Preferences)
    viewer = make_napari_viewer()
    stack = (100 + 2 * np.random.default_rng(0).poisson(30, (2, 96, 96))).astype(np.uint16)
    viewer.add_image(stack, name="cells", axis_labels=("t", "y", "x"))
    dock = DenoiseDock(viewer, None, lambda model: None, lambda model, device: tiny_realism_codec)
    dock.session.edit(model=str(tiny_realism_model), auto_rate=False, rate=0.4)
    dock.session.edit_settings(device="cpu")
    viewer.window.add_dock_widget(dock, name="RDP Denoise")

    def click(part):
        assert part.isEnabled(), part.text()
        place = QPoint(8, part.height() // 2) if isinstance(part, QCheckBox) else QPoint()
        QTest.mouseClick(part, Qt.MouseButton.LeftButton, pos=place)

    state = lambda: dock.session.state  # noqa: E731
    qtbot.waitUntil(lambda: 0 < state().requested == state().shown, timeout=PATIENCE)
    return viewer, dock, click


def visible(viewer):
    return [layer.name for layer in viewer.layers if layer.visible]


def test_denoise_and_save(newcomer, qtbot, tmp_path, monkeypatch):
    from qtpy.QtWidgets import QFileDialog

    viewer, dock, click = newcomer
    run = dock.sections["run"]
    click(run.denoise)
    qtbot.waitUntil(lambda: "cells denoised" in viewer.layers, timeout=PATIENCE)
    assert visible(viewer) == ["cells denoised"]
    assert "Done in" in run.status.text()
    path = tmp_path / "mine.ome.tif"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(path), ""))
    next(action for action in run.save.menu().actions() if "TIFF" in action.text()).trigger()
    qtbot.waitUntil(lambda: not dock.session.state.busy and path.is_file(), timeout=PATIENCE)
    assert f"Saved as {path}" in run.status.text()
    assert run.folder.isVisibleTo(run)
    np.testing.assert_array_equal(tifffile.imread(path), np.asarray(viewer.layers["cells denoised"].data))
    assert len(visible(viewer)) == 1, "the file's layer is seen in the place of the others"


def test_compare(newcomer, qtbot):
    viewer, dock, click = newcomer
    buttons = dock.sections["view"].views.buttons
    shown = {View.NOISY: "cells", View.SPLIT: "cells split", View.DENOISED: "cells preview"}
    for view, name in shown.items():
        click(buttons[view])
        qtbot.waitUntil(lambda name=name: visible(viewer) == [name], timeout=5000)
        assert [other for other, part in buttons.items() if part.isChecked()] == [view]


def test_trust(newcomer, qtbot):
    viewer, dock, click = newcomer
    verdict = dock.sections["verdict"]
    qtbot.waitUntil(lambda: verdict.sign.text() in ("✓", "!"), timeout=PATIENCE)
    assert not verdict.sentences.isVisibleTo(verdict)
    click(verdict.why)
    assert verdict.sentences.isVisibleTo(verdict)
    assert len(verdict.sentences.text()) > 20
    dock.open_tab("check")
    check = dock.sections["check"]
    click(check.views.buttons[View.REMOVED])
    qtbot.waitUntil(lambda: len(visible(viewer)) == 1 and visible(viewer) != ["cells preview"], timeout=5000)
    assert "good if you see no shapes" in check.what.text()
    click(check.views.buttons[View.REMOVED])
    qtbot.waitUntil(lambda: visible(viewer) == ["cells preview"], timeout=5000)


def test_twenty_files(newcomer, qtbot, tmp_path, monkeypatch):
    from qtpy.QtWidgets import QFileDialog

    _, dock, click = newcomer
    rng = np.random.default_rng(1)
    for number in range(20):
        image = (100 + 2 * rng.poisson(30, (64, 64))).astype(np.uint16)
        tifffile.imwrite(tmp_path / f"well_{number:02}.tif", image)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_, **__: str(tmp_path))
    dock.open_tab("files")
    files = dock.sections["files"]
    click(files.add_folder)
    assert (files.table.count(), files.start.text()) == (20, "Denoise 20 files")
    click(files.start)
    qtbot.waitUntil(lambda: not files._running.busy, timeout=2 * PATIENCE)
    assert len(list((tmp_path / "denoised").glob("well_*"))) >= 20, files.status.text()
    rows = [files.table.item(number).text() for number in range(20)]
    assert all(row.startswith("well_") and len(row.splitlines()) == 2 for row in rows), rows
    click(files.start)  # once more: nothing is to be done
    qtbot.waitUntil(lambda: not files._running.busy, timeout=PATIENCE)
    rows = [files.table.item(number).text() for number in range(20)]
    assert all("before" in row for row in rows), rows
