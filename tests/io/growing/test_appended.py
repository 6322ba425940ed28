"""Of a file that becomes longer only whole time points are taken, and the last one once nothing changes."""

from __future__ import annotations

import time
import warnings

import numpy as np
import pytest
import tifffile

from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.io.growing.appended import GrowingFile, is_appended
from napari_rdpdenoise.io.growing.opening import open_growing
from tests.support.microscope_files import write_ndtiff

STILL = 0.05


@pytest.fixture
def planes(image):
    return [image((20, 30), seed=number) for number in range(6)]


def growing(path, axes="TYX"):
    return GrowingFile(str(path), axes, None, STILL, "finished")


def settled(file):
    """What is taken once nothing changes any more."""
    file.look(False)
    time.sleep(2 * STILL)
    return file.look(False)


def read(file, count):
    source = file.open(count)
    try:
        return np.stack([source.read((t,), slice(0, 20), slice(0, 30)) for t in range(count)])
    finally:
        source.close()


@pytest.mark.parametrize("how", [{}, {"bigtiff": True}, {"compression": "zlib"}, {"ome": True}])
def test_pages_that_are_appended(tmp_path, planes, how):
    path = tmp_path / "live.tif"
    file = growing(path)
    assert (file.look(False), bool(file.obstacle())) == (0, True)
    with tifffile.TiffWriter(path, **{k: v for k, v in how.items() if k != "compression"}) as writer:
        for number, plane in enumerate(planes):
            more = {key: value for key, value in how.items() if key == "compression"}
            writer.write(plane, photometric="minisblack", contiguous=False, metadata=None, **more)
            writer._fh.flush()
            assert number <= settled(file) + 1
            if number == 3:
                assert settled(file) >= 3
                np.testing.assert_array_equal(read(file, 3), planes[:3])
    assert settled(file) == 6
    np.testing.assert_array_equal(read(file, 6), planes)
    assert not file.pending()


def test_the_last_page_is_taken_only_once_nothing_changes(tmp_path, planes):
    path = tmp_path / "live.tif"
    tifffile.imwrite(path, np.stack(planes[:3]), photometric="minisblack")
    file = growing(path)
    assert file.look(False) == 2
    assert file.pending()
    assert file.look(True) == 3


@pytest.mark.parametrize("axes", ["TYX", "TCYX", "TZCYX"])
def test_a_file_that_was_copied_in_part_at_every_length(tmp_path, image, axes):
    """Whatever of it is there, nothing is taken that is not whole."""
    shape = {"TYX": (5, 20, 30), "TCYX": (3, 2, 20, 30), "TZCYX": (3, 2, 2, 20, 30)}[axes]
    series = image(shape)
    tifffile.imwrite(tmp_path / "whole.tif", series, imagej=axes != "TYX", metadata={"axes": axes})
    whole, path = (tmp_path / "whole.tif").read_bytes(), tmp_path / "live.tif"
    file, before = growing(path, None if axes != "TYX" else axes), 0
    for length in (*range(500, len(whole), 997), len(whole) - 1):
        path.write_bytes(whole[:length])
        count = settled(file)
        assert count >= before
        before = count
        for index in np.ndindex(count, *shape[1:-2]) if count else ():
            source = file.open(count)
            found = source.read(index, slice(0, 20), slice(0, 30))
            source.close()
            np.testing.assert_array_equal(found, series[index])
    path.write_bytes(whole)
    assert settled(file) == shape[0]
    assert not file.left_out()


def test_a_file_at_its_full_length_is_not_taken_before_it_is_filled(tmp_path, planes):
    path = tmp_path / "live.tif"
    mapped = tifffile.memmap(path, shape=(6, 20, 30), dtype="uint16", photometric="minisblack")
    file = growing(path)
    mapped[:3] = planes[:3]
    mapped.flush()
    assert settled(file) == 2  # whether the third is whole nobody knows
    assert "last 4 of 6 time points were not written" in file.left_out()[-1]
    mapped[3:] = planes[3:]
    mapped.flush()
    assert settled(file) == 6


def test_a_long_file_at_its_full_length_is_refused(tmp_path):
    path = tmp_path / "live.tif"
    tifffile.memmap(path, shape=(200, 20, 30), dtype="uint16", photometric="minisblack").flush()
    file = growing(path)
    with pytest.raises(
        ValueError, match=r"follow: expected a file that becomes longer, found .* full length of 200"
    ):
        file.look(False)


def test_an_ndtiff_data_set(tmp_path, planes):
    folder = tmp_path / "run"
    places = [{"time": t, "channel": c} for t in range(3) for c in ("GFP", "RFP")]
    pairs = list(zip(planes, places, strict=True))
    write_ndtiff(folder, pairs)
    pixels, index = ((folder / name).read_bytes() for name in ("run_NDTiffStack.tif", "NDTiff.index"))
    entry, file = len(index) // 6, None
    for number in range(1, 7):
        (folder / "NDTiff.index").write_bytes(index[: entry * number + 7])
        (folder / "run_NDTiffStack.tif").write_bytes(pixels[: len(pixels) * number // 6 + 40])
        if file is None:
            assert is_appended(folder)
            file = open_growing(str(folder), None, None, None, still=STILL, marker="finished")
        assert settled(file) <= number // 2
    for name, data in (("run_NDTiffStack.tif", pixels), ("NDTiff.index", index)):
        (folder / name).write_bytes(data)
    assert settled(file) == 3
    source = file.open(3)
    assert source.metadata.axes == "TCYX"
    for number, plane in enumerate(planes):
        np.testing.assert_array_equal(source.read(divmod(number, 2), slice(0, 20), slice(0, 30)), plane)


def test_one_that_grows_along_another_axis_is_refused(tmp_path, image):
    path = tmp_path / "live.tif"
    for shape in ((2, 1, 20, 30), (3, 2, 20, 30)):
        tifffile.imwrite(path, image(shape), imagej=True, metadata={"axes": "TCYX"})
        if shape[1] == 1:
            file = growing(path, None)
            assert settled(file) == 2
            assert settled(file) == 2
    with pytest.raises(ValueError, match=r"to grow along T alone, found .* begin again"):
        settled(file)


def test_a_single_plane_is_waited_beside(tmp_path, planes):
    path = tmp_path / "live.tif"
    tifffile.imwrite(path, planes[0], photometric="minisblack")
    file = growing(path, None)
    assert settled(file) == 0
    assert file.obstacle().startswith("one plane is there")
    tifffile.imwrite(path, np.stack(planes[:3]), photometric="minisblack")
    assert settled(file) == 3
    assert not file.obstacle()


def test_an_axis_that_is_not_said(tmp_path, planes):
    path = tmp_path / "live.tif"
    tifffile.imwrite(path, np.stack(planes), photometric="minisblack", metadata={"axes": "ZYX"}, ome=True)
    with pytest.raises(ValueError, match=r"expected a time axis T along which it grows, found the axes ZYX"):
        growing(path, None).look(False)


def test_the_end(tmp_path, planes):
    path = tmp_path / "live.tif"
    tifffile.imwrite(path, np.stack(planes[:2]), photometric="minisblack")
    file = growing(path)
    assert not file.is_marked()
    (tmp_path / "finished").touch()
    assert file.is_marked()
    assert file.look(True) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_image(path, "TYX").shape == (2, 20, 30)
