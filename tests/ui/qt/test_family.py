"""One image of a layer at a time, whatever the order of the layers and whatever the user does by hand."""

from __future__ import annotations

import random
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.tiles import plan_tiles
from napari_rdpdenoise.ui.compare.view import View
from napari_rdpdenoise.ui.preview.canvas import Canvas
from napari_rdpdenoise.ui.preview.mosaic import Pyramid

pytestmark = pytest.mark.display

SHAPE = (3, 70, 130)
NOISE = NoiseModel(gain=2.0, offset=100.0, read_noise=5.0)


class Desk:
    """A viewer with a noisy stack, its preview, and a channel-mate above."""

    def __init__(self, viewer, **look):
        from napari.layers import Image

        from napari_rdpdenoise.ui.qt.family import Family
        from napari_rdpdenoise.ui.qt.pictures import Pictures

        self.viewer = viewer
        self.stack = np.random.default_rng(0).poisson(100, SHAPE).astype(np.uint16)
        self.noisy = viewer.add_image(self.stack, name="cells", contrast_limits=(0, 300), **look)
        mate = np.zeros(SHAPE, np.uint16)
        mate[:, :20, :20] = 50
        self.mate = viewer.add_image(mate, name="mate", blending="additive", contrast_limits=(0, 300))
        viewer.layers.selection.active = self.noisy
        self.family = Family(viewer, self.noisy)
        self.canvas = Canvas(self.stack, "TYX", "float32")
        for index in range(3):
            self.canvas.plane((index,))[...] = 100
            self.canvas.mark((index,), plan_tiles(SHAPE[1:], 64, 0))
        self.pictures = Pictures(viewer, lambda: None, lambda channel, index: NOISE)
        self.preview = Image(
            self.canvas, name="cells preview", projection_mode="none", contrast_limits=(0, 1)
        )
        self.family.put_preview(self.preview)

    def run(self, value=90):
        from napari.layers import Image

        result = Image(np.full(SHAPE, value, np.uint16), name="cells denoised", contrast_limits=(0, 1))
        self.family.put_result(result)
        return result

    def choose(self, view):
        self.family.choose(view)
        self.pictures.update(self.family)

    @property
    def visible(self):
        return [layer for layer in self.family.members if layer.visible]


@pytest.fixture
def desk(qtbot):
    from napari.components import ViewerModel

    return Desk(ViewerModel())


def test_the_preview_takes_the_place_of_the_noisy_layer_and_leaves_its_mate_alone(desk) -> None:
    assert desk.viewer.layers.index(desk.preview) == desk.viewer.layers.index(desk.noisy) + 1
    assert desk.visible == [desk.preview]
    assert desk.mate.visible
    assert desk.viewer.layers.selection.active is desk.noisy
    assert desk.preview.contrast_limits == [0, 300]
    desk.family.drop_preview()
    assert desk.visible == [desk.noisy]


def test_what_is_not_shown_yet_has_a_picture_in_the_list_of_layers(make_napari_viewer):
    from napari.layers import Image

    from napari_rdpdenoise.ui.qt.family import Family

    viewer = make_napari_viewer()
    noisy = viewer.add_image(np.full(SHAPE, 200, np.uint16), contrast_limits=(0, 300))
    family = Family(viewer, noisy)
    family.choose(View.NOISY)
    family.put_preview(Image(Canvas(noisy.data, "TYX"), projection_mode="none"))
    assert not family.preview.visible
    np.testing.assert_array_equal(family.preview.thumbnail, noisy.thumbnail)
    assert family.preview.thumbnail[..., :3].any()


def test_the_look_is_shared_both_ways_and_not_by_signed_pictures(desk) -> None:
    desk.choose(View.REMOVED)
    removed = desk.family.picture(View.REMOVED)
    desk.noisy.contrast_limits, desk.noisy.colormap, desk.noisy.blending = (5, 50), "magenta", "additive"
    assert (desk.preview.contrast_limits, desk.preview.colormap.name) == ([5, 50], "magenta")
    assert desk.preview.blending == "additive"
    desk.preview.gamma = 0.5
    assert desk.noisy.gamma == 0.5
    assert removed.contrast_limits == [-4, 4]
    result = desk.run()
    assert (result.contrast_limits, result.colormap.name, result.gamma) == ([5, 50], "magenta", 0.5)


ACTS = st.sampled_from(
    ["run", "slider", "rename", "show", "hide", "move", "remove", "3d", "2d", *(view.name for view in View)]
)


