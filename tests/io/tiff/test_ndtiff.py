"""NDTiff of Micro-Manager and Pycro-Manager, by its index alone: any pair of libraries reads it."""

from __future__ import annotations

import numpy as np
import pytest
from microscope_files import write_ndtiff

from napari_rdpdenoise.io import files_of_set, list_images, open_image


@pytest.mark.parametrize("by", ["folder", "file"])
def test_a_movie_by_folder_or_file(tmp_path, by, image, same_pixels):
    array = image((3, 20, 30))
    folder = write_ndtiff(
        tmp_path / "nd", [(plane, {"time": t}) for t, plane in enumerate(array)], {"PixelSize_um": 0.1}
    )
    source = open_image(folder if by == "folder" else folder / "run_NDTiffStack.tif")
    same_pixels(source, array, "TYX")
    assert source.metadata.scale == {"X": 0.1, "Y": 0.1}
    assert source.metadata.name == "nd"
    assert files_of_set(folder / "run_NDTiffStack.tif") == set()


def test_all_axes_with_names_of_channels_and_positions(tmp_path, image, same_pixels):
    array = image((2, 3, 4, 2, 20, 30))  # position, time, z, channel
    planes = [
        (array[p, t, z, c], {"position": p, "time": t, "channel": ["DAPI", "GFP"][c], "z": z - 2})
        for p, t, z, c in np.ndindex(2, 3, 4, 2)
    ]
    about = [{"ElapsedTime-ms": 500.0 * t, "PixelSizeUm": 0.2} for _, t, _, _ in np.ndindex(2, 3, 4, 2)]
    folder = write_ndtiff(tmp_path / "nd", planes, {"z-step_um": 0.5}, about)
    assert [entry.name for entry in list_images(folder)] == ["position 0", "position 1"]
    with pytest.warns(UserWarning, match="holds 2 images"):
        same_pixels(open_image(folder), array[0], "TZCYX")
    source = open_image(folder, series=1)
    same_pixels(source, array[1], "TZCYX")
    assert source.metadata.channel_names == ("DAPI", "GFP")
    assert source.metadata.scale == pytest.approx({"X": 0.2, "Y": 0.2, "Z": 0.5, "T": 0.5})
    assert source.metadata.planes["DeltaT"][:8] == (0.0,) * 8
    assert source.metadata.planes["DeltaT"][-1] == 1.0


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_sample_types(tmp_path, dtype, image, same_pixels):
    array = image((2, 20, 30), dtype)
    folder = write_ndtiff(tmp_path / "nd", [(plane, {"time": t}) for t, plane in enumerate(array)])
    same_pixels(open_image(folder), array, "TYX")


def test_colour(tmp_path, image, same_pixels):
    array = image((2, 20, 30, 3), "uint8")
    folder = write_ndtiff(tmp_path / "nd", [(plane, {"time": t}) for t, plane in enumerate(array)])
    same_pixels(open_image(folder), array, "TYXS")


def test_planes_that_were_not_taken_or_are_cut_off_are_counted(tmp_path, image, same_pixels):
    array = image((4, 2, 20, 30))
    planes = [(array[t, z], {"time": t, "z": z}) for t, z in np.ndindex(4, 2)]
    folder = write_ndtiff(tmp_path / "nd", planes[:7])
    with pytest.warns(UserWarning, match="7 of 8 planes were written"):
        same_pixels(open_image(folder), array[:3], "TZYX")


def test_planes_missing_between_others_are_zeros_and_said(tmp_path, image, same_pixels):
    array = image((4, 2, 20, 30))
    planes = [(array[t, z], {"time": t, "z": z}) for t, z in np.ndindex(4, 2)]
    folder = write_ndtiff(tmp_path / "nd", planes[:2] + planes[3:])
    with pytest.warns(UserWarning, match="7 of 8 planes were written .*1 that are missing as zeros"):
        source = open_image(folder)
    array[1, 0] = 0
    same_pixels(source, array, "TZYX", regions=30)


def test_a_file_that_was_cut_off_gives_its_whole_planes(tmp_path, image, same_pixels):
    array = image((4, 20, 30))
    folder = write_ndtiff(tmp_path / "nd", [(plane, {"time": t}) for t, plane in enumerate(array)])
    file = folder / "run_NDTiffStack.tif"
    file.write_bytes(file.read_bytes()[: -20 * 30 * 2 - 10])
    with pytest.warns(UserWarning, match="2 of 4 planes were written and are whole"):
        source = open_image(folder)
    same_pixels(source, array[:2], "TYX")


def test_a_cut_index_is_said(tmp_path, image, same_pixels):
    array = image((4, 20, 30))
    folder = write_ndtiff(tmp_path / "nd", [(plane, {"time": t}) for t, plane in enumerate(array)])
    index = folder / "NDTiff.index"
    index.write_bytes(index.read_bytes()[:-5])
    with pytest.warns(UserWarning, match="cut off at byte"):
        source = open_image(folder)
    same_pixels(source, array[:3], "TYX")
