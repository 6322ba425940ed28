"""LatentCache: never a wrong byte, whatever happens to its folder or to its neighbours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_rdpdenoise.cache import CacheStats, LatentCache, digest
from napari_rdpdenoise.files import cache_folder

FILE_HEADER = 9
KEYS = st.sampled_from("abcdefgh")

# A child process fills the folder in argv[1] with values that anyone can recompute from the key.
CHILD = """
import sys
from pathlib import Path
from napari_rdpdenoise.cache import LatentCache

def value(i):
    return bytes([i % 251]) * (1000 + i)

cache = LatentCache(memory_bytes=0, disk_bytes=int(sys.argv[2]), folder=Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
"""
WRITE_ALL = (
    CHILD
    + """
wrong = 0
for i in [*range(200), *range(200)]:
    cache.put(f"key {i}", value(i))
    found = cache.get(f"key {(i * 7) % 200}")
    wrong += found is not None and found != value((i * 7) % 200)
print(wrong, flush=True)
"""
)
WRITE_FOREVER = (
    CHILD
    + """
i = 0
while True:
    cache.put(f"key {i}", value(i % 200) * 500)
    i += 1
"""
)


def value(i: int) -> bytes:
    """What the child processes write under `key i`."""
    return bytes([i % 251]) * (1000 + i)


def release(child: subprocess.Popen[str]) -> None:
    """Let a started child begin its work."""
    assert child.stdin is not None
    child.stdin.write("go\n")
    child.stdin.flush()


def files(folder: Path, suffix: str = ".lat") -> list[Path]:
    """All files of the cache, sorted by name."""
    return sorted(folder.glob(f"*/*{suffix}"))


def size(folder: Path) -> int:
    """Bytes of all files of the folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def start() -> Iterator[Callable[[str, Path, int], subprocess.Popen[str]]]:
    """Start children that have imported everything and wait for a line; none outlives its test."""
    children = []

    def start_one(code: str, folder: Path, disk_bytes: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", code, str(folder), str(disk_bytes)]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        children.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        return child

    yield start_one
    for child in children:
        child.kill()
        child.communicate()


@pytest.fixture
def disk(tmp_path: Path) -> LatentCache:
    """A cache without memory, so every hit comes from the disk."""
    return LatentCache(memory_bytes=0, disk_bytes=10**6, folder=tmp_path / "cache")


def test_a_value_comes_back_from_memory_and_from_disk(tmp_path: Path) -> None:
    first = LatentCache(folder=tmp_path)
    assert first.get("k") is None
    first.put("k", b"value")
    assert first.get("k") == b"value"
    second = LatentCache(folder=tmp_path)
    assert "k" in second
    assert second.get("k") == b"value"
    assert "other" not in second
    assert first.stats() == CacheStats(
        hits=1, misses=1, memory_bytes=5, disk_bytes=FILE_HEADER + 5, entries=1
    )
    assert second.stats() == CacheStats(
        hits=1, misses=0, memory_bytes=5, disk_bytes=FILE_HEADER + 5, entries=1
    )


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RDPDENOISE_CACHE", str(tmp_path))
    cache = LatentCache(folder=None)
    cache.put("k", b"value")
    assert cache.get("k") == b"value"
    assert cache.stats() == CacheStats(hits=1, misses=0, memory_bytes=5, disk_bytes=0, entries=1)
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.tuples(st.sampled_from(["get", "put"]), KEYS, st.integers(0, 40)), max_size=60))
def test_memory_drops_the_least_recently_used(steps: list[tuple[str, str, int]]) -> None:
    budget = 64
    cache = LatentCache(memory_bytes=budget, folder=None)
    model: OrderedDict[str, bytes] = OrderedDict()
    for action, key, length in steps:
        if action == "put":
            cache.put(key, bytes(length))
            model.pop(key, None)
            model[key] = bytes(length)
            while sum(map(len, model.values())) > budget:
                model.popitem(last=False)
        else:
            assert cache.get(key) == model.get(key)
            if key in model:
                model.move_to_end(key)
        assert cache.stats().memory_bytes == sum(map(len, model.values())) <= budget
    assert [key for key in "abcdefgh" if key in cache] == sorted(model)


