"""The run box over a viewer's model: where a result may go, and what its layer gets."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from napari_rdpdenoise.io import ImageMetadata
from napari_rdpdenoise.jobs.job import Job
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.ui.run.jobs import Finished
from napari_rdpdenoise.ui.run.runs import Cancelled, Failed
from napari_rdpdenoise.ui.state import DockState, Phase, sentence

pytestmark = pytest.mark.display

OURS = "napari-rdpdenoise"
REPORT = SimpleNamespace(seconds=1.0, rate=0.5, blank=False, bpp=0.3, messages=())
SHAPE = (2, 3, 40, 50)


@pytest.fixture
def desk(qtbot, tmp_path, monkeypatch):
    """A box over a viewer's model with one noisy layer; what was run, told and asked."""
    from napari.components import ViewerModel
    from napari.layers._source import layer_source
    from qtpy.QtWidgets import QFileDialog, QMessageBox

    from napari_rdpdenoise.ui.qt.boxes import run as run_box
    from napari_rdpdenoise.ui.qt.family import Family

    viewer, raw = ViewerModel(), tmp_path / "raw.ome.tif"
    raw.write_text("precious")
    with layer_source(path=str(raw)):
        data = np.arange(np.prod(SHAPE), dtype=np.uint16).reshape(SHAPE)
        layer = viewer.add_image(data, name="cells", axis_labels=tuple("tcyx"))
    found = SimpleNamespace(viewer=viewer, folder=tmp_path, raw=raw, runs=[], told=[], asked=[], yes=True)
    found.residuals, found.lines = [], []

    def start(target, *, overwrite, residual):
        found.runs.append((target, overwrite))
        found.residuals.append(residual)

    def choose(parent, title, name, pattern, **more):
        found.options = more["options"]
        return str(found.chosen), pattern

    def ask(parent, title, text):
        found.asked.append(text)
        return QMessageBox.StandardButton.Yes if found.yes else QMessageBox.StandardButton.No

    monkeypatch.setattr(QFileDialog, "getSaveFileName", choose)
    monkeypatch.setattr(QMessageBox, "question", ask)
    monkeypatch.setattr(run_box, "show_error", found.told.append)
    subject = SimpleNamespace(data=data, path=str(raw), name="cells", axes="TCYX")
    runs = SimpleNamespace(job=None)
    session = SimpleNamespace(
        run=start,
        cancel=lambda: None,
        tell=found.lines.append,
        view=SimpleNamespace(subject=subject),
        runs=runs,
        state=DockState(status="Done."),
    )
    family = Family(viewer, layer)
    window = SimpleNamespace(viewer=viewer, session=session, layer=layer, family_of=lambda _: family)
    found.session, found.layer = session, layer
    found.box = run_box.RunBox(window)
    qtbot.addWidget(found.box)

    def save_to(path):
        found.chosen = path
        found.box.save.menu().actions()[0 if ".zarr" in path.name else 1].trigger()

    found.save_to = save_to
    return found


def test_files_that_layers_are_read_from_are_refused_before_anything_is_asked(desk):
    result = desk.folder / "earlier.ome.zarr"
    (result / "0").mkdir(parents=True)
    desk.viewer.add_image(np.zeros((9, 9)), name="earlier", metadata={OURS: {"path": str(result)}})
    for path, whose in (
        (desk.raw, "the image to denoise"),
        (result, "the layer earlier"),
        (result / "inside.ome.tif", "the layer earlier"),
    ):
        desk.save_to(path)
        assert f"where {whose} is read from" in desk.told[-1]
        assert desk.lines[-1] == f"Not started: {sentence(desk.told[-1])}", "napari cuts long words off"
        assert desk.told[-1].count(str(path)) == 1
        with pytest.raises(ValueError, match=f"where {whose} is read from"):
            desk.box.run(path, overwrite=True)
    assert len(desk.told) == 3
    assert desk.runs == desk.asked == []
    assert desk.raw.read_text() == "precious"


def test_a_file_that_is_gone_from_the_viewer_may_be_replaced_after_one_question(desk):
    from qtpy.QtWidgets import QFileDialog

    other = desk.folder / "other.ome.tif"
    desk.save_to(other)
    assert desk.runs == [(other, False)]
    other.write_text("old")
    desk.yes = False
    desk.save_to(other)
    assert len(desk.runs) == 1
    desk.yes = True
    desk.save_to(other)
    assert desk.runs[1:] == [(other, True)]
    assert len(desk.asked) == 2
    assert desk.options == QFileDialog.Option.DontConfirmOverwrite, "or the dialog asks as well"
    assert desk.told == []


