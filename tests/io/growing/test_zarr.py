"""Of a Zarr that grows only time points are taken whose chunks say that they are complete."""

from __future__ import annotations

import itertools
import json
import time

import numpy as np
import pytest
import zarr

from napari_rdpdenoise.io.growing.zarr import GrowingZarr

STILL = 0.05
SHAPE = (6, 40, 50)


def make(path, total=SHAPE[0], together=1, **more):
    """An array of so many time points, two by two chunks a plane; ``together`` time points share a chunk."""
    return zarr.create_array(
        path, shape=(total, *SHAPE[1:]), chunks=(together, 20, 25), dtype="uint16",
        dimension_names=("t", "y", "x"), **more,
    )  # fmt: skip


def following(path, still=STILL):
    return GrowingZarr(str(path), None, None, still, "finished")


def settled(growing, finished=False):
    growing.look(finished)
    time.sleep(2 * STILL)
    return growing.look(finished)


def test_it_need_not_be_there(tmp_path):
    growing = following(tmp_path / "a.zarr")
    assert growing.look(False) == 0
    assert "nothing is at" in growing.obstacle()
    make(tmp_path / "a.zarr", 0)
    assert growing.look(False) == 0
    assert growing.obstacle() == ""


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("declared", [0, SHAPE[0]])
def test_a_time_point_is_taken_when_the_next_has_begun_or_it_is_still(
    tmp_path, image, declared, zarr_format, same_pixels
):
    names = {} if zarr_format == 3 else {"dimension_names": None, "zarr_format": 2}
    array = zarr.create_array(
        tmp_path / "a.zarr", shape=(declared, *SHAPE[1:]), chunks=(1, 20, 25), dtype="uint16",
        **({"dimension_names": ("t", "y", "x")} | names),
    )  # fmt: skip
    pixels, growing = image(SHAPE), following(tmp_path / "a.zarr", 1000.0)
    for number, plane in enumerate(pixels):
        if not declared:
            array.resize((number + 1, *SHAPE[1:]))
        array[number] = plane
        assert growing.look(False) == number
    assert growing.pending()
    assert growing.look(True) == len(pixels)
    source = growing.open(4)
    same_pixels(source, pixels[:4], "TYX")
    patient = following(tmp_path / "a.zarr")
    assert patient.look(False) == len(pixels) - 1
    assert settled(patient) == len(pixels)


def test_missing_chunks_are_waited_for_until_the_next_has_begun_and_nothing_changes(tmp_path, image):
    array, growing = make(tmp_path / "a.zarr"), following(tmp_path / "a.zarr")
    pixels = image(SHAPE)
    array[0, :20] = pixels[0, :20]
    assert settled(growing) == 0  # half a plane, and the writer is at work
    array[1, :20] = pixels[1, :20]
    array[0, 20:] = pixels[0, 20:]
    assert growing.look(False) == 1
    array[2] = pixels[2]
    assert growing.look(False) == 1  # half of plane 1 may come still
    assert growing.pending()
    assert settled(growing) == 3
    array[4] = pixels[4]  # 3 is dark: zarr writes no chunk of it
    assert growing.look(False) == 3
    assert settled(growing) == 5
    assert growing.left_out() == [
        "the last 1 of 6 time points that the array declares were not written, or not completely: left out"
    ]
    array[5, :20] = pixels[5, :20]
    assert settled(growing) == 5
    assert settled(growing, finished=True) == 6


@pytest.mark.parametrize("declared", [0, SHAPE[0]])
def test_time_points_that_share_a_chunk(tmp_path, image, declared, same_pixels):
    array = make(tmp_path / "a.zarr", declared, 4)
    pixels, growing = image(SHAPE), following(tmp_path / "a.zarr")
    seen = []
    for number, plane in enumerate(pixels):
        if not declared:
            array.resize((number + 1, *SHAPE[1:]))
        array[number] = plane
        assert growing.look(False) == (0 if number < 3 else 4) or seen
        seen.append(settled(growing))
    assert seen == [1, 2, 3, 4, 5, 6]
    same_pixels(growing.open(6), pixels, "TYX")


