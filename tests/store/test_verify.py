"""Stores against their input, and what they say of themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
import zarr
from exposures import corrected

import napari_rdpdenoise as rdp
from napari_rdpdenoise.store.about import store_info


@pytest.mark.parametrize(("residual", "rms"), [("1", 0.289), ("0.5", 0.144), ("lossless", 0.0)])
def test_a_store_holds_what_it_promises(store, stack, residual, rms):
    image = stack((2, 128, 128), np.float32)
    found = rdp.verify_store(store(image, residual), image, axes="TYX")
    (channel,) = found.channels
    assert found.holds
    assert channel.rms == pytest.approx(rms, abs=0.01)
    assert channel.added_noise == pytest.approx(math.sqrt(1 + rms**2) - 1, abs=0.005)
    assert channel.worst <= 2 * rms
    assert channel.mean == pytest.approx(image.mean(dtype=float))
    assert channel.denoised_mean == pytest.approx(channel.mean, rel=1e-3)


def test_planes_of_different_noise_are_held_to_their_own(store):
    image = corrected(0.1, 8, (96, 128))
    found = rdp.verify_store(store(image, "1", axes="TYX"), image)
    assert found.holds
    assert found.channels[0].rms == pytest.approx(0.289, abs=0.02)


def test_another_image_does_not_hold(store, stack):
    image = stack()
    path = store(image)
    image[1, 40, 50] += 900
    assert not rdp.verify_store(path, image).holds


def test_without_the_original_there_are_means_alone(store, stack):
    image = stack()
    found = rdp.verify_store(store(image, "none"), image)
    assert found.holds
    assert math.isnan(found.channels[0].worst)
    assert math.isnan(found.channels[0].rms)


def test_missing_pixels_are_compared_too(store, stack):
    image = stack((1, 128, 128), np.float32)
    image[0, :32] = np.nan
    path = store(image)
    assert rdp.verify_store(path, image).holds
    image[0, 100, 100] = np.nan
    assert not rdp.verify_store(path, image).holds


def test_channels_and_times_that_were_chosen_are_compared(store, stack):
    image = stack((3, 2, 96, 96))
    path = store(image, axes="TCYX", channels=(1,), time=(1, 3))
    found = rdp.verify_store(path, image)
    assert found.holds
    assert found.channels[0].mean == pytest.approx(image[1:3, 1].mean())


def test_an_image_of_another_shape_is_refused(store, stack):
    with pytest.raises(ValueError, match="image: expected the one that the store was made from"):
        rdp.verify_store(store(stack()), stack((3, 96, 128)))


def test_a_store_says_where_its_bytes_are(store, stack):
    image = stack((2, 3, 64, 64))
    path = store(image, axes="TCYX")
    info = store_info(path)
    assert (info.shape, info.axes, info.dtype, info.residual) == (image.shape, "TCYX", "uint16", "1")
    assert [channel.channel for channel in info.channels] == [0, 1, 2]
    assert info.tiles == 6
    files = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    assert info.size == files
    assert 0 < files - sum(info.coded.values()) < 6000  # metadata and the index of the shard
    assert info.coded["latents"] > 0
    assert info.coded["residual"] > 0


def test_the_configuration_names_rate_and_noise_of_a_single_channel(store, stack):
    path = store(stack(), camera=(2.0, 100.0, 3.0))
    text = (path / "0" / "zarr.json").read_text(encoding="utf-8")
    assert '"noise": [' in text
    (channel,) = store_info(path).channels
    assert channel.noise == (2.0, 100.0, 3.0)
    assert channel.rate == 0.5


@pytest.mark.parametrize("layer", ["denoised", "original"])
@pytest.mark.parametrize("ending", [".ome.tif", ".ome.zarr"])
def test_layers_are_extracted(store, stack, tmp_path, layer, ending):
    image = stack((2, 2, 96, 96))
    path = store(image, axes="TCYX")
    out = rdp.extract_store(path, tmp_path / f"out{ending}", layer=layer)
    found = rdp.open_image(out)
    assert found.metadata.axes == "TCYX"
    expected = rdp.open_store(path, layer=layer)[...]
    for t, c in np.ndindex(2, 2):
        block = found.read((t, c), slice(0, 96), slice(0, 96)).astype(int)
        assert np.abs(block - expected[t, c]).max() <= 1
    with pytest.raises(FileExistsError):
        rdp.extract_store(path, out, layer=layer)


def test_extracting_large_planes_takes_each_chunk_once(store, stack, tmp_path):
    image = stack((1, 300, 400))
    path = store(image, tile=256)
    out = rdp.extract_store(path, tmp_path / "out.ome.zarr", layer="original")
    found = zarr.open_group(out, mode="r")["0"][...].astype(int)
    assert np.abs(found - rdp.open_store(path, layer="original")[...]).max() <= 1
