"""Controls made from the fields of the settings, without a viewer."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from napari_rdpdenoise.settings import RunSettings

pytestmark = pytest.mark.display


@pytest.fixture
def desk(qtbot):
    """A form over settings, and what it complained of."""
    from napari_rdpdenoise.ui.qt.parts.settings_form import SettingsForm

    found = SimpleNamespace(settings=RunSettings(channels=(0, 2), time=(3, 8)), told=[])

    def change(name, value):
        found.settings = found.settings.replace(**{name: value})

    found.form = SettingsForm("advanced", lambda: found.settings, change, found.told.append)
    qtbot.addWidget(found.form)
    found.form.show_settings(found.settings)
    return found


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("channels", "red", "channels: expected numbers such as 0, 2, found 'red'"),
        ("channels", "0, -1", "channels: input should be greater than or equal to 0, found -1"),
        ("channels", "1, 1", "channels must name at least one channel and none twice"),
        ("channels", ",", "channels must name at least one channel"),
        ("time", "5 to 3", "time: expected a range such as 0:10, found '5 to 3'"),
        ("time", "5:3", "time must be (first, one after the last)"),
        ("time", "-1:3", "time: input should be greater than or equal to 0, found -1"),
    ],
)
def test_refused_text_gives_way_to_what_holds_with_the_reason_in_words(desk, name, text, reason):
    before, line = desk.settings, desk.form.controls[name]
    held = line.text()
    assert held == {"channels": "0, 2", "time": "3:8"}[name]
    line.setText(text)
    line.editingFinished.emit()
    assert line.text() == held
    assert desk.settings == before
    (told,) = desk.told
    assert told.startswith(reason)
    assert "\n" not in told
    assert not [words for words in ("validation error", "pydantic", "Value error", "type=") if words in told]


def test_text_that_holds_is_taken_and_nothing_takes_all(desk):
    for name, text in (("channels", "2,1"), ("time", " 0:4 ")):
        line = desk.form.controls[name]
        line.setText(text)
        line.editingFinished.emit()
    assert (desk.settings.channels, desk.settings.time) == ((2, 1), (0, 4))
    for name in ("channels", "time"):
        line = desk.form.controls[name]
        line.setText("")
        line.editingFinished.emit()
    assert (desk.settings.channels, desk.settings.time) == (None, None)
    assert desk.told == []


def test_rows_are_made_of_the_fields(desk):
    from qtpy.QtWidgets import QFormLayout

    form = desk.form.layout()
    labels = [
        form.itemAt(row, QFormLayout.ItemRole.LabelRole).widget().text() for row in range(form.rowCount())
    ]
    assert labels == [
        "Block",
        "Device",
        "Output type",
        "Channels",
        "Time range",
        "Structure",
        "Neighbours",
        "Hot pixels",
        "Precision",
        "Ensemble",
    ]
    for name, control in desk.form.controls.items():
        assert control.toolTip().startswith(RunSettings.model_fields[name].description)
    tile, device = desk.form.controls["tile"], desk.form.controls["device"]
    assert (tile.minimum(), tile.maximum(), tile.singleStep(), tile.suffix()) == (64, 4096, 64, " px")
    assert [device.itemText(n) for n in range(device.count())] == ["auto", "cpu", "cuda", "mps"]
    tile.setValue(200)
    device.setCurrentText("cpu")
    assert (desk.settings.tile, desk.settings.device) == (192, "cpu")
