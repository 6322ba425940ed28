from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_rdpdenoise.tiles import GRID
from napari_rdpdenoise.ui.preview.viewport import LayerView, look_at, preview_tile

STACK = LayerView("TYX", (5, 900, 1300), (1, 2), (3.2, 0, 0), ((0, 100, 200), (0, 700, 900)))


@st.composite
def views(draw) -> tuple[LayerView, tuple[float, float, float, float]]:
    """A view of any stack that shows Y and X, and the range in view: y0, y1, x0, x1, half-open, pixels."""
    axes = "".join(draw(st.permutations("TCZYX"[draw(st.integers(0, 3)) :])))
    sizes = {letter: draw(st.integers(1, 6)) for letter in axes}
    sizes |= {letter: draw(st.integers(1, 1500)) for letter in "YX"}
    scale = {letter: draw(st.sampled_from([1.0, 2.0, 3.5])) if letter in "YX" else 1.0 for letter in axes}
    ranges = {}
    for letter in "YX":
        level = max(1, math.ceil(sizes[letter] / scale[letter]))
        first = draw(st.integers(0, level - 1))
        ranges[letter] = (first, draw(st.integers(first, level)))  # napari's last corner may lie one outside
    view = LayerView(
        axes,
        tuple(sizes[a] for a in axes),
        tuple(axes.index(a) for a in draw(st.permutations("YX"))),
        tuple(float(draw(st.integers(0, sizes[a] - 1))) for a in axes),
        tuple(tuple(ranges.get(a, (0, 0))[end] for a in axes) for end in (0, 1)),
        tuple(scale[a] for a in axes),
    )
    box = [
        (first * scale[a], min((last + 1) * scale[a], sizes[a]))
        for a, (first, last) in sorted(ranges.items())
    ]
    return view, (*box[1], *box[0])


def gap(tile, y: float, x: float) -> float:
    down, across = max(tile.y0 - y, y - tile.y1, 0), max(tile.x0 - x, x - tile.x1, 0)
    return math.hypot(down, across)


@given(views(), st.sampled_from([64, 128, 512]))
def test_every_visible_pixel_is_covered_once_and_the_nearest_tile_is_first(given_view, tile) -> None:
    view, (y0, y1, x0, x1) = given_view
    sight = look_at(view, tile, 128, most=10_000)
    assert sight.note is None
    height, width = (view.shape[view.axes.index(a)] for a in "YX")
    count = np.zeros((height, width), np.uint8)
    for request in sight.requests[: sight.visible]:
        count[request.tile.core] += 1
        assert request.tile.y0 < y1
        assert request.tile.y1 > y0
        assert request.tile.x0 < x1
        assert request.tile.x1 > x0
    seen = count[int(y0) : math.ceil(y1), int(x0) : math.ceil(x1)]
    assert (seen == 1).all()
    centre = (y0 + y1) / 2, (x0 + x1) / 2
    distances = [gap(request.tile, *centre) for request in sight.requests]
    assert distances[0] == 0
    assert distances[: sight.visible] == sorted(distances[: sight.visible])
    assert distances[sight.visible :] == sorted(distances[sight.visible :])


@given(views())
def test_the_ring_touches_the_view_and_nothing_comes_twice(given_view) -> None:
    view, (y0, y1, x0, x1) = given_view
    sight = look_at(view, 64, 64, most=10_000)
    tiles = [request.tile for request in sight.requests]
    assert len(set(tiles)) == len(tiles)
    for tile in tiles[sight.visible :]:
        assert tile.y1 <= y0 or tile.y0 >= y1 or tile.x1 <= x0 or tile.x0 >= x1
        assert tile.y0 < y1 + 64
        assert tile.y1 > y0 - 64
        assert tile.x0 < x1 + 64
        assert tile.x1 > x0 - 64


