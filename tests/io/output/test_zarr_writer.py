"""OME-Zarr 0.5 output: valid by the specification, sharded, with a pyramid of means."""

from __future__ import annotations

import json

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from napari_rdpdenoise.io import ImageMetadata, OutputSpec, open_sink
from napari_rdpdenoise.io.output.pyramid import mean_2x2


def save(path, array, axes, *, tile=64, metadata=None, job=""):
    known = metadata or ImageMetadata(axes)
    sink = open_sink(path, OutputSpec(array.shape, axes, array.dtype, known, tile, job))
    for index in np.ndindex(*array.shape[:-2]):
        whole = tuple(slice(0, size) for size in array.shape[-2:])
        sink.write(index, *whole, array[index])
        sink.mark_done(index, 0, 0)
    return sink.finish()


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((9, 8), "YX"),
        ((3, 9, 8), "TYX"),
        ((3, 9, 8), "SYX"),
        ((3, 9, 8), "QYX"),
        ((2, 3, 2, 9, 8), "TZCYX"),
        ((2, 2, 2, 2, 9, 8), "CQTZYX"),
        ((2, 1030, 600), "ZYX"),
    ],
)
def test_metadata_follows_the_specification(tmp_path, shape, axes, image):
    yaozarrs = pytest.importorskip(
        "yaozarrs", reason="yaozarrs checks the metadata; it comes with the test extra"
    )
    scale, units = {"X": 0.1, "Y": 0.1, "T": 2.0}, {"X": "micrometer", "Y": "micrometer", "T": "second"}
    path = save(tmp_path / "a.ome.zarr", image(shape), axes, metadata=ImageMetadata(axes, scale, units))
    document = json.loads((path / "zarr.json").read_text())
    yaozarrs.validate_ome_object(document["attributes"]["ome"], yaozarrs.v05.Image)
    yaozarrs.validate_zarr_store(str(path))


def test_one_file_per_plane_one_per_tile_of_larger_planes_and_one_for_many_small_planes(tmp_path, image):
    def files(path):
        return sum(p.is_file() for p in (path / "0" / "c").rglob("*"))

    middle = save(tmp_path / "middle.zarr", image((3, 400, 400)) + 1, "TYX", tile=512)
    assert files(middle) == 3
    large = save(tmp_path / "large.zarr", image((2, 130, 64)) + 1, "TYX", tile=64)
    assert files(large) == 2 * 3
    for shape, axes in (((600, 64, 50), "TYX"), ((20, 30, 64, 50), "TZYX"), ((2, 300, 64, 50), "CTYX")):
        array = image(shape)
        small = save(tmp_path / f"small-{axes}.zarr", array, axes, tile=64)
        assert files(small) <= 3
        stored = zarr.open_group(small, mode="r")["0"][:]
        np.testing.assert_array_equal(stored, array if axes != "CTYX" else np.swapaxes(array, 0, 1))


@pytest.mark.parametrize("tile", [64, 96, 608, 1024, 1184])
def test_chunks_are_small_and_tiles_are_whole_shards(tmp_path, tile, image):
    array = zarr.open_group(save(tmp_path / "a.zarr", image((1300, 40)), "YX", tile=tile))["0"]
    assert max(array.chunks) <= 512
    assert tile % array.shards[0] == 0 or array.shards[0] >= 1300
    assert array.shards[0] % array.chunks[0] == 0


def test_pyramid_halves_until_it_is_small(tmp_path, image):
    array = image((2, 1500, 700), "uint16")
    group = zarr.open_group(save(tmp_path / "a.zarr", array, "TYX", tile=512))
    datasets = group.attrs["ome"]["multiscales"][0]["datasets"]
    shapes = [group[entry["path"]].shape for entry in datasets]
    assert shapes == [(2, 1500, 700), (2, 750, 350), (2, 375, 175)]
    fine = array
    for entry in datasets[1:]:
        expected = np.stack([mean_2x2(plane) for plane in fine])
        np.testing.assert_array_equal(group[entry["path"]][:], expected)
        fine = expected
    assert datasets[2]["coordinateTransformations"] == [
        {"type": "scale", "scale": [1.0, 4.0, 4.0]},
        {"type": "translation", "translation": [0.0, 1.5, 1.5]},
    ]


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from(["uint8", "int32", "float32", "float64"]))
def test_mean_of_those_pixels_that_exist(rows, columns, dtype):
    plane = np.random.default_rng(rows * 10 + columns).integers(0, 200, (rows, columns)).astype(dtype)
    result = mean_2x2(plane)
    assert result.dtype == dtype
    assert result.shape == (-(-rows // 2), -(-columns // 2))
    whole = plane.dtype.kind in "iu"
    tolerance = 0.99 if whole else 1e-4  # down or up, so that the sum stays
    for y, x in np.ndindex(*result.shape):
        assert abs(result[y, x] - plane[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean()) <= tolerance
    means = [plane[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean() for y, x in np.ndindex(*result.shape)]
    assert abs(result.sum(dtype=float) - sum(means)) <= (0.51 if whole else 1e-2)


def test_largest_integers_do_not_overflow_in_the_mean():
    plane = np.full((3, 3), np.iinfo("uint32").max, "uint32")
    assert (mean_2x2(plane) == np.iinfo("uint32").max).all()


def test_job_is_kept_in_the_file(tmp_path, image):
    for job, expected in (('{"rate": 0.5}', {"rate": 0.5}), ("text", "text")):
        group = zarr.open_group(save(tmp_path / f"{len(job)}.zarr", image((9, 8)), "YX", job=job))
        assert group.attrs["napari_rdpdenoise"] == {"job": expected}


def test_display_range_per_channel(tmp_path):
    array = np.stack([np.full((9, 8), 5, "u2"), np.full((9, 8), 70, "u2")])
    array[0, 0, 0] = 2
    group = zarr.open_group(save(tmp_path / "a.zarr", array, "CYX"))
    windows = [channel["window"] for channel in group.attrs["ome"]["omero"]["channels"]]
    assert windows == [{"min": a, "max": b, "start": a, "end": b} for a, b in ((2, 5), (70, 70))]


def test_values_that_are_no_numbers_do_not_break_the_display_range(tmp_path):
    group = zarr.open_group(save(tmp_path / "a.zarr", np.full((2, 9, 8), np.nan, "f4"), "CYX"))
    assert group.attrs["ome"]["omero"]["channels"][0]["window"]["max"] == 1.0
    assert np.isnan(group["0"][:]).all()
