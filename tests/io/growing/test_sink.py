"""A result that grows holds what it was given, is readable meanwhile, and goes on after an interruption."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import zarr

from napari_rdpdenoise.io import ImageMetadata, OutputSpec, open_image
from napari_rdpdenoise.io.growing.sink import GrowingSink


def spec_of(count, shape=(3, 70, 90), axes="CTYX", job="one"):
    place = axes.index("T")
    whole = (*shape[:place], count, *shape[place:])
    return OutputSpec(whole, axes, np.dtype("uint16"), ImageMetadata(axes, name="cells"), 64, job)


def write(sink, pixels, step):
    for channel in range(pixels.shape[0]):
        for y0 in range(0, 70, 64):
            for x0 in range(0, 90, 64):
                y, x = slice(y0, min(y0 + 64, 70)), slice(x0, min(x0 + 64, 90))
                sink.write((channel, step), y, x, pixels[channel, step, y, x])
                sink.mark_done((channel, step), y0, x0, "made")


@pytest.fixture
def pixels(image):
    return image((3, 5, 70, 90))


def test_it_holds_all_time_points_whenever_they_came(tmp_path, pixels):
    target = tmp_path / "r.ome.zarr"
    sink = GrowingSink(target, spec_of(1))
    for step in range(5):
        sink.fit(spec_of(step + 1))
        write(sink, pixels, step)
    assert not target.exists()
    assert sink.finish() == target
    source = open_image(target)
    assert (source.metadata.axes, source.metadata.name) == ("TCYX", "cells")
    for step in range(5):
        for channel in range(3):
            block = source.read((step, channel), slice(0, 70), slice(0, 90))
            np.testing.assert_array_equal(block, pixels[channel, step])
    assert not sink.folder.exists()


def test_it_can_be_looked_at_while_it_grows(tmp_path, pixels):
    sink = GrowingSink(tmp_path / "r.ome.zarr", spec_of(2))
    for step in range(2):
        write(sink, pixels, step)
    sink.flush()
    source = open_image(sink.image)
    assert (source.metadata.axes, source.shape) == ("TCYX", (2, 3, 70, 90))
    np.testing.assert_array_equal(source.read((1, 2), slice(0, 70), slice(0, 90)), pixels[2, 1])
    sink.discard()


def test_small_planes_share_files_and_keep_what_came_before(tmp_path, image):
    pixels, target = image((9, 20, 30)), tmp_path / "r.ome.zarr"
    spec = spec_of(9, (20, 30), "TYX")
    sink = GrowingSink(target, spec_of(1, (20, 30), "TYX"))
    for step, plane in enumerate(pixels):
        sink.fit(spec_of(step + 1, (20, 30), "TYX"))
        sink.write((step,), slice(0, 20), slice(0, 30), plane)
        sink.mark_done((step,), 0, 0)
    sink.fit(spec)
    sink.finish()
    array = zarr.open_group(target, mode="r")["0"]
    np.testing.assert_array_equal(array[:], pixels)
    assert sum(path.is_file() for path in (target / "0" / "c").rglob("*")) == 1


def test_it_goes_on_whatever_has_come_meanwhile_and_ends_shorter_if_asked(tmp_path, pixels):
    target = tmp_path / "r.ome.zarr"
    sink = GrowingSink(target, spec_of(3))
    for step in range(3):
        write(sink, pixels, step)
    sink.abort()
    again = GrowingSink(target, spec_of(2))
    assert again.note is None
    assert again.is_done((2, 2), 64, 64)
    again.fit(spec_of(4))
    write(again, pixels, 3)
    again.fit(spec_of(4))
    again.fit(spec_of(2))
    again.finish()
    found = zarr.open_group(target, mode="r")["0"][:]
    np.testing.assert_array_equal(found, np.moveaxis(pixels[:, :2], 0, 1))


@pytest.mark.parametrize(
    "changes", [{"job": "other"}, {"tile": 32}, {"dtype": np.dtype("float32")}, {"shape": (2, 1, 70, 90)}]
)
def test_another_job_does_not_go_on_there(tmp_path, pixels, changes):
    sink = GrowingSink(tmp_path / "r.ome.zarr", spec_of(1))
    write(sink, pixels, 0)
    sink.abort()
    other = GrowingSink(tmp_path / "r.ome.zarr", replace(spec_of(1), **changes))
    assert "removed" in (other.note or "")
    assert not other.is_done((0, 0), 0, 0)
    other.discard()