def test_disk_drops_the_least_recently_used(tmp_path: Path) -> None:
    cache = LatentCache(memory_bytes=0, disk_bytes=1000, folder=tmp_path)
    for key in "abcdefgh":
        cache.put(key, bytes(100))
    assert cache.get("a") is not None
    assert cache.get("c") is not None
    cache.put("new", bytes(200))
    # Room is made for it up to seven eighths of the limit: b and d were used longest ago.
    assert [key for key in "abcdefgh" if key in cache] == ["a", "c", "e", "f", "g", "h"]
    assert "new" in cache


def test_a_hit_in_memory_counts_as_use_on_disk(tmp_path: Path) -> None:
    cache = LatentCache(disk_bytes=1000, folder=tmp_path)
    for key in "abcdefgh":
        cache.put(key, bytes(100))
    cache.get("a")
    cache.put("new", bytes(200))
    again = LatentCache(folder=tmp_path)
    assert [key for key in "abcde" if key in again] == ["a", "d", "e"]


def test_the_size_limit_holds_after_every_write(tmp_path: Path) -> None:
    limit = 20_000
    cache = LatentCache(memory_bytes=0, disk_bytes=limit, folder=tmp_path)
    lengths = np.random.default_rng(0).integers(0, 3000, 150)
    for i, length in enumerate(lengths):
        cache.put(str(i), bytes(int(length)))
        assert str(i) in cache
        assert size(tmp_path) == cache.stats().disk_bytes <= limit
    assert len(files(tmp_path)) == cache.stats().entries
    assert size(tmp_path) > limit / 2


def test_a_limit_set_lower_is_enforced_by_the_next_write(tmp_path: Path) -> None:
    large = LatentCache(folder=tmp_path)
    for i in range(20):
        large.put(str(i), bytes(1000))
    LatentCache(disk_bytes=5000, folder=tmp_path).put("new", b"x")
    assert size(tmp_path) <= 5000


def test_a_value_above_the_budgets_is_not_kept(tmp_path: Path) -> None:
    cache = LatentCache(memory_bytes=50, disk_bytes=100, folder=tmp_path)
    cache.put("small", bytes(20))
    cache.put("large", bytes(101))
    assert cache.get("large") is None
    assert cache.get("small") == bytes(20)
    assert "zero" not in LatentCache(memory_bytes=0, disk_bytes=0, folder=tmp_path)


