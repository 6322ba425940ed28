from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from napari_rdpdenoise.io import ImageMetadata, OutputSpec, open_image, open_sink
from napari_rdpdenoise.ui.layers import files
from napari_rdpdenoise.ui.layers.files import napari_get_reader, write_ome_tiff, write_ome_zarr
from napari_rdpdenoise.ui.layers.metadata import LENGTHS, TIMES

pytest_plugins = ["npe2._pytest_plugin"]  # npe2pm; not loaded for every run (pyproject.toml)

ENDINGS = (".ome.zarr", ".ome.tif")
UNITS = {"T": "second", "Z": "micrometer", "Y": "micrometer", "X": "nanometer"}
STEPS = {"T": 2.5, "Z": 0.7, "Y": 0.1, "X": 88.5}


def counts(shape, dtype=np.uint16, seed=0):
    return np.random.default_rng(seed).poisson(40, shape).astype(dtype)


def described(axes, **more):
    """What napari hands a writer of a layer with these axes."""
    return {
        "name": "cells",
        "axis_labels": tuple(axes.lower()),
        "scale": [STEPS.get(axis, 1.0) for axis in axes],
        "units": tuple(UNITS.get(axis, "pixel") for axis in axes),
        "rgb": False,
        "metadata": {},
        **more,
    }


def write(path, data, meta):
    writer = write_ome_zarr if ".zarr" in Path(path).name else write_ome_tiff
    return writer(str(path), data, meta)


def all_reopened(path):
    return napari_get_reader(str(path))(str(path))


def reopened(path):
    (layer,) = napari_get_reader(str(path))(str(path))
    return layer