@settings(max_examples=40)
@given(acts=st.lists(st.tuples(ACTS, st.integers(0, 20)), max_size=12))
def test_at_most_one_is_visible_whatever_is_done(acts) -> None:
    from napari.components import ViewerModel

    desk = Desk(ViewerModel())
    layers, family = desk.viewer.layers, desk.family
    layers.events.removed.connect(lambda event: family.forget(event.value))
    for act, number in acts:
        member = family.members[number % len(family.members)]
        if act == "run":
            desk.run(number)
        elif act == "slider":
            family.show_preview()
        elif act == "rename":
            member.name = f"layer {number}"
        elif act in ("show", "hide"):
            member.visible = act == "show"
            if act == "show" and desk.viewer.dims.ndisplay == 2:
                assert desk.visible == [member]
        elif act == "move":
            layers.move(layers.index(member), number % len(layers))
        elif act == "remove" and member is not desk.noisy:
            layers.remove(member)
        elif act in ("3d", "2d"):
            desk.viewer.dims.ndisplay = int(act[0])
            family.apply()
        elif act in View.__members__:
            desk.choose(View[act])
            if desk.viewer.dims.ndisplay == 2 and family.result is not None:
                assert family.seen is View[act]
        assert desk.visible == ([] if family.hidden else [family.target])
        assert all(layer in layers for layer in family.members)
    assert desk.mate.visible
    family.end()
    left = [layer for layer in layers if layer is not desk.mate and layer.visible]
    assert len(left) == (not family.hidden)
    assert not any(layer is desk.preview for layer in layers)


def test_a_split_saves_nothing_wrong_and_its_halves_are_the_two_images(desk) -> None:
    result = desk.run()
    desk.choose(View.SPLIT)
    assert (result.data == 90).all()
    split = np.asarray(desk.family.picture(View.SPLIT).data[1])
    np.testing.assert_array_equal(split[:, :65], desk.stack[1, :, :65])
    assert (split[:, 65:] == 90).all()
    desk.pictures.divider = 10
    desk.pictures.update(desk.family)
    drawn = desk.family.picture(View.SPLIT)._slice.image.raw
    np.testing.assert_array_equal(drawn, np.asarray(desk.family.picture(View.SPLIT).data[1]))
    assert (drawn[:, 13:] == 90).all()


def test_what_was_removed_is_in_units_of_the_noise(desk) -> None:
    desk.choose(View.REMOVED)
    removed = np.asarray(desk.family.picture(View.REMOVED).data[0])
    np.testing.assert_allclose(removed, (desk.stack[0] - 100.0) / 5, rtol=1e-5)


def test_an_opaque_layer_above_is_named_and_the_family_can_be_raised(desk) -> None:
    assert desk.family.cover is None, "additive layers hide nothing"
    truth = desk.viewer.add_image(desk.stack, name="truth")
    for view in (View.NOISY, View.DENOISED, View.SPLIT):
        desk.choose(view)
        assert desk.family.cover is truth
    far = desk.viewer.add_image(desk.stack, name="far", translate=(0, 500, 500))
    truth.visible = False
    assert desk.family.cover is None, far
    truth.visible = True
    desk.family.raise_all()
    assert desk.family.cover is None
    assert desk.viewer.layers.index(truth) < desk.viewer.layers.index(desk.noisy)


def test_hidden_by_hand_stays_hidden_until_something_is_chosen(desk) -> None:
    desk.preview.visible = False
    desk.family.apply()
    assert desk.visible == []
    desk.family.show_preview()
    assert desk.visible == [desk.preview]


def _colours(viewer):
    return np.asarray(viewer.screenshot(flash=False))[..., :3].astype(int)


@pytest.mark.slow
@pytest.mark.parametrize("blending", ["additive", "translucent_no_depth"])
def test_the_canvas_is_the_same_in_every_order(make_napari_viewer, blending) -> None:
    viewer = make_napari_viewer(show=True)
    desk = Desk(viewer, blending=blending, colormap="green")
    alone = [] if blending == "additive" else [desk.mate]  # what is opaque does hide what lies below
    for layer in alone:
        layer.visible = False
    desk.run(60)
    for view in (View.NOISY, View.DENOISED, View.SPLIT):
        seen = None
        desk.choose(view)
        for order in permutations(layer for layer in viewer.layers if layer not in alone):
            for place, layer in enumerate(order):
                if viewer.layers.index(layer) != place:
                    viewer.layers.move(viewer.layers.index(layer), place)
            found = _colours(viewer)
            seen = found if seen is None else seen
            np.testing.assert_array_equal(found, seen)
        values, count = np.unique(seen[..., 1], return_counts=True)
        common = set(values[count > 50])
        if view is View.DENOISED:  # the result alone, with its mate where that shows: no sum, no noise
            assert common == {0, 51} if alone else common == {0, 51, 51 + 42}
        else:
            assert len(common) > 10, "noise"


