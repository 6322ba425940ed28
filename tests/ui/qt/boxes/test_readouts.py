"""The box of numbers over a viewer's model, without its window."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_rdpdenoise.codec.normalization import Normalization
from napari_rdpdenoise.metrics import backbones, score
from napari_rdpdenoise.metrics.backbones import Backbone
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.stream.plan import ChannelPlan
from napari_rdpdenoise.ui.preview.shown import Shown

pytestmark = pytest.mark.display

SHAPE = (3, 64, 60)
PLAN = ChannelPlan(Normalization(NoiseModel(gain=2.0, offset=100.0, read_noise=5.0), 0.0, 1.0), 0.5, None)


@pytest.fixture
def desk(qtbot, tmp_path):
    """A viewer's model with noisy, result and clean layers, and a box over them."""
    from napari.components import ViewerModel
    from qtpy.QtWidgets import QVBoxLayout, QWidget

    from napari_rdpdenoise.ui.qt.background import alive
    from napari_rdpdenoise.ui.qt.boxes.readouts import ReadoutsBox

    rng = np.random.default_rng(0)
    clean = 140 + 60 * gaussian_filter(rng.normal(size=SHAPE), (0, 3, 3)) * 6
    noisy = np.rint(100 + 2 * rng.poisson(np.maximum(clean - 100, 0) / 2)).astype(np.uint16)
    result = gaussian_filter(noisy.astype(np.float32), (0, 1, 1))
    viewer = ViewerModel()
    noisy_layer = viewer.add_image(noisy, name="noisy")
    layer = viewer.add_image(result, name="result")
    viewer.add_image(clean, name="clean")
    realism = (result[1] + rng.normal(size=SHAPE[1:])).astype(np.float32)
    done = np.ones(SHAPE[1:], bool)
    state = SimpleNamespace(
        shown=Shown("noisy", (1,), noisy[1], result[1], realism, done, 0.0, PLAN, 0.3),
        asked=[],
        yes=False,
        paths=[],
        opener=None,
    )

    def ask(parent, text):
        state.asked.append(text)
        return state.yes

    box = ReadoutsBox(
        viewer,
        lambda: state.shown,
        lambda: noisy_layer,
        lambda: layer,
        lambda: tmp_path,
        ask=ask,
        opener=lambda url: state.opener(url),
    )
    holder = QWidget()
    QVBoxLayout(holder).addWidget(box)
    qtbot.addWidget(holder)
    box.path_changed.connect(state.paths.append)
    holder.resize(340, 420)
    holder.show()
    state.viewer, state.box, state.layer, state.folder = viewer, box, layer, tmp_path
    state.wait = lambda: qtbot.waitUntil(lambda: not box._work.busy, timeout=30_000)
    yield state
    if alive(box):
        box.cancel()


def names(choice):
    return [choice.itemText(n) for n in range(choice.count())]


def cells(box):
    head, *rows = (line.split("\t") for line in box._table.tsv().splitlines())
    return {(row[0], column): text for row in rows for column, text in zip(head[1:], row[1:], strict=True)}


def test_the_plane_is_measured_against_its_own_reference_plane(desk):
    box = desk.box
    box._reference.choose(desk.viewer.layers["clean"])
    assert box._table.isHidden(), "nothing is in it yet"
    assert "measure again" not in box._status.text(), "nothing was measured yet"
    box._plane.click()
    assert box._table.isVisible()
    assert box._cancel.isEnabled()
    assert not box._plane.isEnabled()
    desk.wait()
    expected = score(desk.shown.fidelity, desk.viewer.layers["clean"].data[1], desk.shown.noisy)
    found = cells(box)
    assert found["PSNR, dB ↑", "Result"] == found["PSNR, dB ↑", "Real. 0"] == f"{expected.psnr:.2f}"
    assert found["LPIPS ↓", "Noisy"] == "unavailable"
    assert box._table.item(3, 1).toolTip().startswith("the published alexnet weights are not here")
    assert "rows 0 to 63, columns 0 to 59" in box._status.text()
    assert box._download.isVisible()
    assert len(desk.paths[-1].points) == 5
    assert not box._cancel.isEnabled()


