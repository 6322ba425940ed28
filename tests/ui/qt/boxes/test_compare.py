"""The compare box: most of it on napari's model of a viewer without a window."""

from __future__ import annotations

import random
from types import SimpleNamespace

import numpy as np
import pytest

from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.tiles import plan_tiles
from napari_rdpdenoise.ui.compare.arrays import Which
from napari_rdpdenoise.ui.preview.canvas import Canvas
from napari_rdpdenoise.ui.preview.shown import Shown

pytestmark = pytest.mark.display

SHAPE = (3, 70, 130)
TILES = plan_tiles(SHAPE[1:], 64, 0)
NOISE = NoiseModel(gain=2.0, offset=100.0, read_noise=5.0)
PLACE = {"scale": (2.0, 0.5, 0.25), "translate": (0.0, 10.0, 20.0), "axis_labels": ("t", "y", "x")}


class Desk:
    """A viewer with a noisy stack, its preview and the box."""

    def __init__(self, viewer, qtbot, noise=NOISE):
        from napari_rdpdenoise.ui.qt.boxes.compare import CompareBox

        self.viewer, self.qtbot, self.noise = viewer, qtbot, noise
        self.stack = np.random.default_rng(0).poisson(200, SHAPE).astype(np.uint16)
        self.fidelity = np.full(SHAPE, 200, np.float32)
        self.texture = np.arange(self.stack.size, dtype=np.float32).reshape(SHAPE) / 1e3
        self.has_realism, self.alpha = True, 0.3
        self.noisy = viewer.add_image(self.stack, name="cells", **PLACE)
        self.canvas = Canvas(self.stack, "TYX", "float32")
        self.result = viewer.add_image(
            self.canvas, name="cells preview", contrast_limits=(90, 400), colormap="magma", **PLACE
        )
        viewer.dims.set_current_step(0, 0)
        self.box = CompareBox(
            viewer,
            lambda: self.noisy if self.noisy in viewer.layers else None,
            lambda: self.result if self.result in viewer.layers else None,
            self.shown,
            lambda value: setattr(self, "alpha", value),
        )
        qtbot.addWidget(self.box)
        self.box.show()  # nothing is looked for while nobody sees it

    def preview(self, index=0, tiles=TILES):
        for tile in tiles:
            self.canvas.plane((index,))[tile.core] = self.fidelity[index][tile.core]
        self.canvas.mark((index,), tiles)

    def shown(self):
        if self.noisy not in self.viewer.layers:
            return None
        at = self.viewer.dims.current_step[0]
        plan = self.noise and SimpleNamespace(normalization=SimpleNamespace(noise=self.noise))
        realism = self.fidelity[at] + self.texture[at] if self.has_realism else None
        done = self.canvas.done((at,))
        return Shown("cells", (at,), self.stack[at], self.fidelity[at], realism, done, self.alpha, plan, 0.3)

    def update(self):
        self.box.refresh()
        self.qtbot.waitUntil(lambda: not self.box._timer.isActive())

    def layer(self, suffix):
        return self.viewer.layers[f"cells {suffix}"]

    @property
    def names(self):
        return [layer.name.removeprefix("cells").strip() for layer in self.viewer.layers]


@pytest.fixture
def desk(qtbot):
    from napari.components import ViewerModel

    return Desk(ViewerModel(), qtbot)


def fractions(layer, plane):
    """Share of the plane's rows and columns that a layer covers."""
    return tuple(np.asarray(layer.data.shape[1:]) / plane)


# Split view