def _two_pyramids(viewer):
    """Two additive channels in two resolutions, each with its preview: their families, and their pictures."""
    from napari.layers import Image

    from napari_rdpdenoise.ui.qt.family import Family
    from napari_rdpdenoise.ui.qt.pictures import Pictures

    families = []
    for colour, light, value in (("green", 100, 60), ("magenta", 150, 120)):
        stack = np.random.default_rng(light).poisson(light, (2, 384, 512)).astype(np.uint16)
        levels = [stack, stack[:, ::2, ::2]]
        look = {"contrast_limits": (0, 300), "colormap": colour, "blending": "additive"}
        noisy = viewer.add_image(levels, name=f"cells {colour}", multiscale=True, **look)
        family, pyramid = Family(viewer, noisy), Pyramid(levels, "TYX", "float32")
        for number, level in enumerate(levels):
            tiles = plan_tiles(level.shape[1:], 128, 0)
            for tile in tiles:
                pyramid.board(number).part((0,), tile)[...] = value
            pyramid.board(number).mark((0,), tiles)
        family.put_preview(
            Image(pyramid.levels, name=f"{colour} preview", multiscale=True, projection_mode="none")
        )
        families.append(family)
    return families, Pictures(viewer, lambda: None, lambda channel, index: NOISE)


@pytest.mark.slow
@pytest.mark.parametrize("view", [View.NOISY, View.DENOISED, View.SPLIT])
def test_several_pyramids_are_the_same_on_the_canvas_in_every_order(make_napari_viewer, view) -> None:
    viewer = make_napari_viewer(show=True)
    families, pictures = _two_pyramids(viewer)
    viewer.dims.set_current_step(0, 0)
    for family in families:
        family.choose(view)
        pictures.update(family)
    orders, seen = list(permutations(viewer.layers)), None
    for order in random.Random(0).sample(orders, min(len(orders), 24)):
        for place, layer in enumerate(order):
            if viewer.layers.index(layer) != place:
                viewer.layers.move(viewer.layers.index(layer), place)
        assert [layer for layer in viewer.layers if layer.visible] == [
            layer for layer in viewer.layers if layer in [family.target for family in families]
        ]
        found = _colours(viewer)
        seen = found if seen is None else seen
        np.testing.assert_array_equal(found, seen)
    flat = 255 * 60 // 300, 255 * 120 // 300  # of the denoised image, green and magenta
    rows, columns = (np.flatnonzero(seen.any(axis=(axis, 2))) for axis in (1, 0))
    image = seen[rows[0] + 4 : rows[-1] - 3, columns[0] + 4 : columns[-1] - 3]
    middle = image.shape[1] // 2
    for part, noisy in (
        (image[:, : middle - 4], view is not View.DENOISED),
        (image[:, middle + 4 :], view is View.NOISY),
    ):
        for colour, value in zip((1, 0), flat, strict=True):
            if noisy:
                assert part[..., colour].std() > 3
            else:
                np.testing.assert_array_equal(part[..., colour], value)


def test_all_of_a_family_go_where_the_noisy_layer_goes() -> None:
    from napari.components import ViewerModel

    desk = Desk(ViewerModel(), translate=(0, 5, 6), scale=(2, 1, 1))
    desk.preview.translate, desk.preview.scale = desk.noisy.translate, desk.noisy.scale
    desk.family.drop_preview()
    desk.family.put_preview(desk.preview)
    result = desk.run()
    result.translate, result.scale = (4, 5, 6), (2, 1, 1)  # of the planes from the third on
    desk.family.forget(result)
    desk.family.put_result(result)
    desk.choose(View.SPLIT)
    split = desk.family.picture(View.SPLIT)
    desk.noisy.translate = (10, 50, 60)
    desk.noisy.scale = (3, 0.5, 0.5)
    desk.noisy.units = ("s", "um", "um")
    for layer in (desk.preview, split):
        np.testing.assert_allclose(layer.translate, (10, 50, 60))
    np.testing.assert_allclose(result.translate, (16, 50, 60))
    for layer in (desk.preview, split, result):
        np.testing.assert_allclose(layer.scale, (3, 0.5, 0.5))
        assert layer.units == desk.noisy.units


def test_what_was_put_elsewhere_by_hand_stays_there(desk) -> None:
    beside, gone = desk.run(), desk.run()
    beside.translate = (0, 0, 200)
    desk.family.forget(gone)
    desk.noisy.translate = (0, 7, 0)
    np.testing.assert_allclose(beside.translate, (0, 0, 200))
    np.testing.assert_allclose(gone.translate, (0, 0, 0))
    desk.family.end()
    desk.noisy.translate = (0, 9, 0)
    np.testing.assert_allclose(desk.preview.translate, (0, 7, 0))
