"""Colours stay colours: light is denoised, opacity is copied, whichever way the image is asked for."""

from __future__ import annotations

import numpy as np
import pytest

import napari_rdpdenoise as rdp
from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream import Plan, make_plan

# flat light of random counts says little about its noise, and a random model removes too much
pytestmark = pytest.mark.filterwarnings("ignore:.*(noise|photo|removed part)")

RGBA = np.random.default_rng(0).poisson(90, (100, 130, 4)).astype(np.uint8)
RGBA[..., 3] = 255
RGBA[20:40, 30:50, 3] = np.arange(20)


@pytest.mark.parametrize("tile", [64, 1024])
@pytest.mark.parametrize("lazy", [False, True])
def test_opacity_is_copied(tiny_codec, tile, lazy):
    image = RGBA
    if lazy:
        import dask.array as da

        image = da.from_array(RGBA)
    result = np.asarray(rdp.denoise(image, model=tiny_codec, rate=0.5, device="cpu", tile=tile, halo=64))
    np.testing.assert_array_equal(result[..., 3], RGBA[..., 3])
    assert (result[..., :3] != RGBA[..., :3]).mean() > 0.3


def test_opacity_has_no_noise_to_be_measured(tiny_codec):
    steps = make_plan(open_image(RGBA, "YXS"), RunSettings(rate=0.5, device="cpu"), tiny_codec)
    plan = next(step for step in steps if isinstance(step, Plan))
    assert sorted(plan.channels) == [0, 1, 2]


def test_four_channels_that_are_no_colours_are_all_denoised(tiny_codec):
    image = np.moveaxis(RGBA, -1, 0).copy()
    image[3] = image[0]
    result = rdp.denoise(image, axes="CYX", model=tiny_codec, rate=0.5, device="cpu")
    assert (result[3] != image[3]).mean() > 0.3


def test_opacity_alone_is_refused(tiny_codec):
    with pytest.raises(ValueError, match="found opacity alone"):
        rdp.denoise(RGBA, model=tiny_codec, rate=0.5, device="cpu", channels=(3,))