@pytest.fixture
def plugins(npe2pm):
    """Our plugin and napari's own, and no other."""
    import napari_builtins
    from npe2 import PluginManifest

    builtins = PluginManifest.from_file(Path(napari_builtins.__file__).parent / "builtins.yaml")
    with npe2pm.tmp_plugin(manifest=builtins), npe2pm.tmp_plugin(package="napari-rdpdenoise"):
        yield npe2pm


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("axes", ["YX", "TYX", "ZYX", "TCYX", "CZYX", "TCZYX"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_a_layer_comes_back_as_it_was(tmp_path, ending, axes, dtype):
    shape = (*(2, 3, 4)[: len(axes) - 2], 33, 47)
    data, path = counts(shape, dtype), tmp_path / f"a{ending}"
    assert write(path, data, described(axes)) == [str(path)]
    layers, title = all_reopened(path), "cells" if ending == ".ome.zarr" else "a"
    assert all(kind == "image" and not options["multiscale"] for _, options, kind in layers)
    pixels, options, _ = layers[0]
    assert pixels.dtype == np.dtype(dtype)
    if "C" in axes:  # a layer each
        names = [options["name"] for _, options, _ in layers]
        assert names == [f"{title} channel {number}" for number in range(shape[axes.index("C")])]
        pixels = np.stack([np.asarray(pixels) for pixels, _, _ in layers], axes.index("C"))
        axes = axes.replace("C", "")
    else:
        assert [options["name"]] == [title]
    assert options["axis_labels"] == tuple(axes.lower())
    assert options["scale"] == pytest.approx([STEPS.get(axis, 1.0) for axis in axes])
    assert options["units"] == tuple(UNITS.get(axis, "pixel") for axis in axes)
    np.testing.assert_array_equal(np.asarray(pixels), data)


@pytest.mark.parametrize("ending", ENDINGS)
def test_names_of_channels_come_back(tmp_path, ending):
    meta = described("CYX", metadata={"napari-rdpdenoise": {"channel_names": ("DAPI", "GFP")}})
    write(tmp_path / f"a{ending}", counts((2, 20, 20)), meta)
    layers = all_reopened(tmp_path / f"a{ending}")
    for number, (name, (_, options, _)) in enumerate(zip(("DAPI", "GFP"), layers, strict=True)):
        assert options["name"].endswith(name)
        assert options["metadata"]["napari-rdpdenoise"] == {"channel": number, "channel_names": (name,)}
        assert options["blending"] == "additive"
    assert len({options["colormap"] for _, options, _ in layers}) == 2


def test_many_channels_stay_an_axis(tmp_path):
    write(tmp_path / "a.ome.tif", counts((9, 20, 20)), described("CYX"))
    _, options, _ = reopened(tmp_path / "a.ome.tif")
    assert options["axis_labels"] == ("c", "y", "x")


@pytest.mark.parametrize("ending", ENDINGS)
def test_colours_and_windows_of_channels_are_those_of_the_file(tmp_path, ending):
    from napari_rdpdenoise.io.metadata import Channel

    shape, channels = (2, 20, 20), (Channel("FF8000", (10.0, 70.0)), Channel("0000FF", (20.0, 50.0)))
    known = ImageMetadata("CYX", channel_names=("a", "b"), channels=channels)
    sink = open_sink(tmp_path / f"a{ending}", OutputSpec(shape, "CYX", np.dtype(np.uint16), known, 64, ""))
    for number, plane in enumerate(counts(shape)):
        sink.write((number,), slice(0, 20), slice(0, 20), plane)
    sink.finish()
    found = [options for _, options, _ in all_reopened(tmp_path / f"a{ending}")]
    assert [options["colormap"] for options in found] == ["#FF8000", "#0000FF"]
    if open_image(tmp_path / f"a{ending}").metadata.channels[0].window:  # OME-TIFF has no place for it
        assert [options["contrast_limits"] for options in found] == [(10, 70), (20, 50)]


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_not_known_stays_unknown(tmp_path, ending):
    write(tmp_path / f"a{ending}", counts((20, 20)), {"name": "a"})
    metadata = open_image(tmp_path / f"a{ending}").metadata
    assert (dict(metadata.scale), dict(metadata.units)) == ({}, {})
    _, options, _ = reopened(tmp_path / f"a{ending}")
    assert (options["scale"], options["units"]) == ((1.0, 1.0), ("pixel", "pixel"))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("role", ["preview", "split", "gap"])
def test_layers_of_what_was_in_view_are_not_written(tmp_path, ending, role):
    meta = described("YX", metadata={"napari-rdpdenoise": {"role": role}})
    with pytest.raises(
        ValueError, match=r"only what was in view is denoised; use Denoise, and save what it makes"
    ):
        write(tmp_path / f"a{ending}", counts((20, 20)), meta)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_settings_of_a_denoised_layer_are_in_the_file(tmp_path, ending):
    made = {"role": "result", "settings": {"rate": 0.4, "note": "found by hand"}}
    write(tmp_path / f"a{ending}", counts((20, 20)), described("YX", metadata={"napari-rdpdenoise": made}))
    file = tmp_path / f"a{ending}"
    assert b"found by hand" in (file / "zarr.json" if file.is_dir() else file).read_bytes()


def test_written_zarr_is_valid(tmp_path):
    import yaozarrs

    write(tmp_path / "a.ome.zarr", counts((2, 3, 30, 40)), described("TCYX"))
    yaozarrs.validate_zarr_store(str(tmp_path / "a.ome.zarr"))


def test_layers_pass_through_napari_with_their_place(tmp_path, plugins):
    from napari.components import ViewerModel

    viewer = ViewerModel()
    data = counts((3, 40, 50))
    look = {"scale": (2.5, 0.1, 0.1), "units": ("second", "micrometer", "micrometer")}
    layer = viewer.add_image(data, name="cells", axis_labels=("t", "y", "x"), **look)
    for ending in ENDINGS:
        path = tmp_path / f"a{ending}"
        assert layer.save(str(path)) == [str(path)]
        (again,) = viewer.open(str(path), plugin="napari-rdpdenoise")
        assert (again.units, again.axis_labels) == (layer.units, layer.axis_labels)
        assert again.scale == pytest.approx(layer.scale)
        assert again.source.path == str(path)
        np.testing.assert_array_equal(np.asarray(again.data), data)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(("colormap", "kept"), [("magenta", True), ("gray", True), ("viridis", False)])
@pytest.mark.parametrize("shape", [(40, 50), (3, 40, 50)])
def test_colour_and_contrast_of_one_channel_come_back(tmp_path, plugins, ending, colormap, kept, shape):
    from napari.components import ViewerModel

    viewer, path = ViewerModel(), tmp_path / f"a{ending}"
    look = {"colormap": colormap, "contrast_limits": (17, 90)}
    layer = viewer.add_image(counts(shape), axis_labels=("t", "y", "x")[-len(shape) :], **look)
    layer.save(str(path))
    (again,) = viewer.open(str(path), plugin="napari-rdpdenoise")
    assert tuple(again.contrast_limits) == (17, 90)
    expected = layer.colormap.colors[-1] if kept else np.ones(4)
    np.testing.assert_allclose(again.colormap.colors[-1], expected, atol=0.01)
    assert again.colormap.name == "gray" or colormap == "magenta"
    if path.is_dir():
        import yaozarrs

        yaozarrs.validate_zarr_store(str(path))


def test_only_names_of_ours_are_taken_from_naparis_writer(plugins):
    commands = {
        name: plugins.get_writer(name, ["image"])[0].command.split(".")[0]
        for name in ("a.ome.zarr", "a.zarr", "a.ome.tif", "a.OME.TIFF", "a.tif", "a.png", "a")
    }
    ours = {name for name, plugin in commands.items() if plugin == "napari-rdpdenoise"}
    assert ours == {"a.ome.zarr", "a.zarr", "a.ome.tif", "a.OME.TIFF"}


def test_names_without_ending_get_one(tmp_path):
    assert write_ome_zarr(str(tmp_path / "a.b"), counts((9, 9)), described("YX"))[0].endswith("a.b.ome.zarr")
    assert write_ome_tiff(str(tmp_path / "a"), counts((9, 9)), described("YX"))[0].endswith("a.ome.tif")


class Counted:
    """An array that knows the largest part that was read of it."""

    def __init__(self, array):
        self._array, self.largest, self.read = array, 0, 0
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, key):
        part = self._array[key]
        self.largest, self.read = max(self.largest, part.size), self.read + part.size
        return part


@pytest.mark.parametrize("ending", ENDINGS)
def test_lazy_layers_are_written_in_bands_and_every_pixel_once(tmp_path, monkeypatch, ending):
    monkeypatch.setattr(files, "_TILE", 16)
    monkeypatch.setattr(files, "_BAND_BYTES", 2 * 16 * 50)
    data = counts((3, 100, 50))
    layer = Counted(data)
    write(tmp_path / f"a{ending}", layer, described("TYX"))
    assert layer.largest <= 16 * 50
    assert layer.read == data.size
    np.testing.assert_array_equal(np.asarray(reopened(tmp_path / f"a{ending}")[0]), data)


@pytest.mark.parametrize("ending", ENDINGS)
def test_lazy_layers_are_read_plane_by_plane(tmp_path, monkeypatch, ending):
    path = tmp_path / f"a{ending}"
    write(path, counts((40, 30, 20)), described("TYX"))
    source, read = open_image(path), []
    original = type(source).read

    def note(self, index, y, x):
        read.append(index)
        return original(self, index, y, x)

    monkeypatch.setattr(type(source), "read", note)
    pixels, _, _ = reopened(path)
    assert len(read) == 3  # for the contrast
    read.clear()
    assert pixels[7].compute().shape == (30, 20)
    assert read == [(7,)]


def test_several_resolutions_become_one_layer_and_the_finest_is_written(tmp_path):
    data = counts((2, 700, 600), np.uint8)
    write(tmp_path / "a.ome.zarr", data, described("TYX"))
    levels, options, _ = reopened(tmp_path / "a.ome.zarr")
    assert options["multiscale"]
    assert [level.shape for level in levels] == [(2, 700, 600), (2, 350, 300)]
    np.testing.assert_array_equal(np.asarray(levels[0]), data)
    expected = data.reshape(2, 350, 2, 300, 2).mean((2, 4))
    assert np.abs(np.asarray(levels[1]) - expected).max() < 1  # rounded so that sums stay
    write(tmp_path / "b.ome.tif", levels, described("TYX", multiscale=True))
    np.testing.assert_array_equal(np.asarray(reopened(tmp_path / "b.ome.tif")[0]), data)


def test_an_image_inside_a_bioformats2raw_layout_has_its_resolutions(tmp_path):
    import zarr

    zarr.create_group(tmp_path / "a.zarr", attributes={"ome": {"bioformats2raw.layout": 3}})
    write(tmp_path / "a.zarr" / "0.zarr", counts((700, 600)), described("YX"))
    (tmp_path / "a.zarr" / "0.zarr").rename(tmp_path / "a.zarr" / "0")
    whole, inside = reopened(tmp_path / "a.zarr"), reopened(tmp_path / "a.zarr" / "0")
    assert [level.shape for level in whole[0]] == [level.shape for level in inside[0]]
    assert len(whole[0]) == 2


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours_in_a_file_become_colours_of_a_layer(tmp_path, dtype):
    import tifffile

    data = counts((3, 20, 30, 3), dtype)
    tifffile.imwrite(tmp_path / "a.ome.tif", data, photometric="rgb", metadata={"axes": "TYXS"})
    pixels, options, _ = reopened(tmp_path / "a.ome.tif")
    assert options["rgb"]
    assert options["axis_labels"] == ("t", "y", "x")
    assert len(options["scale"]) == len(options["units"]) == 3
    np.testing.assert_array_equal(np.asarray(pixels), data)


def test_contrast_covers_both_ends_of_time_of_each_channel_or_of_all(tmp_path):
    data = np.full((9, 2, 20, 20), 100, np.uint16)
    data[0, 1, 10, 10], data[-1, 0, 10, 10] = 3, 900
    write(tmp_path / "a.ome.zarr", data, described("TCYX"))
    limits = [options["contrast_limits"] for _, options, _ in all_reopened(tmp_path / "a.ome.zarr")]
    assert limits == [(100, 900), (3, 100)]
    many = np.repeat(data, 5, axis=1)
    write(tmp_path / "b.ome.zarr", many, described("TCYX"))
    assert reopened(tmp_path / "b.ome.zarr")[1]["contrast_limits"] == (3, 900)


@pytest.mark.parametrize("value", [np.nan, 0.0, -3.0, 7.0])
def test_contrast_of_a_constant_is_a_range(tmp_path, value):
    write(tmp_path / "a.ome.tif", np.full((20, 20), value, np.float32), described("YX"))
    low, high = reopened(tmp_path / "a.ome.tif")[1]["contrast_limits"]
    assert low < high
    assert np.isnan(value) or low <= value <= high


def test_units_that_napari_does_not_know_are_left_out(tmp_path):
    metadata = ImageMetadata("YX", {"Y": 2.0, "X": 2.0}, {"Y": "furlongish", "X": "micrometer"})
    sink = open_sink(tmp_path / "a.ome.zarr", OutputSpec((9, 9), "YX", np.dtype("uint8"), metadata))
    sink.write((), slice(0, 9), slice(0, 9), counts((9, 9), np.uint8))
    sink.finish()
    assert reopened(tmp_path / "a.ome.zarr")[1]["units"] == ("pixel", "micrometer")


def test_all_units_we_pass_on_are_known_to_napari():
    pint = pytest.importorskip("pint", reason="pint, which napari brings, is not installed")
    assert {str(pint.Unit(unit)) for unit in LENGTHS | TIMES} == LENGTHS | TIMES


@pytest.mark.parametrize(
    ("labels", "units", "axes"),
    [
        (("-3", "-2", "-1"), ("pixel",) * 3, "TYX"),
        (("-3", "-2", "-1"), ("micrometer",) * 3, "ZYX"),
        (("phase", "y", "x"), ("pixel",) * 3, "TYX"),
        (("-4", "-3", "-2", "-1"), ("pixel",) * 4, "TZYX"),
    ],
)
def test_assumed_axes_are_said(tmp_path, labels, units, axes):
    shape = (*(2, 3)[: len(labels) - 2], 20, 20)
    with pytest.warns(UserWarning, match=f"written as {axes}.*axis labels"):
        write(tmp_path / "a.ome.zarr", counts(shape), {"axis_labels": labels, "units": units, "name": "a"})
    assert open_image(tmp_path / "a.ome.zarr").metadata.axes == axes


@pytest.mark.parametrize("labels", [("time", "y", "x"), ("q", "y", "x"), ("Z", "Y", "X")])
def test_named_axes_need_no_warning(tmp_path, labels):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write(tmp_path / "a.ome.zarr", counts((2, 20, 20)), {"axis_labels": labels, "name": "a"})
    assert open_image(tmp_path / "a.ome.zarr").metadata.axes[0] == labels[0][0].upper()


def test_a_place_that_is_not_written_is_said(tmp_path, plugins):
    from napari.layers import Image

    layer = Image(counts((20, 20)), name="a", axis_labels=("y", "x"), translate=(5, 0), rotate=30)
    with pytest.warns(UserWarning, match="translate, rotate is not"):
        layer.save(str(tmp_path / "a.ome.zarr"))


def left(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_failed_write_leaves_nothing(tmp_path, ending):
    class Broken(Counted):
        def __getitem__(self, key):
            if self.read:
                raise OSError("the disk is gone")
            return super().__getitem__(key)

    with pytest.raises(OSError, match="the disk is gone"):
        write(tmp_path / f"a{ending}", Broken(counts((3, 20, 20))), described("TYX"))
    assert left(tmp_path) == []


def test_a_file_is_replaced_by_a_layer_in_memory_only(tmp_path):
    path = tmp_path / "a.ome.tif"
    write(path, counts((20, 20)), described("YX"))
    write(path, counts((20, 20), seed=1), described("YX"))
    pixels, _, _ = reopened(path)
    with pytest.raises(FileExistsError, match=r"path: expected a new name.*found.*choose another"):
        write(path, pixels, described("YX"))
    np.testing.assert_array_equal(np.asarray(pixels), counts((20, 20), seed=1))
    assert left(tmp_path) == ["a.ome.tif"]


def test_folders_and_unfinished_results_are_never_replaced(tmp_path):
    write(tmp_path / "a.ome.zarr", counts((20, 20)), described("YX"))
    with pytest.raises(FileExistsError, match=r"path: expected a new name, found a folder.*choose another"):
        write(tmp_path / "a.ome.zarr", counts((20, 20)), described("YX"))
    (tmp_path / "b.ome.zarr.partial").mkdir()
    with pytest.raises(FileExistsError, match=r"path: expected no unfinished.*found.*choose another"):
        write(tmp_path / "b.ome.zarr", counts((20, 20)), described("YX"))
    with pytest.raises(FileNotFoundError, match=r"path: expected an existing folder, found none.*choose"):
        write(tmp_path / "no" / "b.ome.zarr", counts((20, 20)), described("YX"))
    assert left(tmp_path) == ["a.ome.zarr", "b.ome.zarr.partial"]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("data", "more", "error", "words"),
    [
        (
            np.zeros((9, 9, 3), np.uint8),
            {"rgb": True},
            ValueError,
            "layer: expected one.*found colours.*split",
        ),
        (np.zeros((9, 9), bool), {}, TypeError, "layer: expected integers.*found bool in cells; convert"),
        (
            np.zeros((9, 9), np.int64),
            {},
            TypeError,
            "layer: expected integers.*found int64 in cells; convert",
        ),
        (np.zeros((0, 9), np.uint8), {}, ValueError, "expected at least one pixel.*found shape"),
        (
            np.zeros((1,) * 6, np.uint8),
            {"axis_labels": ("-1",) * 6, "units": None, "scale": (1,) * 6},
            ValueError,
            "axis_labels must name.*found.*set the",
        ),
    ],
)
def test_layers_that_are_refused(tmp_path, ending, data, more, error, words):
    with pytest.raises(error, match=words):
        write(tmp_path / f"a{ending}", data, described("YX", **more))
    assert left(tmp_path) == []


def test_tiff_has_no_half_floats_but_zarr_has(tmp_path):
    data = counts((20, 20), np.float16)
    with pytest.raises(ValueError, match="found float16; write OME-Zarr"):
        write(tmp_path / "a.ome.tif", data, described("YX"))
    write(tmp_path / "a.ome.zarr", data, described("YX"))
    assert left(tmp_path) == ["a.ome.zarr"]


def test_what_is_not_ours_is_not_offered(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.tif").touch()
    (tmp_path / "fake.zarr").touch()
    for path in ("folder", "a.tif", "fake.zarr", "nothing.ome.tif", "nothing.ome.zarr"):
        assert napari_get_reader(str(tmp_path / path)) is None
    assert napari_get_reader([str(tmp_path / "a.ome.tif")] * 2) is None


def test_files_that_are_no_image_are_refused_in_words(tmp_path):
    import zarr

    zarr.create_group(tmp_path / "plate.zarr", attributes={"ome": {"plate": {}}})
    zarr.create_array(tmp_path / "mask.zarr", shape=(9, 9), dtype=bool)
    (tmp_path / "broken.ome.tif").write_bytes(b"no tiff at all")
    for name, error, words in (
        ("plate.zarr", ValueError, "expected an OME-Zarr image.*found none in plate.*check the path"),
        ("mask.zarr", TypeError, "expected dtype.*found bool;.*open it with napari's own reader"),
        ("broken.ome.tif", ValueError, "expected a TIFF.*found another kind.*convert"),
    ):
        with pytest.raises(error, match=words):
            reopened(tmp_path / name)


def test_the_mitosis_stack_keeps_its_calibration_both_ways(data_folder, tmp_path):
    path = data_folder / "data" / "stacks" / "mitosis_tzcyx.ome.tif"
    if not path.is_file():
        pytest.skip(f"the mitosis stack is not in {path.parent}")
    layers = all_reopened(path)
    assert len(layers) == 2, "a layer for each of its channels"
    for channel, (pixels, options, _) in enumerate(layers):
        assert "c" not in options["axis_labels"]
        assert set(options["units"]) > {"micrometer"}
        part = pixels[:2]
        for ending in ENDINGS:
            file = tmp_path / f"a{channel}{ending}"
            write(file, part, options)
            again, kept, _ = reopened(file)
            order = [kept["axis_labels"].index(axis) for axis in options["axis_labels"]]
            np.testing.assert_array_equal(np.asarray(again).transpose(order), np.asarray(part))
            for key in ("scale", "units"):
                assert [kept[key][place] for place in order] == pytest.approx(list(options[key]))
            ours, now = (each["metadata"]["napari-rdpdenoise"] for each in (options, kept))
            assert ours == {**now, "channel": channel}, "which of its channels: a file of one has no choice"


def test_the_module_loads_neither_qt_nor_torch_nor_zarr():
    code = "import sys, napari_rdpdenoise.ui.layers.files; print(sorted(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = {name.strip("' ").split(".")[0] for name in answer.stdout.strip("[]\n").split(",")}
    assert "numpy" in names
    assert not names & {"torch", "zarr", "dask", "tifffile", "qtpy", "PyQt6", "napari", "scipy"}
