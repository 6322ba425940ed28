"""Stores as they are made: what they promise of both layers, whatever comes in."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
import zarr
from stores import last, quick, steps

import napari_rdpdenoise as rdp
from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.io.output.pyramid import mean_2x2
from napari_rdpdenoise.jobs.job import Job
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.store import layers
from napari_rdpdenoise.store.about import store_info
from napari_rdpdenoise.store.reading import iter_chunks, open_store
from napari_rdpdenoise.store.units import to_units

OPTIONS = {"rate": 0.5, "device": "cpu", "precision": "float32", "batch": 1}  # chunks are decoded one by one


def noise_of(path):
    return NoiseModel(*store_info(path).channels[0].noise)


def error(path, image):
    """Error of the original layer, noise standard deviations, without what rounding to counts adds."""
    noise, kept = noise_of(path), open_store(path, layer="original")[...]
    found = np.abs(to_units(kept, noise) - to_units(image, noise))
    if image.dtype.kind in "iu":
        found -= (to_units(kept + 0.5, noise) - to_units(kept - 0.5, noise)) / 2
    return found


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize(("residual", "step"), [("1", 1.0), ("0.5", 0.5)])
def test_the_original_is_within_half_a_step_of_its_noise(store, stack, dtype, residual, step):
    image = stack(dtype=dtype)
    path = store(image, residual)
    kept = open_store(path, layer="original")
    assert kept.dtype == image.dtype
    assert kept.shape == image.shape
    assert error(path, image).max() <= step / 2 + 1e-3


@pytest.mark.parametrize(("residual", "raised"), [("1", 0.04), ("0.5", 0.011)])
def test_noise_is_raised_by_what_is_promised(store, stack, residual, raised):
    image = stack((1, 256, 256), np.float32)
    path = store(image, residual)
    noise = noise_of(path)
    off = to_units(open_store(path, layer="original")[...], noise) - to_units(image, noise)
    assert np.sqrt(1 + np.square(off).mean()) - 1 < raised + 0.003


def test_the_original_has_no_favourite_values(store, stack):
    image = np.random.default_rng(0).normal(1000, 30, (1, 256, 256)).astype(np.uint16)
    kept = open_store(store(image, "1", camera=(0.0, 0.0, 30.0)), layer="original")[...]
    counts = np.bincount(kept.ravel(), minlength=1101)[940:1060].astype(float)
    smooth = np.convolve(counts, np.ones(9) / 9, "same")[5:-5]
    assert np.square(counts[5:-5] - smooth).mean() < 2 * smooth.mean()  # as counts of chance alone


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int16", "float32"])
def test_lossless_is_lossless(store, stack, dtype):
    image = stack(dtype=dtype)
    np.testing.assert_array_equal(open_store(store(image, "lossless"), layer="original")[...], image)


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize("realism", [0.0, 0.6])
def test_the_denoised_layer_is_what_a_run_gives(store, stack, dtype, realism):
    image = stack(dtype=dtype)
    path = store(image, "1", structure="none")
    expected = rdp.denoise(image, realism=realism, structure="none", **OPTIONS)
    found = open_store(path, realism=realism)[...]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1 if found.dtype.kind == "u" else 0)
    assert found.dtype.kind == "f" or (found == expected).mean() > 0.999


@pytest.mark.parametrize("residual", ["1", "none", "lossless"])
def test_structure_that_a_run_gives_back_is_in_the_store(store, residual):
    rng = np.random.default_rng(0)
    image = rng.poisson(400 * (1 + 0.6 * (np.indices((128, 128)).sum(0) % 2)) + 100.0).astype(np.uint16)
    image[:, :64] = rng.poisson(500, (128, 64))
    camera = {"camera": (1.0, 0.0, 1.0), "structure": "auto"}
    expected = rdp.denoise(image, **camera, **OPTIONS).astype(float)
    without = rdp.denoise(image, camera=(1.0, 0.0, 1.0), structure="none", **OPTIONS).astype(float)
    found = open_store(store(image, residual, **camera))[...].astype(float)
    noise = np.sqrt(500)
    assert np.abs(expected - without).max() > 3 * noise  # there is such structure
    assert np.sqrt(np.square(found - expected).mean()) < 0.35 * noise


@pytest.mark.parametrize("residual", ["1", "none", "lossless"])
def test_texture_that_a_run_gives_back_is_in_the_store(store, residual):
    place = np.indices((128, 192)).sum(0)
    light = 500 + 20 * np.sin(2.3 * place) + 300 * (place % 120 < 40)
    image = np.random.default_rng(0).poisson(light).astype(np.uint16)
    camera = {"camera": (1.0, 0.0, 1.0), "structure": "auto"}
    expected = rdp.denoise(image, **camera, **OPTIONS).astype(float)
    path = store(image, residual, **camera)
    assert layers.TEXTURE in next(iter_chunks(path)).tiles[0].layers
    found, noise = open_store(path)[...].astype(float), np.sqrt(light.mean())
    # structure in steps of half the noise, texture in those of a quarter
    assert np.sqrt(np.square(found - expected).mean()) < 1.1 * np.hypot(0.5, 0.25) / np.sqrt(12) * noise
    if residual != "none":
        assert error(path, image).max() <= (0.5 + 1e-3 if residual == "1" else 0)


@pytest.mark.parametrize("residual", ["1", "none", "lossless"])
def test_what_is_no_image_comes_out_as_it_went_in(store, stack, residual):
    image = stack((1, 128, 128), np.float32)
    image[0, :40] = np.nan
    path = store(image, residual)
    assert np.isnan(open_store(path)[0, :40]).all()
    assert np.isfinite(open_store(path)[0, 40:]).all()
    if residual != "none":
        kept = open_store(path, layer="original")
        np.testing.assert_array_equal(np.isnan(kept[...]), np.isnan(image))


def test_a_hot_pixel_is_gone_from_the_denoised_layer_alone(store, stack):
    image = stack((1, 128, 128))
    image[0, 60, 70] = 30000
    path = store(image, "1")
    assert open_store(path)[0, 60, 70] < 2000
    assert open_store(path, layer="original")[0, 60, 70] == 30000


def test_pixels_far_below_the_offset_keep_their_values(store, stack):
    image = stack((1, 128, 128), np.float32)
    image[0, 64:] = np.random.default_rng(0).normal(100, 3, (64, 128))
    path = store(image, "1", camera=(2.0, 100.0, 3.0))
    assert error(path, image).max() <= 0.501


def test_a_residual_that_is_no_noise_is_kept_losslessly_and_told(stack, tmp_path, store):
    rng = np.random.default_rng(0)
    image = rng.normal(1000, 60, (1, 128, 128)).astype(np.uint16)
    job = Job(
        image,
        tmp_path / "b.ome.zarr",
        quick(camera=(0.0, 0.0, 10.0), structure="none"),
        residual="1",
    )
    report = last(steps(job)).report
    assert any("kept losslessly" in message for message in report.messages)
    np.testing.assert_array_equal(open_store(tmp_path / "b.ome.zarr", layer="original")[...], image)
    assert store_info(tmp_path / "b.ome.zarr").lossless == 1


def test_the_original_that_was_not_kept_is_refused_in_words(store, stack):
    path = store(stack(), "none")
    with pytest.raises(ValueError, match="layer: expected a store with a residual layer"):
        open_store(path, layer="original")[...]


def test_a_store_is_smaller_than_what_it_replaces(store, stack):
    import imagecodecs

    image = stack((1, 512, 512))
    sizes = {
        residual: store_info(store(image, residual, name=f"{residual}.ome.zarr"))
        for residual in ("1", "none")
    }
    assert 8 * sizes["1"].size / image.size < 3.5
    assert sizes["none"].size < sizes["1"].size < len(imagecodecs.jpegxl_encode(image[0], lossless=True))


def test_larger_planes_are_tiles_and_show_no_seam(store, stack):
    image = stack((1, 400, 360))
    path = store(image, "1", tile=256, structure="none")
    array = open_store(path)
    assert array.chunks == (1, 256, 256)
    expected = rdp.denoise(image, tile=256, structure="none", **OPTIONS)
    assert (array[...] == expected).mean() > 0.999
    assert np.abs(array[...].astype(int) - expected).max() <= 1
    assert np.abs(array[0, 250:262, 200:300].astype(int) - expected[0, 250:262, 200:300]).max() <= 1
    assert error(path, image).max() <= 0.501


def test_axes_scale_and_channels_are_kept(store, stack, tmp_path):
    import tifffile

    image = stack((2, 3, 64, 80))
    meta = {
        "axes": "TCYX",
        "PhysicalSizeX": 0.2,
        "PhysicalSizeXUnit": "µm",
        "Channel": {"Name": ["a", "b", "c"]},
    }
    tifffile.imwrite(tmp_path / "in.ome.tif", image, metadata=meta)
    path = store(str(tmp_path / "in.ome.tif"))
    known = open_image(path)
    assert known.metadata.axes == "TCYX"
    assert known.metadata.scale["X"] == pytest.approx(0.2)
    assert known.metadata.channel_names == ("a", "b", "c")
    assert len(store_info(path).channels) == 3


def test_the_metadata_are_valid(store, stack):
    from yaozarrs import validate_zarr_store

    validate_zarr_store(store(stack((2, 64, 600))))


@pytest.mark.parametrize(
    ("dtype", "settings"),
    [
        ("float32", {}),
        ("float32", {"tile": 640, "structure": "none"}),
        ("uint16", {"tile": 640, "precision": "bfloat16"}),
    ],
)
def test_lower_resolutions_are_of_the_denoised_image(store, stack, dtype, settings):
    image = stack((2, 96, 1201), dtype)
    image[0, :30, :200] = 0  # kept as it is
    path = store(image, **settings)
    levels = [open_store(path, level=level) for level in range(3)]
    assert [level.shape for level in levels] == [(2, 96, 1201), (2, 48, 601), (2, 24, 301)]
    for finer, coarser in pairwise(levels):
        for t in range(2):
            means = mean_2x2(finer[t].astype(np.float32))
            assert np.abs(coarser[t] - means).max() <= (0 if dtype == "float32" else 1)


def test_no_tile_is_decoded_again_for_the_lower_resolutions(store, stack, monkeypatch):
    def decoded(*_):
        raise AssertionError

    monkeypatch.setattr("napari_rdpdenoise.store.chunk.decode_chunk", decoded)
    with pytest.raises(AssertionError):
        open_store(store(stack((1, 64, 600)), "none"))[...]


def test_many_planes_share_files(store, stack):
    path = store(stack((40, 16, 16)), "none", structure="none")
    assert len([file for file in (path / "0" / "c").rglob("*") if file.is_file()]) == 1
    assert zarr.open_group(path, mode="r")["0"].shards == (40, 16, 16)


def test_no_encoder_is_needed_where_the_latents_are_cached(stack, tmp_path):
    cache, image = rdp.LatentCache(folder=tmp_path / "cache"), stack()
    settings = quick(tile=1024, structure="none")
    last(steps(Job(image, tmp_path / "run.ome.zarr", settings), cache=cache))
    job = Job(image, tmp_path / "a.ome.zarr", settings, residual="1")
    assert last(steps(job, cache=cache)).report.encoder_calls == 0


@pytest.mark.parametrize("wrong", [{"realism": 0.5}, {"dtype": "float32"}, {"quantity": "kept"}])
def test_settings_of_no_use_are_refused(store, stack, wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: expected .* for a store"):
        store(stack((1, 64, 64)), **wrong)


def test_another_ending_is_refused(store, stack):
    with pytest.raises(ValueError, match=r"expected a store that ends with .ome.zarr, found"):
        store(stack((1, 64, 64)), name="a.ome.tif")


def test_an_interrupted_store_goes_on_and_is_the_same(stack, tmp_path):
    image = stack((4, 64, 64))
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    last(steps(Job(image, whole / "a.ome.zarr", quick(batch=1), residual="1")))
    for rounds in range(1, 6):
        running = steps(Job(image, parts / "a.ome.zarr", quick(batch=1), residual="1"))
        for _, event in zip(range(4 + rounds), running, strict=False):
            del event
        running.close()
    last(steps(Job(image, parts / "a.ome.zarr", quick(batch=1), residual="1")))
    assert contents(parts / "a.ome.zarr") == contents(whole / "a.ome.zarr")


def contents(folder):
    found = {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()
    }
    attributes = json.loads(found.pop("zarr.json"))
    del attributes["attributes"]["napari_rdpdenoise"]["job"]
    return found, attributes
