"""OME-TIFF output, as other programs see it."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_rdpdenoise.io import ImageMetadata, OutputSpec, open_sink
from napari_rdpdenoise.io.output import tiff_writer


def save(path, array, axes, metadata=None, job=""):
    sink = open_sink(
        path, OutputSpec(array.shape, axes, array.dtype, metadata or ImageMetadata(axes), 64, job)
    )
    for index in np.ndindex(*array.shape[:-2]):
        sink.write(index, slice(0, array.shape[-2]), slice(0, array.shape[-1]), array[index])
        sink.mark_done(index, 0, 0)
    return sink.finish()


@pytest.mark.parametrize("name", ["a.ome.tif", "a.tif", "a.tiff"])
def test_file_is_a_tiled_compressed_ome_tiff(tmp_path, name, image):
    array = image((2, 3, 2, 100, 90))
    metadata = ImageMetadata(
        "TZCYX", {"X": 0.25, "T": 3.0}, {"X": "micrometer", "T": "millisecond"}, ("a", "b")
    )
    path = save(tmp_path / name, array, "TZCYX", metadata, job='{"rate": "auto"}')
    with tifffile.TiffFile(path) as tif:
        assert tif.is_ome
        assert tif.series[0].axes == "TZCYX"
        np.testing.assert_array_equal(tif.asarray(), array)
        page = tif.pages.first
        assert page.is_tiled
        assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert not tif.is_bigtiff
        xml = tif.ome_metadata
    pixels = tifffile.xml2dict(xml)["OME"]["Image"]["Pixels"]
    assert (pixels["PhysicalSizeX"], pixels["PhysicalSizeXUnit"]) == (0.25, "µm")
    assert (pixels["TimeIncrement"], pixels["TimeIncrementUnit"]) == (3.0, "ms")
    assert [channel["Name"] for channel in pixels["Channel"]] == ["a", "b"]
    assert "rate" in tifffile.xml2dict(xml)["OME"]["Image"]["Description"]


def test_large_images_are_bigtiff(tmp_path, image, monkeypatch):
    monkeypatch.setattr(tiff_writer, "_CLASSIC_TIFF_BYTES", 1000)
    array = image((3, 40, 50))
    path = save(tmp_path / "a.ome.tif", array, "TYX")
    with tifffile.TiffFile(path) as tif:
        assert tif.is_bigtiff
        np.testing.assert_array_equal(tif.asarray(), array)


def test_time_in_a_unit_that_ome_does_not_have_is_left_out(tmp_path, image):
    metadata = ImageMetadata("TYX", {"T": 3.0}, {"T": "fortnight"})
    with tifffile.TiffFile(save(tmp_path / "a.ome.tif", image((3, 9, 8)), "TYX", metadata)) as tif:
        assert "TimeIncrement" not in tif.ome_metadata
