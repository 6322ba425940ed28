"""Reading ahead: batches of one kind in order, errors handed on, and an end that leaves no thread."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream import Plan, make_plan
from napari_rdpdenoise.stream.reader import ReadAhead, read_item

SETTINGS = RunSettings(device="cpu", rate=0.4, tile=64, halo=64)


@pytest.fixture
def source():
    return open_image(np.random.default_rng(0).poisson(50, (3, 2, 130, 70)).astype(np.uint16), "TCYX")


@pytest.fixture
def plan(source, tiny_codec) -> Plan:
    *_, plan = make_plan(source, SETTINGS, tiny_codec)
    return plan


def threads():
    return [t for t in threading.enumerate() if t.name == "read-ahead"]


def test_batches_are_of_one_kind_and_hold_everything(source, plan):
    reader = ReadAhead(source, plan.works, plan, b"0" * 16, None)
    batches = list(reader.batches(lambda _: 3))
    reader.close()
    assert all(len(batch) <= 3 for batch in batches)
    for batch in batches:
        assert len({(item.work.channel, item.raw.shape) for item in batch}) == 1
    done = [item.work for batch in batches for item in batch]
    assert sorted(map(plan.works.index, done)) == list(range(len(plan.works)))
    assert not threads()


def test_order_is_kept_for_single_tiles(source, plan):
    reader = ReadAhead(source, plan.works, plan, b"0" * 16, None)
    assert [batch[0].work for batch in reader.batches(lambda _: 1)] == list(plan.works)
    reader.close()


def test_closing_early_ends_the_thread(source, plan):
    reader = ReadAhead(source, plan.works * 50, plan, b"0" * 16, None)
    next(reader.batches(lambda _: 1))
    reader.close()
    assert not threads()


def test_errors_come_in_their_place(source, plan, monkeypatch):
    class Broken:
        metadata = source.metadata
        count = 0

        def read(self, index, y, x):
            self.count += 1
            if self.count > 3:
                raise OSError("no more")
            return source.read(index, y, x)

    reader = ReadAhead(Broken(), plan.works, plan, b"0" * 16, None)
    batches = reader.batches(lambda _: 1)
    assert [len(next(batches)) for _ in range(3)] == [1, 1, 1]
    with pytest.raises(OSError, match="no more"):
        next(batches)
    reader.close()
    assert not threads()


def test_nothing_to_read_ends_at_once(source, plan):
    reader = ReadAhead(source, (), plan, b"0" * 16, None)
    assert list(reader.batches(lambda _: 1)) == []
    reader.close()


def test_cached_latents_are_found_by_content(source, plan, tiny_codec):
    cache = LatentCache(folder=None)
    item = read_item(source, plan.works[0], plan, tiny_codec.digest, cache)
    assert item.latents is None
    (latents,) = tiny_codec.encode([item.raw], item.plan.normalization, item.plan.rate)
    cache.put(item.key, latents.to_bytes())
    again = read_item(source, plan.works[0], plan, tiny_codec.digest, cache)
    assert again.latents is not None
    assert np.array_equal(again.latents.symbols[0], latents.symbols[0])
    assert read_item(source, plan.works[1], plan, tiny_codec.digest, cache).latents is None
    assert read_item(source, plan.works[0], plan, b"1" * 16, cache).latents is None
    assert read_item(source, plan.works[0], plan, tiny_codec.digest, None).latents is None