def several(desk):
    """The box with a second layer that goes with the first."""
    second = desk.viewer.add_image(np.zeros(SHAPE, np.uint16), name="more cells")
    desk.box._targets = lambda: [desk.layer, second]
    return desk.folder / "first.ome.tif", desk.folder / "more cells-denoised.ome.tif"


def test_of_several_layers_all_that_is_there_is_asked_for_at_once_and_replaced(desk):
    first, second = several(desk)
    second.write_text("old")
    desk.yes = False
    desk.save_to(first)
    assert (desk.runs, desk.told) == ([], [])
    desk.yes = True
    desk.save_to(first)
    assert desk.asked[-1].startswith("more cells-denoised.ome.tif is there already")
    first.write_text("old")
    desk.save_to(first)
    assert desk.asked[-1].startswith("first.ome.tif, more cells-denoised.ome.tif are there already")
    assert desk.runs == [(first, False), (first, True)]
    desk.session.runs.job = SimpleNamespace(name="cells")
    desk.box._go_on(desk.session.runs.job)
    assert desk.runs[-1] == (second, True)


def test_two_layers_do_not_go_into_one_file(desk):
    _, second = several(desk)
    desk.save_to(second)
    assert desk.runs == []
    assert "expected a name for each layer" in desk.told[-1]


def test_a_result_is_offered_beside_an_image_that_another_plugin_has_read(desk):
    desk.session.view.subject.path = None  # the engine does not read it
    assert desk.box._suggested(".ome.tif", "denoised") == str(desk.folder / "cells-denoised.ome.tif")


def test_many_sentences_on_what_was_found_wait_until_they_are_asked_for(desk):
    found = [f"! Red: sentence {number}." for number in range(4)]
    lines = ["Done in 1.0 s.", "Saved as a.ome.tif.", *found]
    desk.box.show_state(DockState(layer="cells", status="\n".join(lines)))
    assert desk.box.status.text().split("\n") == lines[:2]
    assert desk.box.notes.text() == "4 notes"
    assert desk.box.notes.isVisibleTo(desk.box)
    desk.session.state = DockState(layer="cells", status="\n".join(lines))
    desk.box.notes.setChecked(True)
    assert desk.box.status.text().split("\n") == lines
    desk.box.show_state(DockState(layer="cells", phase=Phase.RUNNING))
    assert not desk.box.notes.isVisibleTo(desk.box), "of a run that is over"
    assert not desk.box.notes.isChecked()
    desk.box.show_state(DockState(layer="cells", status="\n".join(lines[:4])))
    assert desk.box.status.text().split("\n") == lines[:4], "few are shown at once"
    assert not desk.box.notes.isVisibleTo(desk.box)


def test_what_was_found_in_one_of_several_layers_says_in_which(desk):
    desk.session.tell = lambda text: setattr(desk.session, "state", DockState(status=text))
    desk.box._first = desk.layer
    second = desk.viewer.add_image(np.zeros(SHAPE, np.uint16), name="more cells")
    desk.box._queue = [(second, None)]
    for name in ("cells", "more cells"):
        desk.session.state = DockState(status="Done.\n! The noise was shared.")
        desk.box._go_on(SimpleNamespace(name=name))
    assert desk.session.state.status.split("\n") == [
        "cells: Done.",
        "! cells: The noise was shared.",
        "more cells: Done.",
        "! more cells: The noise was shared.",
    ]


def test_a_store_is_saved_with_as_much_of_the_original_as_is_chosen(desk):
    store = desk.box.save.menu().actions()[2].menu()
    labels = [action.text() for action in store.actions()]
    assert labels == [
        "With the original, 4 % more noise…", "With the original, 1 % more noise…",
        "With the original, lossless…", "Denoised image alone…",
    ]  # fmt: skip
    assert desk.box._suggested(".ome.zarr", "store").endswith("cells-store.ome.zarr")
    desk.chosen = desk.folder / "kept"
    for action in store.actions():
        action.trigger()
    assert desk.runs == 4 * [(desk.folder / "kept.ome.zarr", False)]
    assert desk.residuals == ["1", "0.5", "lossless", "none"]
    desk.chosen = desk.folder / "kept.tif"
    store.actions()[0].trigger()
    assert desk.runs[-1] == (desk.folder / "kept.tif.ome.zarr", False)
    desk.save_to(desk.folder / "plain.ome.zarr")
    assert desk.residuals[-1] is None


def job(desk, **settings):
    names = ("DAPI", "GFP", "RFP")
    known = ImageMetadata("TCYX", channel_names=names, name="cells")
    desk.session.runs.job = Job(desk.layer.data, None, RunSettings(**settings), known)
    desk.box.run()
    return desk.session.runs.job


