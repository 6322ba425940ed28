"""What lies beside pixels: files that list images, drawings, and planes that were never written."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import tifffile
import zarr

from napari_rdpdenoise.io import open_image

PIXELS = np.random.default_rng(0).poisson(40, (6, 32, 40)).astype(np.uint16)
OME = '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{}</OME>'


def told(path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        open_image(path).close()
    return [str(warning.message) for warning in caught]


def test_a_metamorph_list_names_its_images(tmp_path):
    (tmp_path / "run.nd").write_text('"NDInfoFile", Version 1.0\n"DoTimelapse", TRUE\n')
    for t in range(2):
        tifffile.imwrite(tmp_path / f"run_t{t}.TIF", PIXELS[t])
    with pytest.raises(ValueError, match=r"MetaMorph list .*run_t0\.TIF, run_t1\.TIF; open one .*--stack T"):
        open_image(tmp_path / "run.nd")


@pytest.mark.parametrize("there", [True, False])
def test_a_companion_file_names_its_images(tmp_path, there):
    data = '<TiffData><UUID FileName="a.tif">urn:uuid:1</UUID></TiffData>'
    (tmp_path / "run.companion.ome").write_text(OME.format(data))
    if there:
        tifffile.imwrite(tmp_path / "a.tif", PIXELS[0])
    words = r"no pixels: a\.tif; open" if there else "none of its images lies beside it"
    with pytest.raises(ValueError, match=f"OME companion file .*{words}"):
        open_image(tmp_path / "run.companion.ome")


def test_a_part_of_a_set_says_where_its_metadata_are(tmp_path):
    text = OME.format('<BinaryOnly MetadataFile="run.companion.ome" UUID="urn:uuid:2"/>')
    tifffile.imwrite(tmp_path / "a.ome.tif", PIXELS[0], description=text, metadata=None)
    assert [words for words in told(tmp_path / "a.ome.tif") if "run.companion.ome describes" in words]


def test_drawings_are_told_to_be_lost(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif", PIXELS, imagej=True, metadata={"axes": "TYX", "Overlays": [b"Iout" + bytes(60)]}
    )
    assert [words for words in told(tmp_path / "a.tif") if "does not keep them" in words]
    tifffile.imwrite(tmp_path / "b.tif", PIXELS, imagej=True, metadata={"axes": "TYX"})
    assert not told(tmp_path / "b.tif")


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("shards", [None, (2, 32, 40)])
def test_planes_that_were_never_written_are_counted(tmp_path, version, shards):
    if version == 2 and shards:
        pytest.skip("version 2 has no shards")
    array = zarr.create_array(
        tmp_path / "a.zarr", shape=PIXELS.shape, chunks=(1, 16, 40), shards=shards, dtype="u2",
        zarr_format=version,
    )  # fmt: skip
    array[:4] = PIXELS[:4]
    assert [words for words in told(tmp_path / "a.zarr") if "last 2 of 6 steps" in words]
    array[4:] = PIXELS[4:]
    assert not told(tmp_path / "a.zarr")
