"""Properties of files: whole or absent, one writer at a time, folders of the user."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from napari_rdpdenoise.files import (
    InUseError,
    atomic,
    backbones_folder,
    cache_folder,
    locked,
    models_folder,
)

_HOLDER = """
import sys
from napari_rdpdenoise.files import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process_holds(path: Path):
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def fail_while_writing(path: Path, error: type[BaseException], folder: bool = False):
    with atomic(path) as fresh:
        if folder:
            fresh.mkdir()
        (fresh / "card.yaml" if folder else fresh).write_text("half")
        raise error


def test_a_reader_finds_the_old_file_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "card.yaml"
    path.write_text("old")
    with atomic(path) as fresh:
        fresh.write_text("ne")
        assert path.read_text() == "old"
        with fresh.open("a") as file:
            file.write("w")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_beside_a_writer_never_finds_half_a_file(tmp_path):
    path, ends = tmp_path / "bytes", threading.Event()
    path.write_bytes(b"0" * 100_000)

    def write():
        for number in range(200):
            with atomic(path) as fresh:
                fresh.write_bytes(str(number % 10).encode() * 100_000)
        ends.set()

    writer = threading.Thread(target=write)
    writer.start()
    found = []
    while not ends.is_set():
        content = path.read_bytes()
        found.append(len(content) == 100_000 and len(set(content)) == 1)
    writer.join()
    assert all(found)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path, error):
    path = tmp_path / "card.yaml"
    path.write_text("old")
    with pytest.raises(error):
        fail_while_writing(path, error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_before_anything_was_written_is_the_one_that_is_seen(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic(tmp_path / "absent" / "file"):
        raise ZeroDivisionError


def test_a_folder_appears_whole_and_goes_on_error(tmp_path):
    with atomic(tmp_path / "model") as fresh:
        fresh.mkdir()
        (fresh / "card.yaml").touch()
        assert not (tmp_path / "model").exists()
    assert (tmp_path / "model" / "card.yaml").is_file()
    with pytest.raises(ZeroDivisionError):
        fail_while_writing(tmp_path / "other", ZeroDivisionError, folder=True)
    assert [found.name for found in tmp_path.iterdir()] == ["model"]


def test_two_processes_refuse_each_other_in_words(tmp_path):
    path = tmp_path / "result.ome.zarr"
    with another_process_holds(path):
        with (
            pytest.raises(InUseError, match=r"output: .* another process.*result\.ome\.zarr; wait for it"),
            locked(path, "output"),
        ):
            pass
        with locked(tmp_path / "other.ome.zarr"):
            pass
    with locked(path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_was_killed_holds_nothing(tmp_path):
    with another_process_holds(tmp_path / "out") as process:
        process.kill()
        process.wait()
        assert (tmp_path / "out.lock").is_file()  # left by the one that was killed
        with locked(tmp_path / "out"):
            pass
    assert list(tmp_path.iterdir()) == []


def test_runs_and_threads_of_one_process_refuse_each_other(tmp_path):
    refused = []

    def try_it():
        try:
            with locked(tmp_path / "out"):
                refused.append(False)
        except InUseError:
            refused.append(True)

    with locked(tmp_path / "out"):
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
        try_it()
    try_it()
    assert refused == [True, True, False]


def test_a_lock_may_be_given_back_by_another_thread(tmp_path):
    held = locked(tmp_path / "out")
    held.__enter__()
    thread = threading.Thread(target=held.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    with locked(tmp_path / "out"):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_other_users_of_a_shared_folder_can_ask_for_a_lock(tmp_path):
    with locked(tmp_path / "out"):
        assert (tmp_path / "out.lock").stat().st_mode & 0o777 == 0o666


def test_two_names_of_one_place_are_one_lock(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with locked(tmp_path / "real" / "out"), pytest.raises(InUseError), locked(tmp_path / "link" / "out"):
        pass


def test_many_processes_in_turn_are_never_two_at_once(tmp_path):
    """The file of a lock goes with it; who had opened it before must not take it for the lock."""
    script = f"""
import os
from napari_rdpdenoise.files import InUseError, locked
had = 0
while had < 150:
    try:
        with locked({str(tmp_path / "out")!r}):
            os.close(os.open({str(tmp_path / "mine")!r}, os.O_CREAT | os.O_EXCL))  # fails for a second
            os.unlink({str(tmp_path / "mine")!r})
            had += 1
    except InUseError:
        pass
"""
    running = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert list(tmp_path.iterdir()) == []


def test_where_no_lock_can_be_made_the_writer_speaks_for_itself(tmp_path, monkeypatch):
    import filelock

    def read_only(self, **options):
        raise PermissionError("read-only file system")

    monkeypatch.setattr(filelock.FileLock, "acquire", read_only)
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "out"):
        raise ZeroDivisionError
    with locked(tmp_path / "out"):
        pass
    (tmp_path / "out.lock").touch()  # another user's, who may hold it
    with pytest.raises(PermissionError), locked(tmp_path / "out"):
        pass


@pytest.mark.parametrize(
    ("folder", "variable", "name"),
    [
        (cache_folder, "RDPDENOISE_CACHE", "latents"),
        (models_folder, "RDPDENOISE_MODELS", "models"),
        (backbones_folder, "RDPDENOISE_BACKBONES", "backbones"),
    ],
)
def test_folders_are_the_platforms_or_the_chosen_ones(folder, variable, name, tmp_path, monkeypatch):
    monkeypatch.setenv(variable, str(tmp_path))
    assert folder() == tmp_path
    monkeypatch.setenv(variable, "~/mine")
    assert folder() == Path("~/mine").expanduser()
    for empty in ("", None):
        monkeypatch.setenv(variable, "") if empty == "" else monkeypatch.delenv(variable)
        assert folder().is_absolute()
        assert folder().name == name
        assert "napari-rdpdenoise" in folder().parts


def test_files_are_quick_to_import():
    script = (
        "import sys, napari_rdpdenoise.files\n"
        "print({'filelock', 'numpy', 'platformdirs', 'pydantic', 'torch'} & {*sys.modules})"
    )
    heavy = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert heavy.stdout.strip() == "set()"
