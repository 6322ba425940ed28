"""One tile by itself: what nothing is removed of does not trouble the network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_rdpdenoise.codec.choice import RateChoice
from napari_rdpdenoise.io import SelectedSource, open_image
from napari_rdpdenoise.stream.plan import Plan, Work
from napari_rdpdenoise.tiles import plan_tiles

LEFT_ALONE = RateChoice(1.0, 1.0, 1.0, 0.5, ((1.0, 0.5, 1.0),), None, structure=True, left_alone=True)


class Ends:
    """A turn of the device that counts how often it was taken."""

    count = 0

    def __enter__(self):
        self.count += 1

    def __exit__(self, *_):
        pass


@pytest.fixture
def task_of(tiny_realism_codec):
    """The task of an image, and its plan; the plan is found as a run does, at a given rate."""
    from napari_rdpdenoise.settings import RunSettings
    from napari_rdpdenoise.stream.prepare import make_plan
    from napari_rdpdenoise.stream.tile import TileTask

    def make(image, **changes):
        source = open_image(image)
        settings = RunSettings(rate=0.5, structure="none", device="cpu")
        *_, plan = make_plan(source, settings, tiny_realism_codec)
        channels = {0: replace(plan.channels[0], **changes)}
        names = ("fidelity", "realism")
        return TileTask(SelectedSource(source), Plan((), channels, ()), tiny_realism_codec, None, names)

    return make


def _tiles(shape):
    return plan_tiles(shape, 64, 64)


def _by_the_network(task, work):
    item = task.read(work)
    task.encode([item])
    (decoded,) = task.decode([item])
    return item, decoded


def _noisy(shape):
    return np.random.default_rng(0).poisson(300, shape).astype(np.uint16)


def _blank(shape):
    return np.full(shape, 100, np.uint16)


def _half_blank(shape):
    image = _noisy(shape)
    image[:, :128] = 0
    return image


@pytest.mark.parametrize(
    ("image", "changes", "asked"),
    [
        (_blank((70, 80)), {}, 0),
        (_noisy((64, 256)), {"structure": True, "choice": LEFT_ALONE}, 0),
        (_noisy((64, 256)), {"structure": True}, 4),
        (_half_blank((64, 256)), {}, 2),
    ],
)
def test_only_what_something_is_removed_of_is_computed_and_all_is_as_the_network_gives_it(
    task_of, image, changes, asked
):
    task, turn = task_of(image, **changes), Ends()
    for tile in _tiles(image.shape):
        work = Work((), tile, 0)
        item, decoded = task.do(work, turn)
        other, expected = _by_the_network(task, work)
        assert tuple(decoded) == tuple(expected)
        for name in decoded:
            blocks = [
                one.core(images[name], image.dtype)[0] for one, images in ((item, decoded), (other, expected))
            ]
            np.testing.assert_array_equal(*blocks)
    assert turn.count == asked


def test_a_pixel_that_saturates_is_denoised_though_the_rest_is_left_alone(task_of):
    image = _noisy((64, 64))
    image[30, 30] = 65535
    task = task_of(image, structure=True, choice=LEFT_ALONE)
    turn = Ends()
    task.do(Work((), _tiles(image.shape)[0], 0), turn)
    assert turn.count == 1
