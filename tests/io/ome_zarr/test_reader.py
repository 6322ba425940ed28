"""OME-Zarr of every version and plain zarr, read lazily."""

from __future__ import annotations

import shutil
import warnings
import zipfile

import numpy as np
import pytest
import zarr
from ome_zarrs import AXES, multiscales, write_image
from zarr.storage import MemoryStore, WrapperStore, ZipStore

from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.io.source import SUPPORTED_DTYPES


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_any_region_equals_that_of_the_whole(tmp_path, version, image, same_pixels):
    array = image((3, 2, 45, 37))
    ome = {
        "multiscales": multiscales(coordinateTransformations=[{"type": "scale", "scale": [2, 1, 1, 1]}]),
        "omero": {"channels": [{"label": "DAPI"}, {"label": "GFP"}]},
    }
    attributes = {"ome": {"version": "0.5", **ome}} if version == "0.5" else ome
    path = write_image(tmp_path / "cell.ome.zarr", array, 3 if version == "0.5" else 2, attributes)
    source = open_image(path)
    same_pixels(source, array, "TCYX")
    found = source.metadata
    assert found.scale == pytest.approx({"T": 1.0, "Y": 0.1, "X": 0.2})
    assert found.units == {"T": "second", "Y": "micrometer", "X": "micrometer"}
    assert found.channel_names == ("DAPI", "GFP")
    assert found.name == "cell"


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("dtype", SUPPORTED_DTYPES)
def test_plain_array_of_every_dtype(tmp_path, zarr_format, dtype, image, same_pixels):
    array = image((3, 20, 17), dtype)
    zarr.create_array(tmp_path / "a.zarr", data=array, chunks=(1, 8, 8), zarr_format=zarr_format)
    same_pixels(open_image(tmp_path / "a.zarr"), array, "TYX", regions=4)
    same_pixels(open_image(str(tmp_path / "a.zarr"), "ZYX"), array, "ZYX", regions=4)


@pytest.mark.parametrize("name", ["a.zarr.zip", "a.ozx"])
def test_zip_file(tmp_path, image, same_pixels, name):
    array = image((20, 17))
    with ZipStore(tmp_path / name, mode="w") as store:
        zarr.create_array(store, data=array)
    source = open_image(tmp_path / name)
    same_pixels(source, array, "YX")
    assert source.metadata.name == "a"
    source.close()


class CountingStore(WrapperStore):
    """Remembers which chunks were asked for."""

    def __init__(self, store):
        super().__init__(store)
        self.asked = []

    async def get(self, key, prototype, byte_range=None):
        self.asked.append(key)
        return await self._store.get(key, prototype, byte_range)


def test_only_the_chunks_touched_are_read():
    memory = MemoryStore()
    zarr.create_array(memory, data=np.ones((5, 64, 64), np.uint16), chunks=(1, 16, 16))
    store = CountingStore(memory)
    source = open_image(zarr.open_array(store))
    store.asked.clear()
    source.read((3,), slice(15, 17), slice(32, 48))
    assert sorted(store.asked) == ["c/3/0/2", "c/3/1/2"]


def test_axes_that_do_not_fit_are_refused(tmp_path, image):
    path = write_image(tmp_path / "a.zarr", image((3, 2, 9, 8)), 2, {"multiscales": multiscales()})
    for axes in ("TYX", "TTYX", "TCZX"):
        with pytest.raises(ValueError, match="axes"):
            open_image(path, axes)


def test_missing_and_mask_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="found nothing"):
        open_image(tmp_path / "none.zarr")
    zarr.create_array(tmp_path / "mask.zarr", data=np.zeros((5, 6), bool))
    with pytest.raises(TypeError, match="found bool"):
        open_image(tmp_path / "mask.zarr")
    zarr.create_array(tmp_path / "empty.zarr", shape=(0, 6), chunks=(1, 1), dtype="u2")
    with pytest.raises(ValueError, match="at least one pixel"):
        open_image(tmp_path / "empty.zarr")


