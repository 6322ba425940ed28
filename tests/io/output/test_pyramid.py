"""Lower resolutions: made while blocks are written, the same as at the end, never out of date."""

from __future__ import annotations

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_rdpdenoise.io import ImageMetadata, OutputSpec, open_sink
from napari_rdpdenoise.io.output import parts
from napari_rdpdenoise.io.output.pyramid import halvings, mean_2x2
from napari_rdpdenoise.io.output.sink import Output, new_sink

SHAPE, TILE = (2, 1300, 600), 512
BLOCKS = [(t, y, x) for t in range(2) for y in (0, 512, 1024) for x in (0, 512)]


def spec():
    return OutputSpec(SHAPE, "TYX", np.dtype("uint16"), ImageMetadata("TYX"), TILE, "{}")


def write(sink, array, blocks):
    for t, y, x in blocks:
        block = array[t, y : y + TILE, x : x + TILE]
        rows, columns = (slice(start, start + size) for start, size in zip((y, x), block.shape, strict=True))
        sink.write((t,), rows, columns, block)
        sink.mark_done((t,), y, x)


def files(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def lower(sink):
    return {f.relative_to(sink.image).as_posix() for f in sink.image.glob("[1-9]*/c/**/*") if f.is_file()}


@pytest.fixture(scope="module")
def expected(tmp_path_factory, array):
    sink = open_sink(tmp_path_factory.mktemp("expected") / "a.ome.zarr", spec())
    write(sink, array, BLOCKS)
    return files(sink.finish())


@pytest.fixture(scope="module")
def array():
    found = np.random.default_rng(0).integers(1, 60_000, SHAPE).astype("uint16")
    found[0, :1024, :512] = 0  # shards of zeros are not stored
    return found


def test_each_resolution_is_the_mean_of_the_next_higher_one(tmp_path, array):
    sink = open_sink(tmp_path / "a.ome.zarr", spec())
    write(sink, array, BLOCKS)
    group = zarr.open_group(sink.finish())
    for number in (1, 2):
        finer = group[str(number - 1)][:]
        np.testing.assert_array_equal(group[str(number)][:], [mean_2x2(plane) for plane in finer])
    assert "3" not in group


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(BLOCKS), st.integers(0, len(BLOCKS)))
def test_order_and_interruptions_do_not_matter(tmp_path_factory, array, expected, order, first):
    target = tmp_path_factory.mktemp("order") / "a.ome.zarr"
    sink = open_sink(target, spec())
    write(sink, array, order[:first])
    sink.abort()
    sink = open_sink(target, spec())
    write(sink, array, order[first:])
    assert files(sink.finish()) == expected


def test_all_is_there_before_the_end_where_nothing_interrupted(tmp_path, array, expected):
    sink = open_sink(tmp_path / "a.ome.zarr", spec())
    write(sink, array, BLOCKS)
    assert lower(sink) == {name for name in expected if name[0] in "12" and "/c/" in name}
    sink.discard()


def test_a_block_that_is_written_again_leaves_nothing_of_the_old_one(tmp_path, array, expected):
    target = tmp_path / "a.ome.zarr"
    sink = open_sink(target, spec())
    write(sink, array[:, ::-1], BLOCKS)
    sink.abort()
    sink = open_sink(target, spec())
    write(sink, array, BLOCKS[:3])
    assert not lower(sink) & {"1/c/0/0/0", "2/c/0/0/0"}
    write(sink, array, BLOCKS[3:])
    write(sink, array, BLOCKS[:2])
    assert files(sink.finish()) == expected


def test_what_a_process_was_writing_at_the_end_is_made_again(tmp_path, array, expected, monkeypatch):
    from napari_rdpdenoise.io.output import pyramid

    target = tmp_path / "a.ome.zarr"
    sink = open_sink(target, spec())
    write(sink, array, BLOCKS[:5])
    sink.abort()
    sink = open_sink(target, spec())
    write(sink, array, BLOCKS[5:])
    with monkeypatch.context() as patch:
        patch.setattr(zarr.Group, "update_attributes", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            sink.finish()
    assert pyramid.halvings(SHAPE[-2:]) == 2
    for number in "12":
        for file in (sink.image / number / "c" / "0").rglob("*"):
            if file.is_file():
                file.write_bytes(b"not yet on the disk")
    assert files(open_sink(target, spec()).finish()) == expected


def test_each_part_makes_what_is_of_its_own_blocks(tmp_path, array, expected, monkeypatch):
    from napari_rdpdenoise.io.output import pyramid

    made = []
    monkeypatch.setattr(pyramid, "mean_2x2", lambda plane: made.append(plane.shape) or mean_2x2(plane))
    target = tmp_path / "a.ome.zarr"
    output = Output(target, "{}", lambda folder: new_sink(target, spec(), folder))
    parts.begin(output, "plan")
    for number, blocks in ((1, BLOCKS[:8]), (2, BLOCKS[8:])):
        sink = parts.attempt(output, number)
        write(sink, array, blocks)
        assert {name.split("/")[2] for name in lower(sink) if name[0] == "2"} <= {"0"}  # plane 1 is of both
        assert parts.complete(sink, number, "report")
    made.clear()
    with parts.collected(output, 2) as sink:
        path = sink.finish()
    assert made == [(1024, 600), (650, 300)]  # what is of both
    assert files(path) == expected


@pytest.mark.parametrize(
    ("plane", "count"), [((512, 9), 0), ((513, 9), 1), ((9, 1025), 2), ((2048, 2048), 2)]
)
def test_planes_are_halved_until_they_are_small(plane, count):
    assert halvings(plane) == count