def test_a_region_keeps_the_numbers_to_its_pixels(desk):
    box = desk.box
    shapes = desk.viewer.add_shapes([[[9.6, 4.4], [9.6, 40.2], [50, 40.2], [50, 4.4]]], name="here")
    desk.viewer.layers["noisy"].translate = (0, 0, 0)
    box._reference.choose(desk.viewer.layers["clean"])
    box._region.choose(shapes)
    box.measure_plane()
    desk.wait()
    part = slice(10, 51), slice(5, 41)
    images = desk.shown.fidelity, desk.viewer.layers["clean"].data[1], desk.shown.noisy
    assert cells(box)["PSNR, dB ↑", "Result"] == f"{score(*(x[part] for x in images)).psnr:.2f}"
    assert "rows 10 to 50, columns 5 to 40" in box._status.text()


def test_a_region_is_found_where_the_image_lies_in_the_world(desk):
    from napari_rdpdenoise.ui.qt.parts.layer_choice import region_of

    image = desk.viewer.add_image(np.zeros(SHAPE), scale=(1, 0.5, 0.5), translate=(0, 10, 20))
    corners = [[0, 12, 21], [0, 12, 26], [0, 17, 26], [0, 17, 21]]
    shapes = desk.viewer.add_shapes([corners])
    assert region_of(shapes, image) == (slice(4, 15), slice(2, 13))
    with pytest.raises(ValueError, match="found none; draw a rectangle"):
        region_of(desk.viewer.add_shapes(ndim=3, name="empty"), image)


def test_a_series_is_measured_plane_by_plane(desk):
    box, layers = desk.box, desk.viewer.layers
    assert not box._series.isEnabled()
    box._reference.choose(layers["clean"])
    box.measure_plane()
    desk.wait()
    box._series.click()
    desk.wait()
    desk.shown = replace(desk.shown, index=(2,))
    box.refresh()
    assert "view changed" not in box._status.text(), "these are numbers of all planes"
    found = cells(box)
    for n in range(3):
        expected = score(layers["result"].data[n], layers["clean"].data[n], layers["noisy"].data[n])
        assert found[str(n), "PSNR"] == f"{expected.psnr:.2f}"
    assert ("mean", "SSIM") in found


def test_without_a_reference_a_settled_view_says_what_realism_trades(desk):
    desk.box.refresh()
    desk.wait()
    assert "Without a clean image" in desk.paths[-1].note
    assert desk.box._numbers.isHidden()
    desk.box.measure_plane()
    assert "expected a clean image" in desk.box._status.text()


def test_numbers_of_an_older_view_are_called_so_but_not_for_the_slider(desk):
    box = desk.box
    box._reference.choose(desk.viewer.layers["clean"])
    box.measure_plane()
    desk.wait()
    told, count = box._status.text(), len(desk.paths)
    desk.shown = replace(desk.shown, alpha=0.7)
    box.refresh()
    assert box._status.text() == told
    desk.shown = replace(desk.shown, index=(2,))
    box.refresh()
    assert "measure again" in box._status.text()
    assert len(desk.paths) == count + 1
    assert desk.paths[-1].points == ()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda v: v.add_image(np.zeros((64, 60, 3), np.uint8), rgb=True), r"found colours \(RGB\)"),
        (lambda v: v.add_image(np.zeros((64, 59))), r"reference: expected the shape of noisy, \(3, 64, 60\)"),
        (lambda v: v.add_image(np.zeros((4, 64, 60))), r"or one plane of \(64, 60\)"),
    ],
)
def test_references_that_cannot_serve_are_told(desk, make, words, qtbot):
    import re

    desk.box._reference.choose(make(desk.viewer))
    desk.box.measure_plane()
    qtbot.waitUntil(lambda: re.search(words, desk.box._status.text()) is not None)
    assert desk.box._plane.isEnabled()


