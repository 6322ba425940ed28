"""Names of files: patterns, brackets, accents, and names that cannot be."""

from __future__ import annotations

import os
import unicodedata
from urllib.parse import quote

import pytest

from napari_rdpdenoise.names import (
    ADDED_IN_PARTS,
    check_length,
    check_name,
    is_reserved,
    local,
    matching,
    shown,
)


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


@pytest.mark.parametrize(
    "folder",
    ["Exp [A]", "a b", "[1-3]", "dish {2}", "Größe", "50 % [x]/[y]", "what?", "star*", "plus+", "細胞"],
)
def test_a_pattern_below_a_folder_of_any_name(tmp_path, folder):
    touch(tmp_path / folder, "c_0.tif", "c_1.tif", "d.txt")
    expected = [str(tmp_path / folder / f"c_{k}.tif") for k in range(2)]
    assert matching(f"{tmp_path / folder}/*.tif") == expected
    assert matching(f"{tmp_path / folder}/c_[01].tif") == expected
    assert matching(f"{tmp_path / folder}/c_?.tif") == expected


@pytest.mark.parametrize("name", ["cell [1].tif", "a?.tif", "*.tif", "[ab].tif"])
def test_what_exists_is_no_pattern(tmp_path, name):
    touch(tmp_path, name, "a1.tif", "cell 1.tif", "b.tif")
    assert matching(str(tmp_path / name)) == [str(tmp_path / name)]


def test_brackets_after_a_pattern_are_letters_where_they_match_nothing_else(tmp_path):
    touch(tmp_path / "day1", "c [A] 1.tif", "c [A] 2.tif")
    assert len(matching(f"{tmp_path}/*/c [A] *.tif")) == 2


@pytest.mark.parametrize("written", ["NFC", "NFD"])
@pytest.mark.parametrize("asked", ["NFC", "NFD"])
def test_accents_match_in_either_form(tmp_path, written, asked):
    folder = tmp_path / unicodedata.normalize(written, "Zähler é")
    touch(folder, unicodedata.normalize(written, "Gewebe ü.tif"))
    text = unicodedata.normalize(asked, f"{tmp_path}/Zähler é/*ü.tif")
    assert len(matching(text)) == 1
    assert len(matching(unicodedata.normalize(asked, f"{tmp_path}/Zähler é/Gewebe ü.tif"))) == 1


def test_files_come_in_the_order_of_their_numbers(tmp_path):
    touch(tmp_path, *(f"t{k}.tif" for k in (10, 9, 1, 2, 100)))
    assert [os.path.basename(path) for path in matching(f"{tmp_path}/*.tif")] == [  # noqa: PTH119
        "t1.tif", "t2.tif", "t9.tif", "t10.tif", "t100.tif",
    ]  # fmt: skip


def test_unfinished_results_and_records_are_not_matched(tmp_path):
    touch(tmp_path, "a.ome.tif", "a.ome.tif.partial", "a.ome.tif.job.json", "b.tif.lock", "c.tif.12.new")
    assert matching(f"{tmp_path}/*") == [str(tmp_path / "a.ome.tif")]


def test_nothing_is_told_apart_from_no_match(tmp_path):
    with pytest.raises(FileNotFoundError, match="found nothing at"):
        matching(str(tmp_path / "none.tif"))
    with pytest.raises(FileNotFoundError, match="files that match"):
        matching(str(tmp_path / "*.tif"))


@pytest.mark.parametrize("name", [b"\xff.tif", b"folder\xe9/a.tif"])
def test_names_that_are_not_utf8_are_refused(name):
    with pytest.raises(ValueError, match=r"UTF-8.*rename"):
        check_name(os.fsdecode(name))


@pytest.mark.parametrize(
    ("name", "reserved"),
    [
        ("CON.ome.tif", True), ("out/aux", True), ("com1.tif", True), ("a:b.tif", True), ("end. ", True),
        ("end.", True), ("lpt³.x", True), ("console.tif", False), ("C:/data/a.tif", False),
        ("../x.tif", False),
        ("nul1.tif", False), ("a b.tif", False),
    ],
)  # fmt: skip
def test_names_that_windows_does_not_have(name, reserved, monkeypatch):
    assert is_reserved(name) == reserved
    check_name(name)  # any other system has them
    monkeypatch.setattr("napari_rdpdenoise.names.os.name", "nt")
    if reserved:
        with pytest.raises(ValueError, match="Windows"):
            check_name(name)
    else:
        check_name(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.tif", "a.tif"),
        ("é µ 細胞.tif", "é µ 細胞.tif"),
        ("a\nb\tc\r.tif", r"a\nb\tc\r.tif"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("a\u202egnp.tif", r"a\u202egnp.tif"),
    ],
)
def test_names_are_shown_on_one_line(name, expected):
    assert shown(name) == expected


def test_lines_keep_their_breaks():
    assert shown("one\ntwo\t3\x1b", breaks=False) == "one\ntwo\t3\\x1b"


@pytest.mark.parametrize("letter", ["x", "é", "細"])
@pytest.mark.parametrize("added", [9, ADDED_IN_PARTS])
def test_a_result_is_refused_where_a_name_beside_it_could_not_be_made(tmp_path, letter, added):
    """Whatever is taken, the system takes with as many letters more."""
    longest = os.pathconf(tmp_path, "PC_NAME_MAX")
    size = len(letter.encode())
    count = (longest - added) // size
    check_length(f"{tmp_path}/new/{count * letter}", added)
    (tmp_path / (count * letter + added * "y")).touch()
    with pytest.raises(ValueError, match=f"OUT: expected names of up to {longest - added} bytes"):
        check_length(f"{tmp_path}/new/{(count + 1) * letter}", added)


def test_a_path_is_refused_where_what_lies_in_a_result_would_be_too_deep(tmp_path):
    check_length(f"{tmp_path}/{1000 * 'x/'}a.ome.zarr")
    with pytest.raises(ValueError, match=r"OUT: expected a path of up to .*; choose a folder"):
        check_length(f"{tmp_path}/{2000 * 'x/'}a.ome.zarr")


def test_a_drive_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr("napari_rdpdenoise.names.exists", lambda path: False)
    with pytest.raises(ValueError, match="OUT: expected a folder on a drive that is there, found "):
        check_length("/nowhere/a.ome.zarr")


@pytest.mark.parametrize("name", ["a b.tif", "100%25.tif", "a%20b.tif", "Größe #1?.tif"])
@pytest.mark.parametrize("host", ["", "localhost"])
def test_addresses_of_files_here_are_paths(tmp_path, name, host):
    touch(tmp_path, name)
    address = f"file://{host}{tmp_path.as_posix()}"
    assert matching(f"{address}/{name}") == [str(tmp_path / name)]
    assert matching(f"{address}/{quote(name)}") == [str(tmp_path / name)]
    assert matching(f"{address}/*.tif") == [str(tmp_path / name)]
    assert local("https://server/a.zarr") == "https://server/a.zarr"


def test_a_result_at_an_address_is_refused():
    for address in ("s3://bucket/a.ome.zarr", "https:/server/a.ome.tif"):
        with pytest.raises(ValueError, match="OUT: expected a path on a disk, found the address"):
            check_length(address)
