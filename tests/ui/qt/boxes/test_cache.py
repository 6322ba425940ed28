"""Size of the cache, and emptying it."""

from __future__ import annotations

import pytest

from napari_rdpdenoise.cache import LatentCache

pytestmark = pytest.mark.display


@pytest.fixture
def cache(tmp_path):
    """Three tiles, of 12 MB together."""
    cache = LatentCache(disk_bytes=10**8, folder=tmp_path / "latents")
    for number in range(3):
        cache.put(f"tile {number}", bytes([number]) * 4_000_000)
    return cache


@pytest.fixture
def box_of(qtbot, monkeypatch):
    """Makes a visible box whose question is answered: ``box_of(cache, yes)``."""
    from qtpy.QtWidgets import QMessageBox

    from napari_rdpdenoise.ui.qt.boxes import cache as cache_box
    from napari_rdpdenoise.ui.qt.preferences import Preferences

    def make(cache, yes=True, limit=10**8, keep=True):
        buttons = QMessageBox.StandardButton
        answer = buttons.Yes if yes else buttons.Cancel
        monkeypatch.setattr(cache_box, "preferences", Preferences)  # not those of whoever runs the tests
        monkeypatch.setattr(cache_box.QMessageBox, "question", lambda *_: answer)
        box = cache_box.CacheBox(cache, limit)
        if keep:
            qtbot.addWidget(box)
        box.show()
        return box

    return make


def test_the_size_is_shown_with_limit_and_folder(box_of, cache, qtbot):
    box = box_of(cache)
    qtbot.waitUntil(lambda: box._size.text().startswith("Cache: 12 MB of 100 MB in"))
    assert str(cache.folder) in box._size.toolTip()
    cache.put("tile 3", b"x" * 5_000_000)
    box.refresh()
    box.refresh()
    qtbot.waitUntil(lambda: "17 MB" in box._size.text())


def test_clear_frees_files_and_memory_and_says_so(box_of, cache, qtbot):
    box = box_of(cache)
    LatentCache(folder=cache.folder).put("of another process", b"y" * 4_000_000)
    box._clear.click()
    qtbot.waitUntil(lambda: box._told.text() == "Freed 16 MB, 4 blocks.")
    qtbot.waitUntil(lambda: box._size.text().startswith("Cache: 0 MB of"))
    assert cache.get("tile 0") is None
    assert not list(cache.folder.rglob("*.lat"))
    assert box._clear.isEnabled()


def test_nothing_is_removed_without_a_yes(box_of, cache, qtbot):
    box = box_of(cache, yes=False)
    box._clear.click()
    qtbot.waitUntil(lambda: "12 MB" in box._size.text())
    assert cache.get("tile 0") is not None
    assert not box._told.text()


def test_a_cache_that_cannot_be_cleared_is_told(box_of, cache, qtbot, monkeypatch):
    from napari_rdpdenoise.ui.qt.boxes import cache as cache_box

    def refuse(self):
        raise OSError("the disk is gone")

    errors = []
    monkeypatch.setattr(cache_box, "show_error", errors.append)
    monkeypatch.setattr(LatentCache, "clear", refuse)
    box = box_of(cache)
    box._clear.click()
    qtbot.waitUntil(lambda: bool(errors))
    assert "the disk is gone" in errors[0]
    assert str(cache.folder) in errors[0]
    assert box._clear.isEnabled()


def test_empty_caches_and_caches_without_files(box_of, qtbot, tmp_path):
    box = box_of(LatentCache(folder=tmp_path / "other"), limit=8 * 10**9)
    qtbot.waitUntil(lambda: box._size.text().startswith("Cache: 0 MB of 8 GB in"))
    box = box_of(LatentCache(folder=None), limit=0)
    qtbot.waitUntil(lambda: box._size.text() == "Cache: in memory only")
    box._clear.click()
    qtbot.waitUntil(lambda: "Freed" in box._told.text())


def test_a_box_that_is_gone_is_not_told(box_of, cache, qtbot):
    from qtpy import sip

    box = box_of(cache, keep=False)
    box._clear.click()
    sip.delete(box)
    qtbot.waitUntil(lambda: not list(cache.folder.rglob("*.lat")))
    qtbot.wait(100)  # the answer comes, to nobody


def test_without_a_cache_it_is_that_of_the_preferences(box_of, qtbot):
    from napari_rdpdenoise.files import cache_folder

    box = box_of(None, limit=None)
    qtbot.waitUntil(lambda: " of 2 GB in" in box._size.text())
    assert str(cache_folder()) in box._size.toolTip()


def test_controls_are_named_and_narrow(box_of, tmp_path):
    box = box_of(LatentCache(folder=tmp_path / ("long" * 20)))
    for control in (box._size, box._clear):
        assert control.accessibleName()
        assert control.toolTip()
    assert box.minimumSizeHint().width() <= 320


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 MB"), (999, "999 bytes"), (2_000, "2 kB"), (1_500_000, "1.5 MB"), (123_400_000, "123 MB"),
        (8 * 10**9, "8 GB"), (2_147_483_648, "2.1 GB"), (10_000 * 10**9, "10000 GB"),
    ],
)  # fmt: skip
def test_sizes_in_words(count, words):
    from napari_rdpdenoise.ui.qt.boxes.cache import size_words

    assert size_words(count) == words