def test_three_dimensions_and_no_preview_are_told(desk):
    desk.viewer.dims.ndisplay = 3
    desk.box.refresh()
    desk.box.measure_plane()
    assert "switch to 2-D" in desk.box._status.text()
    desk.viewer.dims.ndisplay, desk.shown = 2, None
    desk.box.refresh()
    desk.box.measure_plane()
    assert "wait for its preview" in desk.box._status.text()
    assert not desk.box._work.busy


def test_the_choice_follows_the_viewer(desk):
    choice, layers = desk.box._reference, desk.viewer.layers
    assert choice.layer is None
    assert names(choice) == [
        "no clean image",
        "clean",
    ]  # neither the noisy layer, nor the result, nor, by itself, anything
    choice.choose(layers["clean"])
    layers["clean"].name = "truth"
    desk.viewer.add_labels(np.zeros((4, 4), int))
    assert names(choice) == ["no clean image", "truth"]
    assert choice.layer is layers["truth"]
    assert desk.box._series.isEnabled()
    layers.remove("truth")
    assert choice.layer is None
    assert not desk.box._series.isEnabled()


def test_the_noisy_layer_itself_is_refused(desk):
    """It may be chosen as the reference first, and become the noisy layer then."""
    box, clean = desk.box, desk.viewer.layers["clean"]
    box._reference.choose(clean)
    box._noisy = lambda: clean
    box.measure_plane()
    assert "expected a clean image, found the noisy layer, clean" in box._status.text()
    box.refresh()
    assert box._reference.layer is None


def test_another_channel_of_the_file_is_offered_last_and_not_without_a_word(desk):
    from napari.layers._source import layer_source

    layers, rng = desk.viewer.layers, np.random.default_rng(1)
    with layer_source(path="/data/cells.ome.tif", reader_plugin="napari-rdpdenoise"):
        noisy = desk.viewer.add_image(layers["noisy"].data, name="cells channel 0")
        sister = desk.viewer.add_image(rng.poisson(50, SHAPE).astype(np.uint16), name="cells channel 1")
    desk.box._noisy = lambda: noisy
    layers.move(layers.index(layers["clean"]), len(layers))
    desk.box.refresh()
    choice = desk.box._reference
    assert names(choice) == ["no clean image", "noisy", "clean", "cells channel 1 (of the same file)"]
    choice.choose(sister)
    desk.box.measure_plane()
    desk.wait()
    assert "! It hardly goes with the result" in desk.box._status.text()
    choice.choose(layers["clean"])
    desk.box.measure_plane()
    desk.wait()
    assert "Against clean" in desk.box._status.text()
    assert "!" not in desk.box._status.text()


@pytest.fixture
def slow_ssim(monkeypatch):
    """SSIM that waits for its first event, and sets the second when it is asked for."""
    go_on, entered = threading.Event(), threading.Event()

    def slow(*args):
        entered.set()
        go_on.wait(20)
        return 0.5

    monkeypatch.setattr("napari_rdpdenoise.metrics.table.ssim", slow)
    return go_on, entered


def test_cancel_keeps_what_is_there_and_takes_nothing_more(desk, qtbot, slow_ssim):
    go_on, entered = slow_ssim
    box = desk.box
    box._reference.choose(desk.viewer.layers["clean"])
    box.measure_plane()
    qtbot.waitUntil(lambda: entered.is_set() and ("PSNR, dB ↑", "Result") in cells(box))
    box._cancel.click()
    go_on.set()
    qtbot.wait(200)
    assert {row for row, _ in cells(box)} == {"PSNR, dB ↑"}
    assert box._plane.isEnabled()
    assert "Cancelled" in box._status.text()


@pytest.mark.parametrize("choice", ["_reference", "_region"])
def test_another_choice_stops_what_is_measured_and_empties_the_numbers(desk, qtbot, slow_ssim, choice):
    go_on, entered = slow_ssim
    box, layers = desk.box, desk.viewer.layers
    other = {
        "_reference": desk.viewer.add_image(layers["clean"].data + 1, name="other"),
        "_region": desk.viewer.add_shapes([[[9, 4], [9, 40], [50, 40], [50, 4]]], name="here"),
    }
    box._reference.choose(layers["clean"])
    box.measure_plane()
    qtbot.waitUntil(lambda: entered.is_set() and bool(cells(box)))
    getattr(box, choice).choose(other[choice])
    assert not box._work.busy
    assert "measure again" in box._status.text()
    assert (box._plane.isEnabled(), box._cancel.isEnabled(), box._bar.isVisible()) == (True, False, False)
    go_on.set()
    qtbot.wait(200)
    assert box._table.rowCount() == 0
    assert (desk.paths[-1].points, "measure again" in desk.paths[-1].note) == ((), True)


