"""Files as microscopes and people leave them, through the whole command."""

from __future__ import annotations

import json
import os
import warnings

import numpy as np
import pytest
import tifffile
import zarr
from microscope_files import write_mmstack, write_ndtiff

from napari_rdpdenoise.io import open_image


@pytest.fixture
def noisy():
    """Counts of a camera: ``noisy(shape, dtype)``."""

    def make(shape, dtype="uint16", seed=0):
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[: shape[-2], : shape[-1]]
        light = 60 + 90 * np.exp(-((y - 30) ** 2 + (x - 40) ** 2) / 300)
        return rng.poisson(np.broadcast_to(light, shape)).astype(dtype)

    return make


def opened(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return open_image(path)


def test_a_cut_off_stack_is_denoised_as_far_as_it_goes_and_said(denoise, tmp_path, noisy):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noisy((6, 64, 80)), imagej=True, metadata={"axes": "TYX", "finterval": 2.0})
    path.write_bytes(path.read_bytes()[: 400 + 3 * 64 * 80 * 2])
    answer = denoise(path, tmp_path / "r.ome.tif")
    assert answer.exit_code == 0, answer.stderr
    assert "3 of the 6 planes" in answer.stderr
    assert opened(tmp_path / "r.ome.tif").shape == (3, 64, 80)


def test_a_file_without_one_whole_plane_is_wrong_use_and_leaves_nothing(denoise, tmp_path, noisy):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noisy((6, 64, 80)), imagej=True, metadata={"axes": "TYX"})
    path.write_bytes(path.read_bytes()[:900])
    answer = denoise(path, tmp_path / "r.ome.tif")
    assert answer.exit_code == 2
    assert all(words in answer.stderr for words in ("a.tif", "plane 0", "byte 900"))
    assert [entry.name for entry in tmp_path.iterdir() if "cache" not in entry.name] == ["a.tif"]


def test_all_series_give_results_of_their_own(denoise, tmp_path, noisy):
    planes = {(0, 0, t, p): noisy((64, 80), seed=5 * p + t) for p in range(2) for t in range(3)}
    summary = {
        "MicroManagerVersion": "2.0.0", "Frames": 3, "Slices": 1, "Channels": 1, "Positions": 2,
        "TimeFirst": False, "SlicesFirst": True, "Prefix": "run", "Interval_ms": 500.0, "PixelSize_um": 0.1,
    }  # fmt: skip
    path = write_mmstack(tmp_path / "run_MMStack_Pos.ome.tif", planes, summary)
    answer = denoise(path, tmp_path / "out", "--series", "all")
    assert answer.exit_code == 0, answer.stderr
    for number in range(2):
        found = opened(tmp_path / "out" / f"run_MMStack_Pos_s{number}.ome.tif").metadata
        assert found.axes == "TYX"
        assert found.scale == pytest.approx({"X": 0.1, "Y": 0.1, "T": 0.5})
    told = denoise(path, tmp_path / "one.ome.tif")
    assert "position 1" in told.stderr
    assert "--series" in told.stderr
    again = denoise(path, tmp_path / "two.ome.tif", "--series", 1)
    assert "holds 2" not in again.stderr
    assert json.loads((tmp_path / "two.ome.tif.job.json").read_text())["settings"]["series"] == 1


def test_a_folder_of_ndtiff(denoise, tmp_path, noisy):
    array = noisy((3, 64, 80))
    folder = write_ndtiff(
        tmp_path / "nd", [(plane, {"time": t}) for t, plane in enumerate(array)], {"PixelSize_um": 0.1}
    )
    answer = denoise(folder, tmp_path / "r.ome.zarr")
    assert answer.exit_code == 0, answer.stderr
    assert opened(tmp_path / "r.ome.zarr").metadata.scale == {"X": 0.1, "Y": 0.1}


def test_single_frames_below_a_folder_with_brackets_are_one_series(denoise, tmp_path, noisy):
    folder = tmp_path / "Exp [A] é"
    folder.mkdir()
    for number, plane in enumerate(noisy((11, 64, 80))):
        tifffile.imwrite(folder / f"cell_{number}.tif", plane)
    answer = denoise(f"{folder}/*.tif", tmp_path / "r.ome.tif", "--stack", "T")
    assert answer.exit_code == 0, answer.stderr
    result = opened(tmp_path / "r.ome.tif")
    assert (result.shape, result.metadata.axes) == ((11, 64, 80), "TYX")
    record = tmp_path / "r.ome.tif.job.json"
    result.close()
    again = denoise("--job", record, "--overwrite")
    assert again.exit_code == 0, again.stderr
    answer = denoise(f"{folder}/*.tif", tmp_path / "out")
    assert answer.exit_code == 0, answer.stderr
    assert len(list((tmp_path / "out").glob("*.ome.tif"))) == 11