@pytest.mark.parametrize(
    ("channels", "names"), [(None, ("DAPI", "GFP", "RFP")), ((2, 0), ("RFP", "DAPI")), ((1,), ("GFP",))]
)
def test_the_result_has_the_names_of_its_channels_as_the_reader_gives_them(desk, channels, names):
    job(desk, channels=channels)
    desk.box.take(Finished(np.zeros((2, len(names), 40, 50), np.float32), REPORT))
    made = desk.viewer.layers["cells denoised"].metadata[OURS]
    assert made["channel_names"] == names
    assert (made["role"], made["rate"]) == ("result", 0.5)


def test_resolutions_come_with_the_result_of_a_file(desk):
    import dask.array as da

    job(desk)
    lazy = [da.ones(SHAPE, chunks=-1), da.ones((2, 3, 20, 25), chunks=-1)]
    desk.box.take(Finished(lazy, REPORT, desk.folder / "a.ome.zarr"))
    result = desk.viewer.layers["cells denoised"]
    assert result.multiscale
    assert [level.shape for level in result.data] == [SHAPE, (2, 3, 20, 25)]


@pytest.mark.parametrize("limits", [None, (7, 70)])
def test_the_brightness_does_not_jump_at_the_end_of_a_run(desk, limits):
    if limits is not None:
        desk.layer.contrast_limits = limits
    before = desk.layer.contrast_limits
    job(desk)
    desk.box.take(Finished(np.ones(SHAPE, np.float32), REPORT, None))
    assert desk.viewer.layers["cells denoised"].contrast_limits == desk.layer.contrast_limits == before


def test_the_result_lies_where_its_layer_lies_at_the_end_of_the_run(desk):
    job(desk)
    desk.layer.translate = (0, 0, 5, 7)
    desk.layer.rotate = 30
    desk.layer.contrast_limits = (7, 70)
    desk.box.take(Finished(np.ones(SHAPE, np.float32), REPORT, None))
    result = desk.viewer.layers["cells denoised"]
    corner = (1, 2, 39, 49)
    assert result.data_to_world(corner) == pytest.approx(desk.layer.data_to_world(corner))
    assert result.contrast_limits == desk.layer.contrast_limits


def test_the_result_is_not_shown_as_that_of_pixels_that_came_meanwhile(desk):
    place = desk.layer.data_to_world((1, 2, 39, 49))
    job(desk)
    desk.layer.data = np.zeros((2, 3, 20, 20), np.uint16)
    desk.layer.translate = (0, 0, 5, 7)
    desk.box.take(Finished(np.ones(SHAPE, np.float32), REPORT, None))
    result = desk.viewer.layers["cells denoised"]
    assert desk.layer.visible, "nothing takes its place"
    assert result.data_to_world((1, 2, 39, 49)) == pytest.approx(place)


def test_a_folder_is_offered_for_a_file_that_is_there_and_for_no_other(desk):
    result = desk.folder / "made.ome.zarr"
    done = DockState(layer="cells", status="Done.")
    for event, offered in (
        (Finished(np.ones(SHAPE), REPORT, result), True),
        (Failed(OSError("full")), False),
    ):
        job(desk)
        desk.box.show_state(done)
        desk.box.take(event)
        assert desk.box.folder.isVisibleTo(desk.box) is offered
        desk.box.show_state(done)
        assert desk.box.folder.isVisibleTo(desk.box) is offered


def test_of_several_layers_it_is_said_which_is_denoised(desk):
    running = DockState(layer="cells", phase=Phase.RUNNING, done=1, total=5, status="1 of 5 blocks")
    desk.box.show_state(running)
    assert desk.box.status.text() == "1 of 5 blocks"
    desk.box._told, desk.box._queue = ["first: Done."], [(desk.layer, None)]
    desk.box.show_state(running)
    assert desk.box.status.text() == "Layer 2 of 3: 1 of 5 blocks"


def test_a_cancelled_run_covers_nothing(desk):
    job(desk)
    desk.box.take(Cancelled())
    assert [layer.name for layer in desk.viewer.layers] == ["cells"]
    assert desk.layer.visible


def test_the_result_finds_its_layer_by_any_name(desk):
    job(desk)
    desk.layer.name = "nuclei"
    desk.viewer.add_image(np.zeros((9, 9)), name="cells")
    desk.box.take(Finished(np.ones(SHAPE, np.float32), REPORT, None))
    assert not desk.layer.visible
    assert [layer.name for layer in desk.viewer.layers] == ["nuclei", "cells denoised", "cells"]
