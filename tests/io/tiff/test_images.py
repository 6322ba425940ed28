"""Which images a TIFF holds: appended frames, positions, several series, files that were cut off."""

from __future__ import annotations

import logging
import struct
import time
import warnings

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from microscope_files import write_mmstack

from napari_rdpdenoise.io import list_images, open_image
from napari_rdpdenoise.io.tiff.present import whole_prefix


@pytest.fixture(autouse=True)
def _quiet_tifffile():
    logging.getLogger("tifffile").addHandler(logging.NullHandler())


def cut(path, size):
    data = path.read_bytes()
    path.write_bytes(data[:size])
    return path


def told(path, **options):
    """An opened image, and what was said of it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        source = open_image(path, **options)
    return source, " | ".join(str(entry.message) for entry in caught)


class TestAppended:
    def test_frames_appended_one_by_one_are_one_stack(self, tmp_path, image, same_pixels):
        array = image((6, 20, 30))
        for frame in array:
            tifffile.imwrite(tmp_path / "a.tif", frame, append=True)
        source, said = told(tmp_path / "a.tif")
        same_pixels(source, array, "TYX")
        assert "taken as TYX" in said
        assert len(list_images(tmp_path / "a.tif")) == 1

    @pytest.mark.parametrize("options", [{"compression": "zlib"}, {"metadata": None}, {"tile": (16, 16)}])
    def test_however_they_are_stored(self, tmp_path, options, image, same_pixels):
        array = image((9, 20, 30))
        for frame in array:
            tifffile.imwrite(tmp_path / "a.tif", frame, append=True, photometric="minisblack", **options)
        same_pixels(open_image(tmp_path / "a.tif", "TYX"), array, "TYX")

    def test_appended_stacks_go_on_in_time(self, tmp_path, image, same_pixels):
        array = image((3, 4, 20, 30))
        for part in array:
            tifffile.imwrite(
                tmp_path / "a.tif", part, append=True, photometric="minisblack", metadata={"axes": "TYX"}
            )
        same_pixels(open_image(tmp_path / "a.tif"), array.reshape(12, 20, 30), "TYX")

    def test_appended_volumes_are_time_points(self, tmp_path, image, same_pixels):
        array = image((3, 4, 20, 30))
        for part in array:
            tifffile.imwrite(
                tmp_path / "a.tif", part, append=True, photometric="minisblack", metadata={"axes": "ZYX"}
            )
        same_pixels(open_image(tmp_path / "a.tif"), array, "TZYX")

    def test_frames_of_another_size_are_another_image(self, tmp_path, image, same_pixels):
        array = image((20, 30))
        for frame in (array, image((5, 6))):
            tifffile.imwrite(tmp_path / "a.tif", frame, append=True)
        source, said = told(tmp_path / "a.tif")
        same_pixels(source, array, "YX")
        assert "holds 2 images" in said
        assert "5 x 6" in said
        assert told(tmp_path / "a.tif", series=1)[0].shape == (5, 6)


@pytest.mark.parametrize("options", [{}, {"metadata": None}, {"metadata": None, "compression": "zlib"}])
def test_thousands_of_pages_are_opened_in_little_time(tmp_path, options, image):
    array = image((4000, 8, 8))
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for frame in array:
            tif.write(frame, photometric="minisblack", contiguous=False, **options)
    began = time.process_time()
    source = open_image(tmp_path / "a.tif", "TYX")
    np.testing.assert_array_equal(source.read((3777,), slice(0, 8), slice(0, 8)), array[3777])
    assert time.process_time() - began < 2  # the square of their number, where each is an image


class TestSeries:
    def test_every_image_can_be_had_and_the_choice_is_silent(self, tmp_path, image, same_pixels):
        arrays = [image((2, 20, 30), seed=seed) for seed in range(3)]
        with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tif:
            for number, array in enumerate(arrays):
                tif.write(array, metadata={"axes": "ZYX", "Name": f"well {number}"}, photometric="minisblack")
        assert [entry.name for entry in list_images(tmp_path / "a.ome.tif")] == ["well 0", "well 1", "well 2"]
        for number, array in enumerate(arrays):
            source, said = told(tmp_path / "a.ome.tif", series=number)
            same_pixels(source, array, "ZYX", regions=4)
            assert not said
        identities = {told(tmp_path / "a.ome.tif", series=k)[0].fingerprint() for k in range(3)}
        assert len(identities) == 3
        source, said = told(tmp_path / "a.ome.tif")
        same_pixels(source, arrays[0], "ZYX", regions=4)
        assert all(words in said for words in ("3 images", "well 1", "well 2", "--series"))

    @pytest.mark.parametrize("number", [3, -1])
    def test_a_number_that_is_not_there_is_refused(self, tmp_path, number, image):
        tifffile.imwrite(tmp_path / "a.tif", image((9, 8)))
        with pytest.raises(ValueError, match="series: expected a number from 0 to 0"):
            open_image(tmp_path / "a.tif", series=number)

    def test_a_thumbnail_is_not_taken_for_the_image(self, tmp_path, image, same_pixels):
        array = image((40, 60))
        with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
            tif.write(array[::4, ::4], subfiletype=1, metadata=None)
            tif.write(array, metadata=None)
        source, said = told(tmp_path / "a.tif")
        same_pixels(source, array, "YX")
        assert "10 x 15" in said


class TestImageJ:
    @pytest.mark.parametrize(
        ("tags", "axis", "step"),
        [("spacing=0.5", "Z", 0.5), ("finterval=2.0", "T", 2.0), ("spacing=0.5\nfps=10", "Z", 0.5)],
    )
    def test_a_stack_without_slices_or_frames_is_named_by_its_other_tags(
        self, tmp_path, tags, axis, step, image
    ):
        array = image((3, 20, 30))
        text = f"ImageJ=1.54f\nimages=3\nunit=um\n{tags}\nloop=false\n"
        tifffile.imwrite(
            tmp_path / "a.tif",
            array,
            photometric="minisblack",
            metadata=None,
            description=text,
            resolution=(10, 10),
            software="ImageJ",
        )
        source, said = told(tmp_path / "a.tif")
        assert source.metadata.axes == f"{axis}YX"
        assert source.metadata.scale == pytest.approx({axis: step, "X": 0.1, "Y": 0.1})
        assert not said


class TestCutOff:
    @pytest.mark.parametrize("whole", [1, 3, 5])
    def test_whole_frames_of_an_imagej_stack_are_read_and_the_loss_is_said(
        self, tmp_path, whole, image, same_pixels
    ):
        array = image((6, 20, 30))
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, array, imagej=True, metadata={"axes": "TYX"})
        with tifffile.TiffFile(path) as tif:
            start = tif.pages.first.dataoffsets[0]
        source, said = told(cut(path, start + whole * 20 * 30 * 2 + 77))
        same_pixels(source, array[:whole], "TYX")
        assert f"{whole} of the 6 planes" in said

    def test_an_incomplete_time_point_is_left_out(self, tmp_path, image, same_pixels):
        array = image((4, 3, 2, 20, 30))
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, array, imagej=True, metadata={"axes": "TZCYX"})
        with tifffile.TiffFile(path) as tif:
            start = tif.pages.first.dataoffsets[0]
        source, said = told(cut(path, start + (2 * 6 + 4) * 20 * 30 * 2))
        same_pixels(source, array[:2], "TZCYX")
        assert "16 of the 24 planes" in said
        assert "4 of them left out" in said

    @pytest.mark.parametrize("form", ["ome", "shaped", "imagej"])
    def test_compressed_pages_too(self, tmp_path, form, image, same_pixels):
        array = image((8, 40, 50))
        path = tmp_path / "a.tif"
        options = {} if form == "shaped" else {form: True}
        tifffile.imwrite(
            path, array, photometric="minisblack", metadata={"axes": "TYX"}, compression="zlib", **options
        )
        with tifffile.TiffFile(path) as tif:
            fifth = tif.pages[4].dataoffsets[0]
        source, said = told(cut(path, fifth + 9))
        found = source.shape[0]
        assert 1 <= found <= 4
        same_pixels(source, array[:found], "TYX")
        # tifffile writes OME-XML last: without it nothing says how many there were
        assert ("how many are lost is not known" if form == "ome" else "of the 8 planes") in said

    def test_pages_that_nothing_counts(self, tmp_path, image, same_pixels):
        array = image((12, 40, 50))
        path = tmp_path / "a.tif"
        with tifffile.TiffWriter(path) as tif:
            for frame in array:
                tif.write(frame, photometric="minisblack", metadata=None, contiguous=False)
        with tifffile.TiffFile(path) as tif:
            ninth = tif.pages[8].offset
        source, said = told(cut(path, ninth - 10), axes="TYX")
        found = source.shape[0]
        assert 7 <= found <= 8
        same_pixels(source, array[:found], "TYX")
        assert "cut off" in said

    @pytest.mark.parametrize("back", [0, 1, 2])
    def test_pages_that_lead_back_are_told(self, tmp_path, back, image):
        with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
            for frame in image((3, 20, 30)):
                tif.write(frame, metadata=None, photometric="minisblack")
        with tifffile.TiffFile(tmp_path / "a.tif") as tif:
            places = [page.offset for page in tif.pages]
        data = bytearray((tmp_path / "a.tif").read_bytes())
        (entries,) = struct.unpack_from("<H", data, places[2])
        struct.pack_into("<I", data, places[2] + 2 + 12 * entries, places[back])
        (tmp_path / "a.tif").write_bytes(data)
        source, said = told(tmp_path / "a.tif")
        assert "a.tif is damaged" in said
        assert "leads back to a page before it" in said
        source.close()

    def test_a_file_without_one_whole_plane_is_refused_by_name_plane_and_byte(self, tmp_path, image):
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, image((6, 20, 30)), imagej=True, metadata={"axes": "TYX"})
        with pytest.raises(ValueError, match=r"a\.tif cut off in the first one \(plane 0\).* byte 900"):
            open_image(cut(path, 900))

    @pytest.mark.parametrize("axes", ["TYX", "TZYX"])
    def test_a_damaged_plane_is_refused_by_name_plane_and_byte(self, tmp_path, axes, image):
        path = tmp_path / "a.ome.tif"
        array = image((2, 3, 40, 50) if axes == "TZYX" else (6, 40, 50))
        tifffile.imwrite(path, array, compression="zlib", metadata={"axes": axes}, photometric="minisblack")
        with tifffile.TiffFile(path) as tif:
            start = tif.pages[4].dataoffsets[0]
        data = bytearray(path.read_bytes())
        data[start : start + 40] = bytes(40)
        path.write_bytes(data)
        source, index = open_image(path), (1, 1) if axes == "TZYX" else (4,)
        with pytest.raises(
            ValueError, match=rf"plane \({index[0]},.*\) of a\.ome\.tif \(from byte {start} on\)"
        ):
            source.read(index, slice(0, 40), slice(0, 50))
        source.read((0,) * len(index), slice(0, 40), slice(0, 50))

    @pytest.mark.parametrize("size", [4, 8, 100])
    def test_a_file_without_a_directory_is_refused_by_name(self, tmp_path, size, image):
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, image((20, 30)), compression="zlib")
        with pytest.raises(ValueError, match=r"a\.tif"):
            open_image(cut(path, size))

    def test_a_cut_npy_is_refused_by_name(self, tmp_path, image):
        np.save(tmp_path / "a.npy", image((6, 20, 30)))
        with pytest.raises(ValueError, match=r"a\.npy of 1000 bytes"):
            open_image(cut(tmp_path / "a.npy", 1000))

    @given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.data())
    def test_whole_prefix_is_the_largest_block_that_is_all_there(self, sizes, data):
        total = int(np.prod(sizes))
        planes = data.draw(st.integers(1, total))
        kept = whole_prefix(sizes, planes)
        flat = np.arange(total).reshape(sizes)[tuple(slice(k) for k in kept)]
        assert flat.max() < planes
        assert flat.size == np.prod(kept) > planes / 2 or flat.size == np.prod(kept)
        longer = [
            k + (i == next((j for j, n in enumerate(kept) if n > 1), len(kept) - 1))
            for i, k in enumerate(kept)
        ]
        beyond = np.arange(total).reshape(sizes)[tuple(slice(k) for k in longer)]
        assert beyond.size == flat.size or beyond.max() >= planes


def summary(**more):
    return {
        "MicroManagerVersion": "2.0.0", "Frames": 3, "Slices": 1, "Channels": 1, "Positions": 2,
        "TimeFirst": False, "SlicesFirst": True, "Prefix": "run_1", "PixelType": "GRAY16", "Width": 30,
        "Height": 20, "Interval_ms": 500.0, "PixelSize_um": 0.1, **more,
    }  # fmt: skip


class TestMicroManager:
    def test_positions_are_images(self, tmp_path, image, same_pixels):
        array = image((2, 3, 20, 30))
        planes = {(0, 0, t, p): array[p, t] for p in range(2) for t in range(3)}
        path = write_mmstack(tmp_path / "run_1_MMStack_Pos.ome.tif", planes, summary())
        for position in range(2):
            source, said = told(path, series=position)
            same_pixels(source, array[position], "TYX")
            assert not said
        assert "holds 2 images" in told(path)[1]

    def test_a_stopped_acquisition_gives_what_was_taken(self, tmp_path, image, same_pixels):
        array = image((2, 3, 20, 30))
        planes = {(0, 0, t, p): array[p, t] for t in range(3) for p in range(2) if (t, p) != (2, 1)}
        path = write_mmstack(
            tmp_path / "run_1_MMStack_Pos.ome.tif", planes, summary(Frames=100, TimeFirst=True)
        )
        same_pixels(told(path, series=0)[0], array[0], "TYX")
        source, said = told(path, series=1)
        same_pixels(source, array[1, :2], "TYX")
        assert "2 of the 3 planes" in said