def test_colour_stays_colour(denoise, tmp_path, noisy):
    image = np.moveaxis(noisy((4, 64, 80), "uint8"), 0, -1).copy()
    image[..., 3] = np.arange(80)
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb", extrasamples=["unassalpha"])
    answer = denoise(tmp_path / "a.tif", tmp_path / "r.ome.tif")
    assert answer.exit_code == 0, answer.stderr
    with tifffile.TiffFile(tmp_path / "r.ome.tif") as tif:
        assert tif.pages.first.photometric.name == "RGB"
        found = tif.asarray()
    np.testing.assert_array_equal(found[..., 3], image[..., 3])
    assert (found[..., :3] != image[..., :3]).any()


def test_colours_and_places_of_ome_zarr(denoise, tmp_path, noisy):
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=2)
    group.create_array("0", data=noisy((2, 64, 80)))
    axes = [
        {"name": "c", "type": "channel"},
        *({"name": a, "type": "space", "unit": "micrometer"} for a in "yx"),
    ]
    transforms = [
        {"type": "scale", "scale": [1, 0.1, 0.1]},
        {"type": "translation", "translation": [0, 250.0, -30.0]},
    ]
    group.attrs["multiscales"] = [
        {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": transforms}]}
    ]
    channels = [{"label": "DAPI", "color": "0000FF"}, {"label": "GFP", "color": "00FF00"}]
    group.attrs["omero"] = {"channels": channels}
    answer = denoise(tmp_path / "a.zarr", tmp_path / "r.ome.zarr")
    assert answer.exit_code == 0, answer.stderr
    ome = zarr.open_group(tmp_path / "r.ome.zarr", mode="r").attrs["ome"]
    assert [(c["label"], c["color"]) for c in ome["omero"]["channels"]] == [
        ("DAPI", "0000FF"),
        ("GFP", "00FF00"),
    ]
    written = ome["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert {"type": "translation", "translation": [0.0, 250.0, -30.0]} in written


def test_photons_are_kept_in_whole_counts_and_told(denoise, tmp_path):
    image = np.random.default_rng(0).poisson(0.2, (128, 128)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", image)
    answer = denoise(tmp_path / "a.tif", tmp_path / "r.ome.tif")
    assert answer.exit_code == 0, answer.stderr
    assert "--dtype float32" in answer.stderr
    result = tifffile.imread(tmp_path / "r.ome.tif")
    assert float(result.sum()) == pytest.approx(float(image.sum()), rel=5e-3)
    assert denoise(tmp_path / "a.tif", tmp_path / "f.ome.tif", "--dtype", "auto").exit_code == 0
    assert tifffile.imread(tmp_path / "f.ome.tif").dtype == np.float32


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_names_that_break_lines_are_shown_escaped_and_kept_in_paths(denoise, tmp_path, noisy):
    name = "a\nb\x1b[31m.tif"
    tifffile.imwrite(tmp_path / name, noisy((64, 80)))
    answer = denoise(tmp_path / name, tmp_path / "r\n1.ome.tif")
    assert answer.exit_code == 0, answer.stderr
    assert "\x1b" not in answer.stderr
    told = [line for line in answer.stderr.splitlines() if line]  # older Rich ends its bar with an empty line
    assert told
    assert all(r"a\nb\x1b[31m.tif: " in line for line in told)
    assert (tmp_path / "r\n1.ome.tif").is_file()
    assert json.loads((tmp_path / "r\n1.ome.tif.job.json").read_text())["input"] == str(tmp_path / name)
    again = denoise(tmp_path / name, tmp_path / "r\n1.ome.tif")
    assert again.exit_code == 2
    assert len(again.stderr.strip().splitlines()) == 1
    assert r"r\n1.ome.tif" in again.stderr


def test_names_with_control_characters_leave_whole_metadata(denoise, tmp_path, noisy):
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=2)
    group.create_array("0", data=noisy((2, 64, 80)))
    axes = [{"name": "c", "type": "channel"}, *({"name": n, "type": "space"} for n in "yx")]
    group.attrs["multiscales"] = [
        {"version": "0.4", "axes": axes, "datasets": [{"path": "0"}], "name": "i\x1bm"}
    ]
    group.attrs["omero"] = {"channels": [{"label": "G\x1b[31mFP", "color": "00FF00"}, {"label": "RFP"}]}
    answer = denoise(tmp_path / "a.zarr", tmp_path / "r.ome.tif")
    assert answer.exit_code == 0, answer.stderr
    assert "\x1b" not in answer.stderr
    found = opened(tmp_path / "r.ome.tif").metadata
    assert found.axes == "CYX"
    assert found.channel_names == ("G [31mFP", "RFP")
