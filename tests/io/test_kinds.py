"""What a file is that is no image, in words that say what to do."""

from __future__ import annotations

import pytest

from napari_rdpdenoise.io.kinds import kind_of


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\n", "a pointer of Git LFS"),
        (b"<!DOCTYPE html><html>Please log in</html>", "a web page"),
        (b"<html><head>", "a web page"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"nothing that is known", "another kind"),
    ],
)
def test_other_files_are_named(tmp_path, content, words):
    file = tmp_path / "a.tif"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=rf"image: expected a TIFF, .*found {words}.* at .*a\.tif"):
        kind_of(file)
