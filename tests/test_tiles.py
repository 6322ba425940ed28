"""The tile plan covers every plane."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from napari_rdpdenoise.tiles import GRID, Tile, order_tiles, plan_tiles, regular_chunk, regular_tile

edges = st.integers(1, 330)
shapes = st.tuples(edges, edges)
tile_sizes = st.integers(1, 5).map(lambda n: n * GRID)
halos = st.integers(0, 4).map(lambda n: n * GRID)


@settings(deadline=None)
@given(shapes, tile_sizes, halos)
@example((1, 1), 64, 128)
def test_cores_cover_every_pixel_once(shape: tuple[int, int], tile: int, halo: int) -> None:
    count = np.zeros(shape, np.uint8)
    for part in plan_tiles(shape, tile, halo):
        count[part.core] += 1
    assert (count == 1).all()


@settings(deadline=None)
@given(shapes, tile_sizes, halos)
def test_outer_is_the_core_and_its_halo_within_the_plane(
    shape: tuple[int, int], tile: int, halo: int
) -> None:
    plane = np.arange(shape[0] * shape[1]).reshape(shape)
    padded = np.pad(plane, halo, constant_values=-1)
    for part in plan_tiles(shape, tile, halo):
        grown = padded[part.y0 : part.y1 + 2 * halo, part.x0 : part.x1 + 2 * halo]
        np.testing.assert_array_equal(plane[part.outer].ravel(), grown[grown >= 0])
        assert plane[part.outer].shape == part.outer_shape
        np.testing.assert_array_equal(plane[part.outer][part.core_in_outer], plane[part.core])
        assert plane[part.core].shape == part.core_shape


@given(shapes, tile_sizes, halos)
def test_origins_lie_on_the_grid(shape: tuple[int, int], tile: int, halo: int) -> None:
    for part in plan_tiles(shape, tile, halo):
        assert [n % GRID for n in (part.y0, part.x0, part.oy0, part.ox0)] == [0, 0, 0, 0]


@given(shapes, tile_sizes)
def test_there_are_no_slivers_and_no_giants(shape: tuple[int, int], tile: int) -> None:
    for part in plan_tiles(shape, tile, 0):
        for size, length in zip(part.core_shape, shape, strict=True):
            assert size > tile / 3 or size == length
            assert size <= tile * 4 / 3


@pytest.mark.parametrize(
    ("width", "cores"),
    [(271, [128, 143]), (171, [128, 43]), (170, [170]), (288, [128, 160]), (128, [128]), (7, [7])],
)
def test_a_narrow_rest_joins_its_neighbour(width: int, cores: list[int]) -> None:
    assert [part.core_shape[1] for part in plan_tiles((9, width), 128, 0)] == cores


@given(shapes, tile_sizes, halos)
def test_index_counts_row_by_row(shape: tuple[int, int], tile: int, halo: int) -> None:
    parts = plan_tiles(shape, tile, halo)
    assert [part.index for part in parts] == list(range(len(parts)))
    assert list(parts) == sorted(parts, key=lambda part: (part.y0, part.x0))


@given(shapes, tile_sizes, st.floats(-50, 400), st.floats(-50, 400))
def test_order_starts_at_the_centre_and_goes_outwards(
    shape: tuple[int, int], tile: int, y: float, x: float
) -> None:
    parts = plan_tiles(shape, tile, 0)
    ordered = order_tiles(parts, (y, x))
    assert sorted(part.index for part in ordered) == [part.index for part in parts]

    def gap(part: Tile) -> float:
        nearest = (min(max(y, part.y0), part.y1), min(max(x, part.x0), part.x1))
        return math.dist((y, x), nearest)

    gaps = [gap(part) for part in ordered]
    np.testing.assert_allclose(gaps, sorted(gaps), atol=1e-9)
    assert order_tiles(reversed(ordered), (y, x)) == ordered


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((0, 5), 64, 0), r"shape must be \(height, width\) .* got \(0, 5\)"),
        (((5,), 64, 0), r"shape must be"),
        (((5, 5), 0, 0), r"tile must be a multiple of 64 .* at least 64, got 0; the nearest is 64"),
        (((5, 5), 100, 0), r"tile must be .* got 100; the nearest is 128"),
        (((5, 5), 64, 50), r"halo must be .* got 50; the nearest is 64"),
        (((5, 5), 64, -64), r"halo must be .* at least 0, got -64"),
    ],
)
def test_impossible_plans_are_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan_tiles(*arguments)


def test_impossible_orders_are_refused() -> None:
    parts = plan_tiles((200, 200), 64, 64)
    with pytest.raises(ValueError, match="centre must be two finite numbers"):
        order_tiles(parts, (math.nan, 0))


@given(st.tuples(st.integers(1, 9000), st.integers(1, 9000)), st.integers(1, 64).map(lambda n: 64 * n))
def test_regular_tiles_are_the_chunks_of_a_grid(shape, wanted):
    tile = regular_tile(shape, wanted)
    assert tile <= max(wanted, -(-max(shape) // 64) * 64), "one tile is the chunk of a plane"
    rows, columns = regular_chunk(shape, tile)
    for part in plan_tiles(shape, tile, 0):
        assert part.y0 % rows == part.x0 % columns == 0
        assert part.y1 - part.y0 <= rows
        assert part.x1 - part.x0 <= columns


@settings(deadline=None)
@given(shapes, tile_sizes, st.integers(0, 3))
def test_less_context_is_that_of_a_plan_with_a_smaller_halo(
    shape: tuple[int, int], tile: int, halo: int
) -> None:
    wide, narrow = (plan_tiles(shape, tile, n * GRID) for n in (3, halo))
    assert tuple(part.with_halo(halo * GRID) for part in wide) == narrow
    assert narrow == tuple(part.with_halo(3 * GRID) for part in narrow), (
        "what is not there does not come back"
    )
