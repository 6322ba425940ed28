from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise.io import ImageMetadata
from napari_rdpdenoise.io.arrays import ArraySource
from napari_rdpdenoise.io.metadata import Channel
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream import output_spec


@pytest.mark.parametrize(("quantity", "window"), [("image", (10.0, 900.0)), ("kept", None)])
def test_contrast_is_that_of_the_image_where_an_image_is_made(tiny_codec, quantity, window):
    shown = Channel("FF0000", (10.0, 900.0), (0.0, 4095.0), emission=600.0)
    source = ArraySource(np.zeros((60, 70), np.uint16), "YX", ImageMetadata("YX", channels=(shown,)))
    (found,) = output_spec(source, RunSettings(quantity=quantity), tiny_codec).metadata.channels
    assert (found.color, found.emission, found.window) == ("FF0000", 600.0, window)
    assert (found.limits is None) == (window is None)
