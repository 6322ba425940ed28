"""A crop of a store is what the whole has there, and only what it needs is computed."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

from napari_rdpdenoise.codec import Codec
from napari_rdpdenoise.store.reading import open_store

WHOLE = np.s_[:, :, :]
CROPS = (
    np.s_[0, 0:20, 0:30],
    np.s_[1, 621:640, 100:190],
    np.s_[:, 300, ::7],
    np.s_[0, 256:320, 64:128],
    np.s_[1, 639, 199],
)


@pytest.fixture
def computed(monkeypatch):
    """Shapes of what the network decodes."""
    shapes, decode = [], Codec.decode

    def watched(self, latents, *more, **named):
        shapes.extend(item.shape for item in latents)
        return decode(self, latents, *more, **named)

    monkeypatch.setattr(Codec, "decode", watched)
    return shapes


@pytest.mark.parametrize("settings", [{"structure": "none"}, {"tile": 384, "halo": 64, "batch": 1}])
@pytest.mark.parametrize("layer", ["denoised", "original"])
def test_crops_are_of_the_whole(store, stack, computed, settings, layer):
    image = stack((2, 640, 200), np.float32)
    image[1, 300, :50] = np.nan
    path = store(image, **settings)
    for realism in (0.0, 0.5) if layer == "denoised" else (0.0,):
        array = open_store(path, layer=layer, realism=realism)
        whole = array[WHOLE]
        deviation = np.nanstd(whole)
        for crop in CROPS:
            computed.clear()
            found = array[crop]
            assert sum(map(np.prod, computed)) < 0.75 * image[0].size * (1 + (crop[0] == slice(None)))
            assert np.array_equal(np.isnan(found), np.isnan(whole[crop]))
            off = np.nanmax(np.abs(found - whole[crop]), initial=0)
            assert off < 1e-4 * deviation


def test_selections_of_every_kind(store, stack):
    image = stack((3, 70, 80))
    path = store(image, "none", structure="none")
    array, whole = open_store(path), open_store(path)[...]
    rows, columns = [3, 60, 5], [79, 0, 44]
    np.testing.assert_array_equal(array.oindex[[0, 2], :, columns], whole[[0, 2]][:, :, columns])
    np.testing.assert_array_equal(array.vindex[[0, 1, 2], rows, columns], whole[[0, 1, 2], rows, columns])
    mask = np.zeros(whole.shape, bool)
    mask[1, 10:12, ::9] = True
    np.testing.assert_array_equal(array.vindex[mask], whole[mask])
    np.testing.assert_array_equal(array[..., 5], whole[..., 5])
    assert array[0:0].shape == (0, 70, 80)


@pytest.mark.parametrize("shards", [None, (2, 64, 64)])
def test_an_array_of_zarr_alone(stack, shards):
    from napari_rdpdenoise.store.zarr_codec import RdpDenoiseCodec

    image = stack((4, 64, 64))
    array = zarr.create_array(
        zarr.storage.MemoryStore(),
        shape=image.shape,
        dtype=image.dtype,
        chunks=(2, 32, 64),
        shards=None if shards is None else (2, 64, 64),
        serializer=RdpDenoiseCodec(rate=0.5, residual="lossless", layer="original", noise=(1.0, 100.0, 2.0)),
        compressors=None,
        fill_value=7,
    )
    array[:2] = image[:2]
    expected = np.concatenate([image[:2], np.full_like(image[2:], 7)])
    np.testing.assert_array_equal(array[...], expected)
    for crop in (np.s_[1, 5:40, 3], np.s_[1:3, 31:33], np.s_[3], np.s_[::2, ::5, ::-1][:2]):
        np.testing.assert_array_equal(array[crop], expected[crop])
    array[1, 2:4, 5:9] = 50  # a part of a chunk: the rest stays
    expected[1, 2:4, 5:9] = 50
    np.testing.assert_array_equal(array[...], expected)
