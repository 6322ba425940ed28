"""What a file is that is no image, in words that say what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

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
        (bytes(4) + b"ftypisom", "MP4 or QuickTime"),
        (bytes(128) + b"DICM", "DICOM"),
        (bytes(208) + b"MAP DD", "MRC"),
        (b"MATLAB 5.0 MAT-file", "MATLAB"),
        (b"OLYMPUSRAWFORMAT", r"Olympus \.oir"),
        (b"Andor Technology Multi-Channel File", r"Andor \.sif"),
        (b"ZISRAWFILE", "CZI"),
        (b'<?xml version="1.0"?><PVScan/>', "a text of XML, which may describe images"),
    ],
)
def test_other_files_are_named(tmp_path, content, words):
    file = tmp_path / "a.tif"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=rf"image: expected a TIFF, .*found {words}.* at .*a\.tif"):
        kind_of(file)


@pytest.mark.parametrize(
    ("name", "words"), [("a.vsi", "cellSens"), ("a.OIF", "FluoView"), ("a.xlef", "LAS X")]
)
def test_files_whose_pixels_lie_elsewhere_are_named(tmp_path, name, words):
    """Also those that are TIFF files, of an overview."""
    tifffile.imwrite(tmp_path / name, np.zeros((9, 9), np.uint16), photometric="minisblack")
    with pytest.raises(ValueError, match=f"found .* of {words}, whose .* lie"):
        kind_of(tmp_path / name)


def test_several_arrays_of_numpy_are_named(tmp_path):
    np.savez(tmp_path / "a.npz", image=np.zeros((9, 9)))
    with pytest.raises(ValueError, match=r"found several arrays of NumPy \(\.npz; save one"):
        kind_of(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["a.tif", "a.TIFF", "a.npy", "a.zarr", "a.czi", "a.zarr.zip"])
def test_a_folder_of_images_is_refused_with_the_pattern(tmp_path, name):
    with pytest.raises(ValueError, match="found an empty folder"):
        kind_of(tmp_path)
    for other in ("notes.txt", name):
        (tmp_path / other).touch()
    with pytest.raises(
        ValueError, match=rf"of files such as {name}; .*/\*{Path(name).suffix}', with --stack"
    ):
        kind_of(tmp_path)