@given(views())
def test_index_and_channel_are_where_the_sliders_stand(given_view) -> None:
    view, _ = given_view
    leading = [a for a in view.axes if a not in "YX"]
    expected = {a: int(view.point[view.axes.index(a)]) for a in leading}
    for request in look_at(view).requests:
        assert request.index == tuple(expected[a] for a in leading)
        assert request.channel == expected.get("C", 0)


@given(views())
def test_tiles_lie_on_the_grid_that_all_tilings_share(given_view) -> None:
    for request in look_at(given_view[0]).requests:
        tile = request.tile
        assert not any(place % GRID for place in (tile.y0, tile.x0, tile.oy0, tile.ox0))


def test_too_large_a_view_is_cut_to_its_middle_and_says_so() -> None:
    view = LayerView("YX", (4000, 4000), (0, 1), (0, 0), ((0, 0), (3999, 3999)))
    sight = look_at(view, 512, 128, most=4)
    assert len(sight.requests) == sight.visible == 4
    assert "64 parts are in view, the 4 nearest to its middle are previewed: zoom in" in sight.scope
    assert sight.note is None
    assert all(1000 < t.tile.y0 + 256 < 3000 for t in sight.requests)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"displayed": (0, 1, 2)}, "3-D"),
        ({"displayed": (0, 2)}, "shows the axes T and X, expected Y and X"),
        ({"point": (5.0, 0, 0)}, "slider of axis T stands outside"),
        ({"point": (-0.6, 0, 0)}, "slider of axis T stands outside"),
        ({"point": (math.nan, 0, 0)}, "slider of axis T stands outside"),
        ({"shape": (5, 0, 1300)}, "empty"),
        ({"axes": "TZX"}, "Y and X, found 'TZX'"),
        ({"axes": "YX"}, "one letter per axis"),
        ({"corners": ((0, 950, 0), (0, 990, 50))}, "out of view"),
        ({"corners": ((0, -90, 0), (0, -20, 50))}, "out of view"),
        ({"corners": ((0, math.nan, 0), (0, math.nan, 50))}, "out of view"),
    ],
)
def test_why_there_is_no_preview_is_said_in_words(changes, words) -> None:
    sight = look_at(replace(STACK, **changes))
    assert sight.requests == ()
    assert words in sight.note


def test_that_the_viewer_shows_several_planes_as_one_is_said() -> None:
    assert "projection mode to none" in look_at(replace(STACK, thick=True)).scope
    assert look_at(STACK).scope == ""


def test_sliders_are_rounded_as_the_viewer_rounds() -> None:
    for point in (0.49, 0.5, 1.5, 2.5, 3.51):
        sight = look_at(replace(STACK, point=(point, 0, 0)))
        assert sight.requests[0].index == (int(np.round(point)),)


def test_preview_tiles_are_the_runs_own_where_a_plane_is_small() -> None:
    assert preview_tile((700, 800), 1536) == 1536
    assert preview_tile((1024, 1024), 1536) == 512
    assert preview_tile((1024, 1024), 128) == 128
    assert preview_tile((20_000, 20), 1536) == 1536  # a strip is small too


@pytest.mark.parametrize("module", ["preview.viewport", "preview.engine", "preview.canvas", "compare.scores"])
def test_neither_torch_nor_qt_is_loaded_by_importing(module) -> None:
    code = f"import sys, napari_rdpdenoise.ui.{module}; print(sorted({{'torch', 'qtpy'}} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_of_colours_each_is_requested_tile_by_tile() -> None:
    view = LayerView("TYX", (3, 700, 900), (1, 2), (1, 0, 0), ((0, 0, 0), (2, 699, 899)))
    plain, colours = look_at(view, 256, 64), look_at(replace(view, colours=3), 256, 64)
    assert colours.visible == 3 * plain.visible
    for number, request in enumerate(plain.requests):
        for colour, found in enumerate(colours.requests[3 * number : 3 * number + 3]):
            assert (found.index, found.channel, found.tile) == ((1, colour), colour, request.tile)