def test_fingerprint_follows_the_files(tmp_path, image):
    path = write_image(tmp_path / "a.zarr", image((3, 2, 9, 8)), 2, {"multiscales": multiscales()})
    first = open_image(path).fingerprint()
    assert open_image(path).fingerprint() == first
    zarr.open_group(path)["0"][1, 1] = 7
    assert open_image(path).fingerprint() != first


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_labels_are_refused(tmp_path, version, image):
    """Numbers of objects hold no noise."""
    ome = {"multiscales": multiscales(AXES[2:], (0.1, 0.2)), "image-label": {}}
    attributes = {"ome": {"version": "0.5", **ome}} if version == "0.5" else ome
    path = write_image(tmp_path / "cells.zarr", image((45, 37)), 3 if version == "0.5" else 2, attributes)
    with pytest.raises(TypeError, match="expected an image, found labels in cells"):
        open_image(path)
    with pytest.raises(TypeError, match="expected an image, found labels in 0"):
        open_image(path / "0")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_group_of_labels_is_refused(tmp_path, version, image):
    ome = {"multiscales": multiscales(AXES[2:], (0.1, 0.2)), "image-label": {}}
    group = zarr.create_group(tmp_path / "labels", zarr_format=3 if version == "0.5" else 2)
    group.attrs.update({"ome": {"labels": ["cells"]}} if version == "0.5" else {"labels": ["cells"]})
    attributes = {"ome": {"version": "0.5", **ome}} if version == "0.5" else ome
    write_image(tmp_path / "labels" / "cells", image((45, 37)), 3 if version == "0.5" else 2, attributes)
    with pytest.raises(TypeError, match="found labels in labels"):
        open_image(tmp_path / "labels")


@pytest.mark.parametrize("inside", ["", "a.zarr/"])
def test_a_zip_is_known_by_what_it_holds(tmp_path, inside, image, same_pixels):
    array = image((45, 37))
    entry = {"multiscales": multiscales(AXES[2:], (0.1, 0.2))}
    path = write_image(tmp_path / "a.zarr", array, 2, entry)
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as packed:
        for file in (file for file in path.rglob("*") if file.is_file()):
            packed.write(file, inside + file.relative_to(path).as_posix())
    source = open_image(tmp_path / "data.zip")
    same_pixels(source, array, "YX")
    assert source.metadata.scale == {"Y": 0.1, "X": 0.2}


@pytest.mark.parametrize(
    ("file", "words"),
    [("attributes.json", "found N5"), (".zmetadata", "of which only .zmetadata was copied")],
)
def test_folders_that_are_nearly_images(tmp_path, file, words):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / file).write_text("{}")
    with pytest.raises(ValueError, match=words):
        open_image(tmp_path / "a")


def test_metadata_with_nothing_in_them(tmp_path, image, same_pixels):
    """Null in the place of transforms, names and colours, as some writers leave it."""
    array = image((2, 45, 37))
    entry = multiscales(AXES[1:], None, coordinateTransformations=None, name=None)
    entry[0]["datasets"][0]["coordinateTransformations"] = None
    shown = {"channels": [{"label": None, "color": None}, {"label": None}]}
    for omero in (None, shown):
        write_image(tmp_path / "a.zarr", array, 2, {"multiscales": entry, "omero": omero})
        source = open_image(tmp_path / "a.zarr")
        same_pixels(source, array, "CYX")
        assert source.metadata.channel_names == ()
        assert source.metadata.name == "a"
        shutil.rmtree(tmp_path / "a.zarr")


def test_axes_of_coordinate_systems(tmp_path, image, same_pixels):
    """Version 0.6 declares axes there."""
    entry = multiscales(None, (0.1, 0.2), coordinateSystems=[{"name": "physical", "axes": AXES[2:]}])
    del entry[0]["axes"]
    array = image((45, 37))
    path = write_image(tmp_path / "a.zarr", array, 3, {"ome": {"version": "0.6", "multiscales": entry}})
    source = open_image(path)
    same_pixels(source, array, "YX")
    assert source.metadata.scale == pytest.approx({"Y": 0.1, "X": 0.2})


def test_a_zip_of_the_folder_itself(tmp_path, image, same_pixels):
    """Not of its content: what a click on the folder makes."""
    array = image((2, 45, 37))
    write_image(tmp_path / "in" / "a.zarr", array, 2, {"multiscales": multiscales(AXES[1:], (1, 0.1, 0.2))})
    shutil.make_archive(str(tmp_path / "b.zarr"), "zip", tmp_path / "in", "a.zarr")
    same_pixels(open_image(tmp_path / "b.zarr.zip"), array, "CYX")