def test_a_chunk_that_is_half_written_is_waited_for(tmp_path, image):
    array, growing = make(tmp_path / "a.zarr"), following(tmp_path / "a.zarr")
    array[:2] = image((2, *SHAPE[1:]))
    chunk = tmp_path / "a.zarr" / "c" / "0" / "1" / "1"
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[: len(whole) // 2])
    assert settled(growing) == 0
    assert growing.obstacle()
    chunk.write_bytes(whole)
    assert settled(growing) == 2
    assert growing.obstacle() == ""


def test_metadata_that_are_being_written_are_read_at_the_next_look(tmp_path, image):
    array, growing = make(tmp_path / "a.zarr"), following(tmp_path / "a.zarr")
    array[:3] = image((3, *SHAPE[1:]))
    assert growing.look(False) == 2
    file = tmp_path / "a.zarr" / "zarr.json"
    text = file.read_text()
    for cut in (0, 10, len(text) - 2):
        file.write_text(text[:cut])
        assert growing.look(True) == 2
    file.write_text(text)
    assert growing.look(True) == 3


def test_an_image_of_a_group_whose_consolidated_metadata_are_old(tmp_path, image):
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=2)
    array = group.create_array("0", shape=(1, *SHAPE[1:]), chunks=(1, 40, 50), dtype="uint16")
    axes = [{"name": name} for name in "tyx"]
    multiscale = {"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}
    group.attrs["multiscales"] = [multiscale]
    zarr.consolidate_metadata(tmp_path / "a.zarr")
    growing = following(tmp_path / "a.zarr")
    pixels = image(SHAPE)
    for number, plane in enumerate(pixels):
        array.resize((number + 1, *SHAPE[1:]))
        array[number] = plane
        assert growing.look(False) == number
    assert growing.look(True) == len(pixels)


@pytest.mark.parametrize("way", ["file", "group", "array", "path"])
def test_the_writer_says_that_it_is_done(tmp_path, way):
    group = zarr.create_group(tmp_path / "a.zarr")
    array = group.create_array("0", shape=SHAPE, chunks=(1, 40, 50), dtype="uint16", dimension_names="tyx")
    marker = str(tmp_path / "done") if way == "path" else "finished"
    growing = GrowingZarr(str(tmp_path / "a.zarr"), None, None, STILL, marker)
    growing.look(False)
    assert not growing.is_marked()
    if way in ("group", "array"):
        node = group if way == "group" else array
        node.attrs["finished"] = False
        assert not growing.is_marked()
        node.attrs["finished"] = True
    else:
        (tmp_path / ("done" if way == "path" else "a.zarr/finished")).touch()
    assert growing.is_marked()


def test_axes_without_time_and_another_image_are_refused(tmp_path, image):
    zarr.create_array(tmp_path / "a.zarr", shape=(3, 9, 9), dtype="uint8", dimension_names="zyx")
    with pytest.raises(ValueError, match=r"expected a time axis T .* found the axes ZYX .*--axes"):
        following(tmp_path / "a.zarr").look(False)
    array, growing = make(tmp_path / "b.zarr"), following(tmp_path / "b.zarr")
    array[:2] = image((2, *SHAPE[1:]))
    growing.look(False)
    zarr.create_array(tmp_path / "b.zarr", shape=(9, 9, 9), dtype="uint8", overwrite=True)
    with pytest.raises(ValueError, match=r"expected .* to grow along T alone"):
        growing.look(False)


def test_time_that_is_stored_last(tmp_path, image, same_pixels):
    pixels = image((40, 50, 3))
    array = zarr.create_array(tmp_path / "a.zarr", shape=(40, 50, 3), chunks=(40, 50, 1), dtype="uint16")
    growing = GrowingZarr(str(tmp_path / "a.zarr"), "YXT", None, STILL, "finished")
    for number in range(3):
        array[..., number] = pixels[..., number]
        assert growing.look(False) == number
    assert growing.look(True) == 3
    same_pixels(growing.open(3), np.moveaxis(pixels, 2, 0), "TYX")


def test_shards_are_what_is_looked_at(tmp_path, image):
    array = make(tmp_path / "a.zarr", shards=(2, 40, 50))
    growing, pixels = following(tmp_path / "a.zarr"), image(SHAPE)
    found = []
    for number, plane in enumerate(pixels):
        array[number] = plane
        found.append(growing.look(False))
    assert found == [0, 0, 2, 2, 4, 4]
    assert growing.look(True) == 6
    assert json.loads((tmp_path / "a.zarr" / "zarr.json").read_text())["shape"] == list(SHAPE)
    assert all(a <= b for a, b in itertools.pairwise(found))
