"""Opening stores: what is chosen, where, and by whom it is read."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import zarr

import napari_rdpdenoise as rdp
from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.store.reading import iter_chunks, open_store
from napari_rdpdenoise.store.view import View, current_view, store_view


@pytest.fixture
def made(store, stack):
    image = stack((3, 80, 96))
    return image, store(image)


def alike(found, expected):
    """Equal but for how two threads add up, which may turn the rounding of a pixel."""
    return (found == expected).mean() > 0.999 and np.abs(found.astype(int) - expected).max() <= 1


def test_zarr_and_image_readers_see_the_denoised_image(made):
    image, path = made
    expected = open_store(path)[...]
    assert alike(zarr.open_group(path, mode="r")["0"][...], expected)
    source = open_image(path)
    assert source.dtype == image.dtype
    assert alike(source.read((1,), slice(0, 80), slice(0, 96)), expected[1])


def test_the_choice_at_opening_comes_before_the_context_and_that_before_the_environment(made, monkeypatch):
    _, path = made
    denoised, kept = open_store(path)[...], open_store(path, layer="original")[...]
    assert (denoised != kept).any()
    array = zarr.open_group(path, mode="r")["0"]
    monkeypatch.setenv("RDPDENOISE_STORE_LAYER", "original")
    assert alike(array[...], kept)
    with store_view(layer="denoised"):
        assert alike(array[...], denoised)
        assert alike(open_store(path, layer="original")[...], kept)
    monkeypatch.delenv("RDPDENOISE_STORE_LAYER")
    assert alike(array[...], denoised)


def test_contexts_nest():
    with store_view(realism=0.5), store_view(layer="original"):
        assert current_view() == View(0.5, "original")
        assert current_view(realism=0.1) == View(0.1, "original")
    assert current_view() == View()


def test_realism_by_the_environment(made, monkeypatch):
    _, path = made
    natural = open_store(path, realism=1.0)[...]
    monkeypatch.setenv("RDPDENOISE_STORE_REALISM", "1")
    assert alike(zarr.open_group(path, mode="r")["0"][...], natural)


@pytest.mark.parametrize(("name", "value"), [("REALISM", "much"), ("REALISM", "2"), ("LAYER", "best")])
def test_a_wrong_environment_is_told(monkeypatch, name, value):
    monkeypatch.setenv(f"RDPDENOISE_STORE_{name}", value)
    with pytest.raises(ValueError, match="RDPDENOISE_STORE_REALISM, RDPDENOISE_STORE_LAYER: expected"):
        current_view()


@pytest.mark.parametrize("wrong", [{"realism": -0.1}, {"layer": "raw"}, {"level": 3}])
def test_a_wrong_choice_is_refused(made, wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: expected"):
        open_store(made[1], **wrong)


def test_dask_reads_it_in_threads(made):
    import dask.array as da

    _, path = made
    for view in ({"layer": "original"}, {"realism": 1.0}, {}):
        array = open_store(path, **view)
        lazy = da.from_zarr(array)
        assert lazy.chunksize[0] in (1, 3)
        assert alike(lazy.compute(scheduler="threads", num_workers=3), array[...])
        assert alike(da.from_array(array, (1, 80, 96)).compute(), array[...])


def test_an_open_store_travels(made):
    array = open_store(made[1], layer="original")
    assert alike(pickle.loads(pickle.dumps(array))[...], array[...])


def test_an_open_store_can_be_denoised_or_measured(made):
    array = open_store(made[1], layer="original")
    assert rdp.denoise(array, axes="TYX", rate=0.5, device="cpu").shape == made[0].shape


def test_nothing_can_be_written_by_accident(made):
    with pytest.raises(ValueError, match="read-only"):
        open_store(made[1])[0] = 0


def test_another_zarr_is_no_store(tmp_path, made):
    zarr.create_group(tmp_path / "b.zarr").create_array("0", shape=(4, 4), dtype="u2")
    with pytest.raises(ValueError, match="store: expected an OME-Zarr that `store create` wrote"):
        open_store(tmp_path / "b.zarr")
    with pytest.raises(FileNotFoundError, match="store: expected one at"):
        open_store(tmp_path / "c.zarr")


def test_chunks_are_seen_without_being_decoded(made):
    chunks = list(iter_chunks(made[1]))
    assert [chunk.place for chunk in chunks] == [(0, 0, 0), (1, 0, 0), (2, 0, 0)]
    assert all("R" in tile.layers for chunk in chunks for tile in chunk.tiles)


@pytest.mark.display
@pytest.mark.parametrize("plugin", ["napari", "napari-rdpdenoise"])
def test_napari_opens_it(made, make_napari_viewer, plugin):
    _, path = made
    viewer = make_napari_viewer()
    viewer.open(str(path / "0" if plugin == "napari" else path), plugin=plugin)
    (layer,) = viewer.layers
    assert alike(np.asarray(layer.data), open_store(path)[...])