def test_the_split_view_is_the_noisy_image_up_to_the_divider(desk) -> None:
    desk.preview()
    top = desk.viewer.add_points([[0, 0, 0]], name="cells spots")
    desk.box._split_on.setChecked(True)
    assert desk.names == ["", "preview", "(split)", "spots"]
    assert list(desk.viewer.layers.selection) == [top]
    split = desk.layer("(split)")
    for percent in (0, 1, 37, 100):
        desk.box._divider.setValue(percent)
        width = round(SHAPE[2] * percent / 100)
        assert split.visible == (width > 0)
        if width:
            np.testing.assert_array_equal(np.asarray(split.data), desk.stack[..., :width])
    for name in ("scale", "translate", "axis_labels", "units"):
        np.testing.assert_array_equal(getattr(split, name), getattr(desk.noisy, name))
    desk.box._split_on.setChecked(False)
    assert desk.names == ["", "preview", "spots"]


def test_both_sides_of_the_divider_look_alike(desk) -> None:
    desk.box._split_on.setChecked(True)
    split = desk.layer("(split)")
    assert (split.contrast_limits, split.colormap.name) == ([90, 400], "magma")
    desk.result.contrast_limits, desk.result.colormap, desk.result.gamma = (50, 300), "green", 0.5
    desk.update()
    assert (split.contrast_limits, split.colormap.name, split.gamma) == ([50, 300], "green", 0.5)


def test_the_divider_follows_the_displayed_axes(desk) -> None:
    desk.box._split_on.setChecked(True)
    desk.box._divider.setValue(50)
    split = desk.layer("(split)")
    assert fractions(split, SHAPE[1:]) == (1, 0.5)
    desk.viewer.dims.order = (0, 2, 1)
    desk.update()
    assert fractions(split, SHAPE[1:]) == (0.5, 1)
    desk.viewer.dims.ndisplay = 3
    desk.update()
    assert "(split)" in desk.names


# Residual and gap


def test_the_residual_fills_in_with_the_preview(desk) -> None:
    desk.box._residual_on.setChecked(True)
    residual = desk.layer("residual")
    assert not np.asarray(residual.data[0]).any()
    desk.preview(tiles=TILES[:1])
    drawn = []
    residual.events.set_data.connect(lambda event: drawn.append(event))
    desk.update()
    assert drawn
    expected = np.zeros(SHAPE[1:])
    expected[TILES[0].core] = (desk.stack[0] - desk.fidelity[0])[TILES[0].core]
    np.testing.assert_array_equal(residual.data[0], expected)
    np.testing.assert_array_equal(residual.scale, desk.noisy.scale)