@settings(deadline=None)  # a busy disk may take its time
@given(where=st.integers(0, 108), flip=st.integers(1, 255))
def test_a_damaged_file_is_a_miss_and_is_removed(
    tmp_path_factory: pytest.TempPathFactory, where: int, flip: int
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    cache = LatentCache(memory_bytes=0, folder=folder)
    cache.put("k", bytes(100))
    (path,) = files(folder)
    data = bytearray(path.read_bytes())
    data[where] ^= flip
    path.write_bytes(data)
    assert cache.get("k") is None
    assert files(folder) == []
    cache.put("k", bytes(100))
    assert cache.get("k") == bytes(100)


@pytest.mark.parametrize("length", [0, 4, 8, 9, 50, 108])
def test_a_cut_file_is_a_miss(disk: LatentCache, length: int) -> None:
    disk.put("k", bytes(100))
    (path,) = files(disk.folder)
    path.write_bytes(path.read_bytes()[:length])
    assert disk.get("k") is None
    assert files(disk.folder) == []


def test_writing_again_mends_a_damaged_file(disk: LatentCache) -> None:
    disk.put("k", bytes(100))
    (path,) = files(disk.folder)
    path.write_bytes(b"nonsense")
    disk.put("k", bytes(100))
    assert disk.get("k") == bytes(100)


def test_a_file_under_another_name_is_a_miss(disk: LatentCache) -> None:
    disk.put("a", b"of a")
    disk.put("b", b"of b")
    a, b = (disk.folder / digest(key)[:2] / f"{digest(key)}.lat" for key in "ab")
    a.replace(b)
    assert disk.get("b") is None
    assert disk.get("a") is None


def test_what_is_dropped_is_a_miss_and_can_be_put_again(disk: LatentCache) -> None:
    disk.put("key", b"wrong")
    disk.drop("key")
    disk.drop("none")
    assert disk.get("key") is None
    disk.put("key", b"right")
    assert disk.get("key") == b"right"


def test_any_text_is_a_safe_key(disk: LatentCache) -> None:
    keys = ["", "../../etc/passwd", "a/b", "C:\\x", "ü", "x" * 5000]
    for key in keys:
        disk.put(key, key.encode())
    assert [disk.get(key) for key in keys] == [key.encode() for key in keys]
    assert len(files(disk.folder)) == len(keys)


def test_clear_removes_the_values_and_nothing_else(tmp_path: Path) -> None:
    cache = LatentCache(folder=tmp_path)
    cache.put("k", b"value")
    mine = [tmp_path / "notes.txt", files(tmp_path)[0].parent / "photo.lat", tmp_path / "ab.lat"]
    for path in mine:
        path.write_text("mine")
    cache.get("k")
    cache.clear()
    assert "k" not in cache
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(mine)
    assert cache.stats() == CacheStats(hits=1, misses=0, memory_bytes=0, disk_bytes=0, entries=0)


def test_close_releases_the_memory_and_keeps_the_files(tmp_path: Path) -> None:
    cache = LatentCache(folder=tmp_path)
    cache.put("k", b"value")
    cache.close()
    assert cache.stats().memory_bytes == 0
    assert cache.get("k") == b"value"


def test_stale_temporary_files_are_swept_and_fresh_ones_kept(disk: LatentCache) -> None:
    disk.put("k", b"value")
    folder = files(disk.folder)[0].parent
    stale, fresh = folder / f"{'0' * 32}.lat.0a.new", folder / f"{'1' * 32}.lat.1b.new"
    for path in (stale, fresh):
        path.write_bytes(bytes(50))
    hour_ago = time.time() - 3600
    os.utime(stale, (hour_ago, hour_ago))
    reopened = LatentCache(folder=disk.folder)
    assert reopened.stats().disk_bytes == FILE_HEADER + 5 + 50
    assert files(disk.folder, ".new") == [fresh]


def test_a_folder_that_cannot_be_written_costs_one_warning(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    cache = LatentCache(folder=blocked / "cache")
    with pytest.warns(RuntimeWarning, match=r"cannot be written .* set RDPDENOISE_CACHE") as caught:
        cache.put("a", b"1")
    assert [warning.filename for warning in caught] == [__file__]
    cache.put("b", b"2")  # a second warning would be an error
    assert cache.get("a") == b"1"
    assert cache.stats().disk_bytes == 0


def test_a_failed_write_leaves_no_temporary_file(disk: LatentCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.warns(RuntimeWarning, match="No space left"):
        disk.put("k", b"value")
    monkeypatch.undo()
    assert disk.get("k") is None
    assert size(disk.folder) == 0
    disk.put("k", b"value")
    assert disk.get("k") == b"value"


def test_threads_share_one_cache(tmp_path: Path) -> None:
    limit = 60_000
    cache = LatentCache(memory_bytes=10_000, disk_bytes=limit, folder=tmp_path)
    wrong: list[int] = []

    def work(seed: int) -> None:
        for i in np.random.default_rng(seed).integers(0, 80, 150).tolist():
            found = cache.get(f"key {i}")
            if found is None:
                cache.put(f"key {i}", value(i))
            elif found != value(i):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = cache.stats()
    assert wrong == []
    assert stats.hits + stats.misses == 6 * 150
    assert stats.memory_bytes <= 10_000
    assert size(tmp_path) <= limit


def test_two_processes_write_the_same_folder_at_once(start: Callable, tmp_path: Path) -> None:
    limit = 150_000  # about two thirds of what each of them writes
    children = [start(WRITE_ALL, tmp_path, limit) for _ in range(2)]
    for child in children:
        release(child)
    answers = [child.communicate(timeout=120)[0] for child in children]
    assert answers == ["0\n", "0\n"]
    assert [child.returncode for child in children] == [0, 0]
    assert files(tmp_path, ".new") == []
    assert size(tmp_path) <= limit * (1 + 1 / 16)
    cache = LatentCache(folder=tmp_path)
    held = [i for i in range(200) if f"key {i}" in cache]
    assert len(held) == len(files(tmp_path)) > 50
    assert all(cache.get(f"key {i}") == value(i) for i in held)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_killed_while_writing_it_leaves_only_whole_values(start: Callable, tmp_path: Path) -> None:
    for minimum in (0, 5, 10):
        left = len(files(tmp_path, ".new"))
        child = start(WRITE_FOREVER, tmp_path, 10**9)
        release(child)
        deadline = time.monotonic() + 60
        while True:
            assert time.monotonic() < deadline
            if len(files(tmp_path)) < minimum or len(files(tmp_path, ".new")) == left:
                continue
            # Stopped first, to be sure that it dies with the file unfinished.
            child.send_signal(signal.SIGSTOP)
            os.waitpid(child.pid, os.WUNTRACED)
            if len(files(tmp_path, ".new")) > left:
                break
            child.send_signal(signal.SIGCONT)
        child.kill()
        child.wait(timeout=60)
        assert child.returncode == -signal.SIGKILL
        assert len(files(tmp_path, ".new")) == left + 1
    cache = LatentCache(memory_bytes=0, folder=tmp_path)
    count = len(files(tmp_path))
    held = [i for i in range(count + 5) if f"key {i}" in cache]
    assert len(held) == count >= 10
    assert all(cache.get(f"key {i}") == value(i % 200) * 500 for i in held)
    for path in files(tmp_path, ".new"):
        os.utime(path, (0, 0))
    LatentCache(folder=tmp_path).stats()
    assert files(tmp_path, ".new") == []
    cache.put("after", b"value")
    assert cache.get("after") == b"value"


def test_the_default_folder_is_the_platforms_or_the_chosen_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RDPDENOISE_CACHE", str(tmp_path))
    assert cache_folder() == LatentCache().folder == tmp_path
    monkeypatch.delenv("RDPDENOISE_CACHE")
    assert cache_folder().parts[-2:] == ("napari-rdpdenoise", "latents") or sys.platform == "win32"
    assert cache_folder().is_absolute()


def test_wrong_use_is_refused() -> None:
    with pytest.raises(ValueError, match="memory_bytes must be 0 or more bytes, got -1"):
        LatentCache(memory_bytes=-1)
    with pytest.raises(ValueError, match="disk_bytes must be 0 or more bytes, got -5"):
        LatentCache(disk_bytes=-5)
    with pytest.raises(TypeError, match="value must be bytes, got bytearray"):
        LatentCache(folder=None).put("k", bytearray(3))  # type: ignore[arg-type]


parts = st.binary(max_size=4) | st.text(max_size=4)


@given(st.lists(parts, max_size=4), st.lists(parts, max_size=4))
def test_only_equal_parts_have_equal_digests(first: list, second: list) -> None:
    assert (digest(*first) == digest(*second)) == (first == second)
    assert len(digest(*first)) == 32


def test_a_digest_sees_dtype_shape_and_every_pixel() -> None:
    image = np.arange(24, dtype=np.uint16).reshape(4, 6)
    variants = [
        image,
        image.reshape(6, 4),
        image[None],
        image.astype(np.int16),
        image.astype(">u2"),
        image.T,
        image + np.eye(4, 6, dtype=np.uint16),
        image[:0],
        image[:, :0],
        np.array(7, np.uint16),
        np.array([7], np.uint16),
    ]
    assert len({digest(variant) for variant in variants}) == len(variants)
    strided = np.arange(48, dtype=np.uint16).reshape(4, 12)[:, ::2]
    assert digest(strided) == digest(strided.copy())
    assert digest(np.asfortranarray(image)) == digest(image)


@pytest.mark.parametrize("part", [3, 0.5, None, bytearray(2), np.array([object()])])
def test_a_digest_of_anything_else_is_refused(part: object) -> None:
    with pytest.raises(TypeError, match=r"parts must be bytes, str or numeric arrays, got .*repr"):
        digest(part)  # type: ignore[arg-type]


def test_the_digest_is_the_same_in_every_process_andrelease() -> None:
    """A changed digest would silently empty every user's cache."""
    assert digest("model", b"\x01", np.array([[1, 2]], np.uint8)) == "d23ae7b4870f7b81c5ad5cb68037c2e3"