SAMPLES = (
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels '
    'ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="37" SizeY="45" SizeC="3" SizeT="1" SizeZ="1">'
    '<Channel ID="Channel:0:0" SamplesPerPixel="3"/></Pixels></Image></OME>'
)


def shown_as(*colors, labels=("a", "b", "c")):
    return {"channels": [{"color": c, "label": n} for c, n in zip(colors, labels, strict=True)]}


def test_colours_are_told_by_the_samples_of_their_channel(tmp_path, image, same_pixels):
    """As converters keep them beside series; colours and names in which channels are shown say nothing."""
    array = image((3, 45, 37), "uint8")
    attributes = {"multiscales": multiscales(AXES[1:], (1, 0.1, 0.2))}
    attributes["omero"] = shown_as("FF0000", "00FF00", "0000FF")
    root = tmp_path / "a.zarr"
    zarr.create_group(root, zarr_format=2).attrs["bioformats2raw.layout"] = 3
    write_image(root / "0", array, 2, attributes)
    (root / "OME").mkdir()
    for samples, axes in ((3, "SYX"), (1, "CYX")):
        text = SAMPLES.replace('PerPixel="3"', f'PerPixel="{samples}"')
        (root / "OME" / "METADATA.ome.xml").write_text(text)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            source = open_image(root)
        same_pixels(source, array, axes)
        assert source.metadata.photometric == ("rgb" if samples == 3 else "")
        assert [("--axes SYX" in str(line.message)) for line in told] == ([] if samples == 3 else [True])
        assert source.metadata.scale == pytest.approx({"Y": 0.1, "X": 0.2})


@pytest.mark.parametrize(
    ("omero", "dtype", "count", "told"),
    [
        (shown_as("FF0000", "00FF00", "0000FF"), "uint8", 3, True),
        (shown_as("", "", "", labels=("Red", "Green", "Blue")), "uint8", 3, True),
        (shown_as("", "", "", labels=("R", "G", "B")), "uint8", 3, True),
        (shown_as("FF0000", "00FF00", "0000FF"), "uint16", 3, False),  # a camera
        (shown_as("0000FF", "00FF00", "FF0000"), "uint8", 3, False),  # by wavelength: fluorescence
        ({"channels": [{"color": "FF0000"}, {"color": "00FF00"}]}, "uint8", 2, False),
    ],
)
def test_three_channels_that_may_be_colours_are_offered_as_such(tmp_path, image, omero, dtype, count, told):
    attributes = {"multiscales": multiscales(AXES[1:], (1, 0.1, 0.2)), "omero": omero}
    path = write_image(tmp_path / "a.zarr", image((count, 45, 37), dtype), 2, attributes)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        assert open_image(path).metadata.axes == "CYX"
    words = [str(line.message) for line in found]
    assert [line.endswith("say so with axes (--axes SYX)") for line in words] == [True] * told
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        axes = "SYX" if count == 3 else "CYX"
        assert open_image(path, axes).metadata.axes == axes


@pytest.mark.parametrize("found", [[0.2, 0.3], ["a", 1, 1, 1], 5, [[1], 1, 1, 1]])
@pytest.mark.parametrize("kind", ["scale", "translation"])
def test_a_transformation_of_other_axes_is_named(tmp_path, image, kind, found):
    steps = [{"type": kind, kind: found}]
    write_image(tmp_path / "a.zarr", image((3, 2, 45, 37)), 2, {"multiscales": multiscales()})
    group = zarr.open_group(tmp_path / "a.zarr", mode="r+")
    group.attrs["multiscales"] = multiscales(coordinateTransformations=steps)
    with pytest.raises(
        ValueError, match=f"image: expected a {kind} of 4 numbers, one for each of the axes TCYX"
    ):
        open_image(tmp_path / "a.zarr")


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_consolidated_metadata_may_be_old(tmp_path, image, same_pixels, zarr_format):
    """The array grew after they were written: all of it is read."""
    array = image((3, 2, 45, 37))
    ome = {"multiscales": multiscales()}
    attributes = {"ome": {"version": "0.5", **ome}} if zarr_format == 3 else ome
    path = write_image(tmp_path / "a.zarr", array[:2], zarr_format, attributes)
    zarr.consolidate_metadata(path)
    grown = zarr.open_array(path / "0", mode="r+")
    grown.resize(array.shape)
    grown[...] = array
    same_pixels(open_image(path), array, "TCYX")
