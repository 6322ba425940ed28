"""Reading ahead: batches of one kind in order, errors handed on, and an end that leaves no thread."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.io import SelectedSource, open_image
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream import Plan, make_plan
from napari_rdpdenoise.stream.reader import ReadAhead
from napari_rdpdenoise.stream.tile import TileTask

SETTINGS = RunSettings(device="cpu", rate=0.4, tile=64, halo=64)


@pytest.fixture
def source():
    image = np.random.default_rng(0).poisson(50, (3, 2, 130, 70)).astype(np.uint16)
    return SelectedSource(open_image(image, "TCYX"))


@pytest.fixture
def plan(source, tiny_codec) -> Plan:
    *_, plan = make_plan(source, SETTINGS, tiny_codec)
    return plan


@pytest.fixture
def task(source, plan, tiny_codec):
    """Makes the task of the source's tiles, changed as asked."""
    whole = TileTask(source, plan, tiny_codec, None, ("fidelity",))
    return lambda **changes: replace(whole, **changes)


def threads():
    return [t for t in threading.enumerate() if t.name == "read-ahead"]


def test_batches_are_of_one_kind_and_hold_everything(plan, task):
    reader = ReadAhead(plan.works, task().read)
    batches = list(reader.batches(lambda _: 3))
    reader.close()
    assert all(len(batch) <= 3 for batch in batches)
    for batch in batches:
        assert len({(item.work.channel, item.raw.shape) for item in batch}) == 1
    done = [item.work for batch in batches for item in batch]
    assert sorted(map(plan.works.index, done)) == list(range(len(plan.works)))
    assert not threads()


def test_planes_of_different_noise_are_not_in_one_batch(plan, task):
    tiles = task()

    def read(work):
        item = tiles.read(work)
        noise = replace(item.plan.normalization.noise, gain=1.0 + work.index[0])
        item.plan = replace(item.plan, normalization=item.plan.normalization.with_noise(noise))
        return item

    reader = ReadAhead(plan.works, read)
    batches = list(reader.batches(lambda _: 100))
    reader.close()
    assert all(len({item.plan.normalization for item in batch}) == 1 for batch in batches)
    assert sorted(plan.works.index(item.work) for batch in batches for item in batch) == list(
        range(len(plan.works))
    )


def test_order_is_kept_for_single_tiles(plan, task):
    reader = ReadAhead(plan.works, task().read)
    assert [batch[0].work for batch in reader.batches(lambda _: 1)] == list(plan.works)
    reader.close()


def test_closing_early_ends_the_thread(plan, task):
    reader = ReadAhead(plan.works * 50, task().read)
    next(reader.batches(lambda _: 1))
    reader.close()
    assert not threads()


def test_errors_come_in_their_place(source, plan, task):
    class Broken:
        metadata = source.metadata
        original = staticmethod(source.original)
        count = 0

        def read(self, index, y, x):
            self.count += 1
            if self.count > 3:
                raise OSError("no more")
            return source.read(index, y, x)

    reader = ReadAhead(plan.works, task(source=Broken()).read)
    batches = reader.batches(lambda _: 1)
    assert [len(next(batches)) for _ in range(3)] == [1, 1, 1]
    with pytest.raises(OSError, match="no more"):
        next(batches)
    reader.close()
    assert not threads()


def test_nothing_to_read_ends_at_once(task):
    reader = ReadAhead((), task().read)
    assert list(reader.batches(lambda _: 1)) == []
    reader.close()


def test_cached_latents_are_found_by_content(plan, task, tiny_codec):
    cache, other = LatentCache(folder=None), SimpleNamespace(identity=b"1" * 16)
    first = task(cache=cache)
    item = first.read(plan.works[0])
    assert item.latents is None
    assert first.encode([item])
    first.keep(item)
    again = first.read(plan.works[0])
    assert again.latents is not None
    assert not first.encode([again])
    assert np.array_equal(again.latents.symbols[0], item.latents.symbols[0])
    assert first.read(plan.works[1]).latents is None
    assert task(cache=cache, codec=other).read(plan.works[0]).latents is None
    assert task().read(plan.works[0]).latents is None


def test_tiles_together_are_what_each_is_alone(plan, task):
    tiles = task()
    alike = [work for work in plan.works if (work.channel, work.tile) == (0, plan.works[0].tile)]
    items = [tiles.read(work) for work in alike[:2]]
    items[0].latents = tiles.codec.encode([items[0].raw], items[0].plan.normalization, 0.4)[0]
    assert tiles.encode(items)
    assert [item.fresh for item in items] == [False, True]
    for item, decoded in zip(items, tiles.decode(items), strict=True):
        alone = tiles.do(item.work, nullcontext()).decoded
        np.testing.assert_allclose(decoded["fidelity"], alone["fidelity"], rtol=1e-4)