def test_another_choice_lets_a_download_go_on(desk, network, qtbot):
    asked, answered, answer = threading.Event(), threading.Event(), desk.opener

    def slow(url):
        asked.set()
        assert answered.wait(30)
        return answer(url)

    desk.yes, desk.opener = True, slow
    desk.box._look_for_networks()
    qtbot.waitUntil(asked.is_set, timeout=30_000)
    desk.box._reference.choose(desk.viewer.layers["clean"])
    answered.set()
    qtbot.waitUntil(lambda: "The networks are here" in desk.box._status.text(), timeout=30_000)
    assert desk.box._series.isEnabled()


def test_a_settled_view_does_not_break_off_what_the_user_asked_for(desk):
    desk.box._reference.choose(desk.viewer.layers["clean"])
    desk.box.measure_plane()
    desk.box.refresh()
    assert desk.box._asked
    desk.wait()
    assert ("PSNR, dB ↑", "Result") in cells(desk.box)


def test_a_closed_box_does_not_mind_what_comes_later(desk, qtbot):
    box = desk.box
    box._reference.choose(desk.viewer.layers["clean"])
    box.measure_plane()
    with qtbot.waitSignal(box.destroyed):
        box.deleteLater()
    desk.viewer.layers.clear()
    desk.viewer.add_image(np.zeros((4, 4)))
    qtbot.wait(300)


def test_the_table_is_copied_as_text(desk, qtbot):
    from qtpy.QtWidgets import QApplication

    desk.box._reference.choose(desk.viewer.layers["clean"])
    desk.box.measure_plane()
    desk.wait()
    desk.box._copy.click()
    text = QApplication.clipboard().text()
    assert text.splitlines()[1].startswith("PSNR, dB ↑\t")
    assert text == desk.box._table.tsv()


def test_controls_are_named(desk):
    from qtpy.QtWidgets import QComboBox, QPushButton

    controls = [*desk.box.findChildren(QPushButton), *desk.box.findChildren(QComboBox), desk.box._table]
    assert len(controls) == 8
    assert all(control.accessibleName() and control.toolTip() for control in controls)
    assert desk.box.minimumSizeHint().width() <= 320


@pytest.fixture
def network(desk, monkeypatch):
    """Both networks are the same small file, which a server in the test gives."""
    import io

    content = b"weights" * 1000
    known = Backbone("small.pth", hashlib.sha256(content).hexdigest(), "small.npz", None)
    for name in ("alexnet", "vgg16"):
        monkeypatch.setitem(backbones.BACKBONES, name, known)

    def opener(url):
        answer = io.BytesIO(content)
        answer.headers = {"Content-Length": str(len(content))}
        return answer

    desk.opener = opener
    return content


def test_networks_are_fetched_only_with_consent(desk, network, qtbot):
    desk.box._look_for_networks()
    qtbot.waitUntil(lambda: "Nothing was downloaded" in desk.box._status.text())
    assert list(desk.folder.iterdir()) == []
    assert "528 MiB" in desk.asked[0]
    assert str(desk.folder) in desk.asked[0]
    desk.yes = True
    desk.box._look_for_networks()
    qtbot.waitUntil(lambda: "The networks are here" in desk.box._status.text())
    assert (desk.folder / "small.pth").read_bytes() == network
    assert not desk.box._bar.isVisible()


def test_a_failed_download_says_why(desk, network, qtbot):
    def offline(url):
        raise OSError("no route to host")

    desk.opener, desk.yes = offline, True
    desk.box._look_for_networks()
    qtbot.waitUntil(lambda: "no route to host" in desk.box._status.text())
    assert desk.box._plane.isEnabled()
