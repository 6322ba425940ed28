from __future__ import annotations

import pytest

from napari_rdpdenoise.cache import LatentCache


@pytest.fixture
def filled():
    cache = LatentCache()
    cache.put("a", bytes(2**20))
    cache.put("b", b"b")
    return cache


def test_size(run, filled):
    answer = run("cache")
    assert answer.exit_code == 0
    assert answer.stdout.strip() == f"{filled.folder}: 2 tiles, 1.0 MiB"


def test_size_of_nothing(run):
    assert ": 0 tiles, 0.0 MiB" in run("cache").stdout


def test_clear(run, filled):
    answer = run("cache", "clear")
    assert answer.exit_code == 0
    assert "removed 2 tiles, 1.0 MiB" in answer.stdout
    assert "a" not in LatentCache()
    assert ": 0 tiles" in run("cache").stdout


def test_unknown_command_is_wrong_use(run, filled):
    assert run("cache", "empty").exit_code == 2
    assert "a" in LatentCache()
