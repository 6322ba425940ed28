"""What the three kinds of plans have in common."""

from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise.codec import library
from napari_rdpdenoise.finetune.images import Planes
from napari_rdpdenoise.finetune.plan import for_images
from napari_rdpdenoise.finetune.settings import PairsSettings, UnpairedSettings, ZeroShotSettings

PLANE = np.zeros((64, 64))


def planes(*, of_pictures):
    return Planes((PLANE,), ("a",), ("a",), of_pictures=of_pictures)


@pytest.mark.parametrize("kind", [PairsSettings, UnpairedSettings, ZeroShotSettings])
def test_the_default_to_start_from_is_that_of_a_run(kind):
    settings = kind()
    assert for_images(settings, planes(of_pictures=False)) is settings
    meant = for_images(settings, planes(of_pictures=True))
    assert meant == kind(model=library.default_model("SYX", (3, 64, 64)))
    assert meant.model == library.COLOUR_MODEL
    named = kind(model=library.DEFAULT_MODEL)
    assert for_images(named, planes(of_pictures=True)) is named
