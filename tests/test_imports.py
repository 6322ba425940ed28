"""Loading libraries without looking for garbage meanwhile."""

from __future__ import annotations

import gc

import pytest

from napari_rdpdenoise.imports import no_collections


@pytest.fixture
def collecting():
    before = gc.isenabled()
    gc.enable()
    yield
    if not before:
        gc.disable()


def test_garbage_is_collected_again_after_the_outermost_end_whatever_happened(collecting):
    def load():
        with no_collections():
            with no_collections():
                assert not gc.isenabled()
            assert not gc.isenabled()
            raise ImportError

    with pytest.raises(ImportError):
        load()
    assert gc.isenabled()


def test_who_collects_nothing_still_does_not_afterwards(collecting):
    gc.disable()
    with no_collections():
        pass
    assert not gc.isenabled()


def test_what_was_made_meanwhile_is_old_afterwards_and_still_collected(collecting):
    with no_collections():
        made = [[number] for number in range(50_000)]
    assert gc.get_count()[0] < 5_000
    assert gc.get_freeze_count() == 0
    ring: list[object] = [made]
    ring.append(ring)
    del ring
    assert gc.collect() > 0
