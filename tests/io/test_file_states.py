"""States of files: nothing in a folder changes unseen, and links are followed once."""

from __future__ import annotations

import os
import sys

import pytest
import zarr

from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.io.file_states import folder_state, one_look

LINKS = pytest.mark.skipif(sys.platform == "win32", reason="Windows lets not everybody make links")


@pytest.fixture
def tree(tmp_path):
    """A folder of three files of 4 bytes, two of them in a folder below."""
    (tmp_path / "z" / "c").mkdir(parents=True)
    for name in ("a", "c/0", "c/1"):
        (tmp_path / "z" / name).write_bytes(b"1234")
    return tmp_path / "z"


def touched(file):
    state = file.stat()
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns + 1))


@pytest.mark.parametrize("name", ["a", "c/0", "c/1"])
@pytest.mark.parametrize(
    "change",
    [
        touched,
        lambda file: file.write_bytes(b"1"),
        lambda file: file.unlink(),
        lambda file: file.rename(f"{file}0"),
    ],
    ids=["time", "size", "gone", "name"],
)
def test_every_change_of_every_file_is_seen(tree, name, change):
    before = folder_state(tree)
    assert (before, before.stored, before.odd) == (folder_state(tree), 12, "")
    change(tree / name)
    assert folder_state(tree).digest != before.digest


def test_one_look_is_told_again_until_it_ends(tree):
    with one_look():
        before = folder_state(tree)
        touched(tree / "a")
        assert folder_state(tree) == before
    assert folder_state(tree) != before


@LINKS
def test_files_behind_links_count_and_circles_end(tree, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "2").write_bytes(b"123")
    (tree / "d").symlink_to(tmp_path / "elsewhere")
    (tree / "c" / "2").symlink_to(tmp_path / "elsewhere" / "2")
    before = folder_state(tree)
    assert (before.stored, before.odd) == (18, "")
    (tree / "c" / "up").symlink_to(tree)
    (tmp_path / "elsewhere" / "self").symlink_to(tmp_path / "elsewhere")
    assert folder_state(tree) == before
    touched(tmp_path / "elsewhere" / "2")
    assert folder_state(tree) != before


@LINKS
@pytest.mark.parametrize("to", ["nothing", "0"])
def test_a_link_that_leads_nowhere_is_told(tree, to):
    (tree / "c" / "0").unlink()
    (tree / "c" / "0").symlink_to(tree / "c" / to)
    assert folder_state(tree).odd == f"a link that leads nowhere at {tree / 'c' / '0'}"


@LINKS
def test_an_image_whose_chunk_is_a_link_to_nothing_is_refused(tmp_path, image):
    zarr.create_array(tmp_path / "a.zarr", data=image((40, 40)), chunks=(20, 20))
    chunk = tmp_path / "a.zarr" / "c" / "0" / "1"
    chunk.unlink()
    chunk.symlink_to("/nothing/there")
    with pytest.raises(
        ValueError, match=r"image: expected plain files, found a link that leads nowhere at .*1;"
    ):
        open_image(tmp_path / "a.zarr")
