"""Which images a group holds, by their numbers, and what is said of those that are not there."""

from __future__ import annotations

import pytest
import zarr
from ome_zarrs import multiscales, write_image

from napari_rdpdenoise.io import list_images, open_image
from napari_rdpdenoise.io.ome_zarr.reader import zarr_levels


def test_image_inside_a_bioformats2raw_folder_is_found(tmp_path, image, same_pixels):
    array = image((3, 2, 9, 8))
    zarr.create_group(tmp_path / "a.zarr", zarr_format=2, attributes={"bioformats2raw.layout": 3})
    write_image(tmp_path / "a.zarr" / "0", array, 2, {"multiscales": multiscales()})
    same_pixels(open_image(tmp_path / "a.zarr"), array, "TCYX")


def test_group_of_one_array_is_that_array(tmp_path, image, same_pixels):
    array = image((20, 17))
    zarr.create_group(tmp_path / "a.zarr").create_array("data", data=array)
    same_pixels(open_image(tmp_path / "a.zarr"), array, "YX")
    same_pixels(open_image(zarr.open_group(tmp_path / "a.zarr")), array, "YX")


def test_group_of_several_arrays_is_refused(tmp_path, image):
    group = zarr.create_group(tmp_path / "a.zarr")
    for name in ("one", "two"):
        group.create_array(name, data=image((5, 6)))
    with pytest.raises(ValueError, match=r"found 2 arrays in a: one, two; give the path"):
        open_image(tmp_path / "a.zarr")


def test_plate_is_refused_with_the_way_on(tmp_path):
    group = zarr.create_group(tmp_path / "a.zarr", attributes={"ome": {"plate": {}}})
    group.create_group("A")
    with pytest.raises(ValueError, match=r"plate or well.*found none in a, which holds A"):
        open_image(tmp_path / "a.zarr")


class TestSeveralImages:
    def write(self, folder, arrays, *, layout=None):
        """Images 0, 1, ... below a group with these attributes."""
        group = zarr.create_group(folder, zarr_format=2, attributes=layout or {"bioformats2raw.layout": 3})
        for path, array in arrays.items():
            below = group.create_group(path)
            below.attrs["multiscales"] = [{"axes": ["y", "x"], "datasets": [{"path": "0"}]}]
            below.create_array("0", data=array)
        return folder

    def test_series_of_a_collection(self, tmp_path, image, same_pixels):
        arrays = {str(k): image((9, 8), seed=k) for k in range(3)}
        path = self.write(tmp_path / "a.zarr", arrays)
        with pytest.warns(UserWarning, match=r"holds 3 images.*--series"):
            same_pixels(open_image(path), arrays["0"], "YX")
        for number in range(3):
            same_pixels(open_image(path, series=number), arrays[str(number)], "YX")
        assert len({open_image(path, series=k).fingerprint() for k in range(3)}) == 3
        assert [entry.name for entry in list_images(path)] == ["0", "1", "2"]
        with pytest.raises(ValueError, match="from 0 to 2, found 3"):
            open_image(path, series=3)

    def test_fields_of_a_plate(self, tmp_path, image, same_pixels):
        arrays = {
            f"{well}/{k}": image((9, 8), seed=k) for k, well in enumerate(("A/1", "B/2")) for k in range(2)
        }
        layout = {"plate": {"wells": [{"path": "A/1"}, {"path": "B/2"}, {"path": "C/3"}]}}
        path = self.write(tmp_path / "a.zarr", arrays, layout=layout)
        for well in ("A/1", "B/2"):
            zarr.open_group(path / well, mode="r+").attrs["well"] = {"images": [{"path": "0"}, {"path": "1"}]}
        with pytest.warns(UserWarning, match=r"names 3 images or wells, and 1 of them are not there \(C/3\)"):
            assert [entry.name for entry in list_images(path)] == ["A/1/0", "A/1/1", "B/2/0", "B/2/1"]
        same_pixels(open_image(path, series=3), arrays["B/2/1"], "YX")
        same_pixels(open_image(path / "A" / "1", series=1), arrays["A/1/1"], "YX")

    def test_arrays_at_any_depth_are_named(self, tmp_path, image, same_pixels):
        group = zarr.create_group(tmp_path / "a.zarr", zarr_format=2)
        arrays = [image((2, 9, 8)), image((2, 5, 4))]
        for level, array in enumerate(arrays):
            group.create_array(f"setup0/timepoint0/s{level}", data=array)
        with pytest.raises(ValueError, match=r"setup0/timepoint0/s0, setup0/timepoint0/s1"):
            open_image(tmp_path / "a.zarr")
        same_pixels(open_image(tmp_path / "a.zarr", series=1), arrays[1], "TYX")
        same_pixels(open_image(tmp_path / "a.zarr" / "setup0" / "timepoint0" / "s0"), arrays[0], "TYX")

    def test_an_image_whose_array_is_missing_is_refused_by_name(self, tmp_path):
        group = zarr.create_group(tmp_path / "a.zarr", zarr_format=2)
        group.attrs["multiscales"] = [{"axes": ["y", "x"], "datasets": [{"path": "0"}]}]
        with pytest.raises(ValueError, match="expected the array 0"):
            open_image(tmp_path / "a.zarr")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_the_finest_level_is_taken_also_where_it_is_not_the_first(tmp_path, image, same_pixels, zarr_format):
    array = image((3, 2, 20, 18))
    entry = multiscales(scale=(0.5, 1.0, 0.1, 0.2))[0]
    coarse = multiscales(scale=(0.5, 1.0, 0.2, 0.4))[0]["datasets"][0] | {"path": "1"}
    entry["datasets"] = [coarse, *entry["datasets"]]
    attributes = (
        {"multiscales": [entry]} if zarr_format == 2 else {"ome": {"version": "0.5", "multiscales": [entry]}}
    )
    path = write_image(tmp_path / "a.zarr", array, zarr_format, attributes)
    source = open_image(path)
    same_pixels(source, array, "TCYX")
    assert source.metadata.scale["Y"] == pytest.approx(0.1)
    levels = zarr_levels(path)
    assert [level.shape[-2:] for level in levels] == [(20, 18), (10, 9)]


def test_levels_with_wrong_steps_stay_in_the_order_of_their_sizes(tmp_path, image, same_pixels):
    """Some writers give the factor of a level upside down."""
    array = image((3, 2, 20, 18))
    entry = multiscales(scale=(0.5, 1.0, 1.0, 1.0))[0]
    entry["datasets"] += [multiscales(scale=(0.5, 1.0, 0.5, 0.5))[0]["datasets"][0] | {"path": "1"}]
    path = write_image(tmp_path / "a.zarr", array, 2, {"multiscales": [entry]})
    same_pixels(open_image(path), array, "TCYX")
