"""Of files that arrive only those are taken that are still and read whole, in the order of their numbers."""

from __future__ import annotations

import time

import numpy as np
import pytest
import tifffile

from napari_rdpdenoise.io.growing.files import GrowingFiles

STILL = 0.05


@pytest.fixture
def files(tmp_path):
    return GrowingFiles(f"{tmp_path}/t*.tif", None, STILL, "finished")


@pytest.fixture
def write(tmp_path, image):
    def file(number, content=None):
        path = tmp_path / f"t{number}.tif"
        if content is None:
            tifffile.imwrite(path, image((20, 30), seed=number), photometric="minisblack")
        else:
            path.write_bytes(content)
        return path

    return file


def settled(files):
    """What is taken once nothing changes any more."""
    files.look(False)
    time.sleep(2 * STILL)
    return files.look(False)


def test_nothing_is_there_yet(files):
    assert files.look(False) == 0
    assert not files.pending()
    assert not files.is_marked()


def test_a_file_is_taken_once_it_is_still(files, write):
    write(0)
    assert files.look(False) == 0
    assert files.pending()
    time.sleep(2 * STILL)
    assert files.look(False) == 1
    assert not files.pending()


def test_a_file_that_is_being_written_is_waited_for(files, write):
    whole = write(1).read_bytes()
    write(0)
    for length in (0, 8, len(whole) // 2, len(whole) - 1):
        write(1, whole[:length])
        assert settled(files) == 1
        assert "t1.tif cannot be read as a whole" in files.obstacle()
    write(1, whole)
    assert settled(files) == 2
    assert files.obstacle() == ""
    assert files.left_out() == []


def test_files_come_in_the_order_of_their_numbers(files, write, image):
    for number in (10, 2, 9):
        write(number)
    assert settled(files) == 3
    source = files.open(3)
    assert source.shape == (3, 20, 30)
    for place, number in enumerate((2, 9, 10)):
        block = source.read((place,), slice(0, 20), slice(0, 30))
        np.testing.assert_array_equal(block, image((20, 30), seed=number))
    source.close()


def test_one_that_comes_late_is_left_out_and_named(files, write):
    for number in (1, 3):
        write(number)
    assert settled(files) == 2
    for number in (2, 4):
        write(number)
    assert settled(files) == 3
    assert files.left_out() == ["t2.tif came after files that follow by number: left out"]
    source = files.open(3)
    assert source.shape[0] == 3
    source.close()


def test_the_marker_is_no_frame_and_lies_among_them(tmp_path, write):
    files = GrowingFiles(f"{tmp_path}/*", None, STILL, "finished")
    write(0)
    (tmp_path / "finished").touch()
    assert settled(files) == 1
    assert files.is_marked()
    assert files.left_out() == []
    elsewhere = tmp_path / "below" / "done"
    files = GrowingFiles(f"{tmp_path}/*.tif", None, STILL, str(elsewhere))
    assert not files.is_marked()
    elsewhere.parent.mkdir()
    elsewhere.touch()
    assert files.is_marked()
