"""Decoded chunks of a zarr array are kept: in memory, or in files where that is too small."""

from __future__ import annotations

import pickle
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.io.ome_zarr.decoded_chunks import DecodedChunks


def write(path, array, chunks, **options):
    options |= {"shape": array.shape, "dtype": array.dtype, "chunks": chunks}
    made = zarr.create_array(path, dimension_names=("t", "y", "x"), **options)
    made[...] = array  # with data=array, zarr 3.1.0 lets chunks of one shard overwrite each other
    return path


@pytest.mark.parametrize("chunks", [(1, 50, 40), (7, 16, 16), (20, 50, 40), (20, 7, 40)])
@pytest.mark.parametrize("options", [{}, {"shards": True}])
def test_any_region_equals_that_of_the_whole(tmp_path, chunks, options, image, same_pixels):
    array = image((20, 50, 40))
    if options:
        options = {"shards": tuple(2 * size for size in chunks)}
    same_pixels(open_image(write(tmp_path / "a.zarr", array, chunks, **options)), array, "TYX", regions=40)


@pytest.mark.parametrize("memory", [2**20, 8_000, 0])
def test_each_chunk_is_decoded_once_for_all_planes_in_it(tmp_path, memory, image, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    array = image((20, 50, 40))
    source = DecodedChunks(zarr.open_array(write(tmp_path / "a.zarr", array, (10, 25, 20)), mode="r"), memory)
    for t in range(20):
        np.testing.assert_array_equal(source[t, 0:50, 0:40], array[t])
        np.testing.assert_array_equal(source[t, 3:30, 5:22], array[t, 3:30, 5:22])
    assert source.decoded == 8
    kept = list(tmp_path.glob("rdpdenoise-chunks-*"))
    assert len(kept) == (memory < 2**20)
    del source
    assert not list(tmp_path.glob("rdpdenoise-chunks-*"))


def test_a_plane_costs_the_same_however_long_the_chunks_are(tmp_path):
    took = {}
    for length in (16, 512):
        array = np.random.default_rng(0).integers(0, 999, (length, 128, 128), dtype=np.uint16)
        source = open_image(write(tmp_path / f"{length}.zarr", array, (length, 64, 64)))
        began = time.perf_counter()
        for t in range(length):
            source.read((t,), slice(0, 128), slice(0, 128))
        took[length] = (time.perf_counter() - began) / length
    assert took[512] < 3 * took[16]


def test_several_threads_read_the_same_pixels(tmp_path, image):
    array = image((20, 50, 40))
    source = DecodedChunks(zarr.open_array(write(tmp_path / "a.zarr", array, (10, 25, 20)), mode="r"), 8_000)
    with ThreadPoolExecutor(4) as pool:
        read = pool.map(lambda t: np.array_equal(source[t % 20, 0:50, 0:40], array[t % 20]), range(100))
        assert all(read)


def test_it_travels_to_other_processes_without_what_it_keeps(tmp_path, image):
    array = image((20, 50, 40))
    source = DecodedChunks(zarr.open_array(write(tmp_path / "a.zarr", array, (10, 25, 20)), mode="r"))
    np.testing.assert_array_equal(source[3, 0:50, 0:40], array[3])
    again = pickle.loads(pickle.dumps(source))
    assert again.decoded == 0
    np.testing.assert_array_equal(again[4, 0:50, 0:40], array[4])


def test_an_array_in_hand_is_read_as_it_is_now(tmp_path, image):
    array = zarr.open_array(write(Path(tmp_path) / "a.zarr", image((2, 50, 40)), (2, 25, 20)), mode="r+")
    source = open_image(array)
    source.read((0,), slice(0, 50), slice(0, 40))
    array[0] = 7
    assert (source.read((0,), slice(0, 50), slice(0, 40)) == 7).all()
