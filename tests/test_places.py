"""Paths that are one place are known as such, on file systems of any kind."""

from __future__ import annotations

import sys
import unicodedata
from pathlib import Path

import pytest

from napari_rdpdenoise.places import place_of, tells_case_apart


@pytest.fixture
def blind(monkeypatch):
    """A file system that does not tell upper case from lower: what is there is there in any case."""
    there, same = Path.exists, Path.samefile

    def folded(path):
        found = Path(path.anchor)
        for part in path.parts[1:]:
            names = {one.name.casefold(): one.name for one in found.iterdir()} if found.is_dir() else {}
            found /= names.get(part.casefold(), part)
        return found

    monkeypatch.setattr(Path, "exists", lambda path: there(folded(path)))
    monkeypatch.setattr(Path, "samefile", lambda path, other: same(folded(path), folded(other)))


@pytest.mark.skipif(sys.platform != "linux", reason="of file systems that tell case apart")
@pytest.mark.parametrize("there", [True, False])
def test_case_is_told_apart(tmp_path, there):
    folder = tmp_path / "Some" / "Folder"
    if there:
        folder.mkdir(parents=True)
    assert tells_case_apart(folder)
    assert place_of(folder / "a.tif") != place_of(folder / "A.tif")
    assert place_of(folder / ".." / "Folder" / "a.tif") == place_of(folder / "a.tif")


def test_two_folders_that_differ_in_case_are_told_apart(tmp_path):
    (tmp_path / "Some").mkdir()
    if (tmp_path / "sOME").exists():
        pytest.skip("this file system takes them for one")
    (tmp_path / "sOME").mkdir()
    assert tells_case_apart(tmp_path / "Some")


@pytest.mark.parametrize("there", [True, False])
def test_names_in_another_case_or_form_are_one_place_where_case_is_not_told(tmp_path, blind, there):
    folder = tmp_path / "Some"
    if there:
        folder.mkdir()
    assert not tells_case_apart(folder)
    accents = [folder / unicodedata.normalize(form, "É.tif") for form in ("NFC", "NFD")]
    assert len({place_of(path) for path in (*accents, folder / "é.TIF")}) == 1
    assert place_of(folder / "a.tif") != place_of(folder / "b.tif")