def test_another_result_is_compared_in_the_same_layer(desk) -> None:
    desk.box._residual_on.setChecked(True)
    residual = desk.layer("residual")
    desk.viewer.layers.remove(desk.result)
    desk.update()
    assert residual in desk.viewer.layers
    desk.result = desk.viewer.add_image(desk.stack // 2, name="cells denoised", **PLACE)
    desk.update()
    np.testing.assert_array_equal(np.asarray(residual.data), desk.stack - desk.stack // 2)
    assert desk.names.count("residual") == 1


def test_the_contrast_is_the_noise_as_soon_as_it_is_known_and_the_users_for_ever(desk) -> None:
    desk.noise = None
    desk.preview()
    desk.box._residual_on.setChecked(True)
    residual = desk.layer("residual")
    low, high = residual.contrast_limits
    assert -low == high == pytest.approx(np.percentile(np.abs(desk.stack[0] - 200.0), 99.5), rel=0.15)
    desk.noise = NOISE
    desk.update()
    sd = float(np.sqrt(NOISE.variance(200.0)))
    np.testing.assert_allclose(residual.contrast_limits, (-4 * sd, 4 * sd))
    residual.contrast_limits = (-1, 2)
    desk.noise = NoiseModel(gain=9.0, offset=0.0, read_noise=1.0)
    desk.update()
    assert residual.contrast_limits == [-1, 2]


def test_the_gap_follows_the_plane(desk) -> None:
    desk.preview(0)
    desk.preview(2)
    desk.box._gap_on.setChecked(True)
    gap = desk.layer("realism gap")
    for at in (0, 2):
        desk.viewer.dims.set_current_step(0, at)
        desk.update()
        np.testing.assert_allclose(gap.data[at], desk.texture[at], atol=1e-4)
        np.testing.assert_array_equal(gap._slice.image.raw, gap.data[at])
    assert not gap.data[1].any()


def test_a_result_of_a_part_has_no_residual_and_says_so(desk) -> None:
    from napari.utils.notifications import notification_manager

    desk.viewer.layers.remove(desk.result)
    desk.result = desk.viewer.add_image(desk.stack[:2], name="cells denoised")
    desk.box._residual_on.setChecked(True)
    assert "expected the shape" in notification_manager.records[-1].message
    assert not desk.box._residual_on.isChecked()
    assert "residual" not in desk.names


# Layers come and go


def test_layers_that_the_user_deletes_uncheck_their_box(desk) -> None:
    from napari_rdpdenoise.ui.qt.layers import is_ours

    boxes = {
        "(split)": desk.box._split_on,
        "residual": desk.box._residual_on,
        "realism gap": desk.box._gap_on,
    }
    for name, box in boxes.items():
        box.setChecked(True)
        assert is_ours(desk.layer(name))
        desk.viewer.layers.remove(desk.layer(name))
        assert not box.isChecked()
        desk.update()
        assert name not in desk.names
        box.setChecked(True)
        assert name in desk.names
    desk.viewer.layers.clear()
    desk.update()
    assert desk.names == []
    assert not any(box.isChecked() for box in boxes.values())


def test_deleting_the_noisy_layer_removes_all_ours(desk) -> None:
    for box in (desk.box._split_on, desk.box._residual_on, desk.box._gap_on):
        box.setChecked(True)
    desk.viewer.layers.remove(desk.noisy)
    desk.update()
    assert desk.names == ["preview"]
    assert not desk.box._residual_on.isChecked()
    assert not desk.box._residual_on.isEnabled()


def test_another_noisy_layer_takes_over_what_is_checked(desk) -> None:
    desk.box._residual_on.setChecked(True)
    desk.noisy = desk.viewer.add_image(desk.stack + np.uint16(1), name="other", **PLACE)
    desk.result = desk.viewer.add_image(desk.stack, name="other preview", **PLACE)
    desk.update()
    assert "residual" not in desk.names
    assert (np.asarray(desk.viewer.layers["other residual"].data) == 1).all()


def test_shutting_leaves_residual_and_gap_and_nothing_else(desk) -> None:
    for box in (desk.box._split_on, desk.box._residual_on, desk.box._gap_on):
        box.setChecked(True)
    desk.box._toggle.choose(Which.NOISY)
    desk.box.close()
    assert desk.names == ["", "preview", "residual", "realism gap"]
    assert desk.result.visible
    assert not desk.viewer.keymap
    desk.box.refresh()
    desk.viewer.layers.clear()  # nobody listens any more
    desk.box.shut()


def test_what_cannot_be_compared_is_not_offered(desk) -> None:
    desk.has_realism = False
    desk.update()
    for control in (desk.box._toggle.button(Which.REALISM), desk.box._gap_on):
        assert not control.isEnabled()
        assert "no realism decoder" in control.toolTip()
    assert desk.box._toggle.button(Which.FIDELITY).isEnabled()
    desk.noisy = desk.viewer.add_image(np.zeros((20, 30, 3), np.uint8), rgb=True)
    desk.update()
    assert not desk.box._split_on.isEnabled()
    assert not desk.box._toggle.button(Which.NOISY).isEnabled()


# Noisy, fidelity, realism, slider


def test_noisy_hides_the_result_and_gives_it_back(desk) -> None:
    desk.noisy.visible = False
    desk.update()
    desk.box._toggle.button(Which.NOISY).click()
    assert (desk.noisy.visible, desk.result.visible) == (True, False)
    assert desk.alpha == 0.3
    desk.box._toggle.button(Which.FIDELITY).click()
    assert (desk.noisy.visible, desk.result.visible) == (False, True)
    assert desk.alpha == 0
    desk.box._toggle.button(Which.SLIDER).click()
    assert desk.alpha == 0.3


def test_the_slider_comes_back(desk) -> None:
    desk.update()
    desk.box._toggle.button(Which.REALISM).click()
    assert desk.alpha == 1
    desk.update()
    assert desk.box._toggle.button(Which.REALISM).isChecked()
    desk.box._toggle.button(Which.SLIDER).click()
    assert desk.alpha == 0.3
    desk.box._toggle.button(Which.REALISM).click()
    desk.update()
    desk.alpha = 0.8  # the user moves the slider
    desk.update()
    assert desk.box._toggle.button(Which.SLIDER).isChecked()
    assert desk.alpha == 0.8


def test_a_result_shown_by_hand_ends_noisy_and_another_result_does_not(desk) -> None:
    desk.box._toggle.choose(Which.NOISY)
    desk.result.visible = True
    desk.update()
    assert desk.box._toggle.which is Which.SLIDER
    assert desk.result.visible
    desk.box._toggle.choose(Which.NOISY)
    desk.viewer.layers.remove(desk.result)
    desk.result = desk.viewer.add_image(desk.canvas, name="cells preview", **PLACE)
    desk.update()
    assert not desk.result.visible
    desk.box._toggle.choose(Which.SLIDER)
    assert desk.result.visible


def test_a_key_that_is_taken_stays_what_it_was(qtbot) -> None:
    from napari.components import ViewerModel

    from napari_rdpdenoise.ui.qt.boxes.compare_toggle import KEY

    viewer, theirs = ViewerModel(), lambda viewer: None
    viewer.bind_key(KEY, theirs)
    desk = Desk(viewer, qtbot)
    assert "Hold" not in desk.box._toggle.button(Which.NOISY).toolTip()
    desk.box.close()
    assert list(viewer.keymap.values()) == [theirs]


def test_every_control_is_named(desk) -> None:
    desk.update()
    buttons = [desk.box._toggle.button(which) for which in Which]
    assert all("Hold N" in button.toolTip() for button in buttons)
    box = desk.box
    for control in (*buttons, box._split_on, box._divider, box._residual_on, box._gap_on, box._words):
        assert control.accessibleName()
        assert control.toolTip() == control.accessibleDescription() != ""
    assert desk.box.minimumSizeHint().width() <= 300


# A real window


@pytest.mark.slow
def test_in_a_window(make_napari_viewer, qtbot) -> None:
    from qtpy.QtCore import Qt

    viewer = make_napari_viewer(show=True)
    desk = Desk(viewer, qtbot)
    viewer.window.add_dock_widget(desk.box, name="compare")
    desk.preview()
    desk.update()
    qtbot.waitUntil(lambda: "of the expected noise" in desk.box._words.text(), timeout=20_000)
    canvas = viewer.window._qt_viewer.canvas.native
    qtbot.keyPress(canvas, Qt.Key.Key_N)
    assert not desk.result.visible
    qtbot.keyRelease(canvas, Qt.Key.Key_N)
    assert desk.result.visible
    chance = random.Random(0)
    controls = (desk.box._split_on, desk.box._residual_on, desk.box._gap_on)
    for step in range(20):
        chance.choice(controls).toggle()
        desk.box._divider.setValue(chance.randrange(101))
        viewer.dims.set_current_step(0, step % 3)
        desk.preview(step % 3, [chance.choice(TILES)])
        desk.box._toggle.choose(chance.choice(list(Which)))
        viewer.dims.order = chance.choice([(0, 1, 2), (0, 2, 1)])
        desk.box.refresh()
        qtbot.wait(5)
    for control in controls:
        control.setChecked(True)
    desk.update()
    viewer.window.remove_dock_widget(desk.box)
    desk.box.close()
    viewer.layers.clear()
