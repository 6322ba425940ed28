from __future__ import annotations

from pathlib import Path

import pytest

from napari_rdpdenoise.jobs.batch import plan_jobs, stem
from napari_rdpdenoise.settings import RunSettings


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with two TIFFs and an OME-Zarr."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.tif", "b.ome.tif"):
        Path(name).touch()
    Path("c.ome.zarr").mkdir()
    Path("c.ome.zarr/zarr.json").touch()
    return tmp_path


def targets(inputs, out, form=None) -> list[str]:
    plan = plan_jobs(inputs, out, RunSettings(output_format=form))
    return [job.target.as_posix() for job in plan.jobs]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("x/a.tif", "a"), ("a.OME.TIF", "a"), ("a.b.tiff", "a.b"), ("c.ome.zarr/", "c"), ("d.zarr", "d"),
        ("e.npy", "e"), ("s3://bucket/f.ome.zarr", "f"), ("plain", "plain"), (".tif", ".tif"),
    ],
)  # fmt: skip
def test_stem(path, expected):
    assert stem(path) == expected


@pytest.mark.parametrize("out", ["r.ome.tif", "r.tiff", "r.ome.zarr", "new/r.zarr"])
def test_one_input_to_a_file(folder, out):
    plan = plan_jobs(["a.tif"], out)
    assert [job.target for job in plan.jobs] == [Path(out)]
    assert not plan.several


def test_results_follow_the_family_of_the_input(folder):
    assert targets(["a.tif", "b.ome.tif", "c.ome.zarr"], "out") == [
        "out/a.ome.tif",
        "out/b.ome.tif",
        "out/c.ome.zarr",
    ]


@pytest.mark.parametrize(("form", "ending"), [("ome-zarr", ".ome.zarr"), ("ome-tiff", ".ome.tif")])
def test_format_overrules_the_family(folder, form, ending):
    assert targets(["a.tif", "c.ome.zarr"], "out", form) == [f"out/a{ending}", f"out/c{ending}"]


def test_one_input_into_a_folder(folder):
    assert targets(["a.tif"], "out") == ["out/a.ome.tif"]
    Path("res.v2").mkdir()
    assert targets(["a.tif"], "res.v2") == ["res.v2/a.ome.tif"]


def test_a_glob_is_a_batch_even_with_one_match_and_skips_what_we_left(folder):
    for name in ("a.ome.tif.job.json", "a.tif.partial", "a.ome.tif.lock", "a.ome.tif.job.json.0a.new"):
        Path(name).touch()
    plan = plan_jobs(["a*"], "out")
    assert [job.input for job in plan.jobs] == ["a.tif"]
    assert plan.several
    assert targets(["**/*.tif"], "out") == ["out/a.ome.tif", "out/b.ome.tif"]


def test_a_name_with_brackets_is_taken_as_it_is(folder):
    Path("d[1].tif").touch()
    assert targets(["d[1].tif"], "out") == ["out/d[1].ome.tif"]


@pytest.mark.parametrize("name", ["none.tif", "*.lif"])
def test_missing_inputs(folder, name):
    with pytest.raises(FileNotFoundError, match=r"INPUTS: expected .*found"):
        plan_jobs([name], "out")


@pytest.mark.parametrize(
    ("inputs", "out", "form", "message"),
    [
        (["a.tif"], "a.tif", None, "holds or lies in the input a.tif"),
        (["a.tif"], "../{folder}/a.tif", None, "holds or lies in"),
        (["b.ome.tif", "a.tif"], ".", None, "the input b.ome.tif"),
        (["c.ome.zarr"], "c.ome.zarr/r.ome.zarr", None, "holds or lies in the input"),
        (["a.tif"], "r.ome.tif", "ome-zarr", "--format: expected"),
        (["a.tif"], "r.png", None, r"OUT: expected a name that ends with .ome.zarr or .ome.tif"),
        (["a.tif", "b.ome.tif"], "r.ome.tif", None, "OUT: expected a folder"),
        (["a.tif", "a.tif"], "out", None, "expected different names"),
    ],
)
def test_refused_before_any_work(folder, inputs, out, form, message):
    with pytest.raises(ValueError, match=message):
        plan_jobs(inputs, out.format(folder=folder.name), RunSettings(output_format=form))


def test_an_input_inside_the_result_is_refused(folder):
    inside = Path("r.ome.zarr/a.tif")
    inside.parent.mkdir()
    inside.touch()
    with pytest.raises(ValueError, match="holds or lies in the input"):
        plan_jobs([str(inside)], "r.ome.zarr")


def test_equal_through_a_link_is_refused(folder):
    Path("link.tif").symlink_to("a.tif")
    with pytest.raises(ValueError, match="holds or lies in"):
        plan_jobs(["a.tif"], "link.tif")
