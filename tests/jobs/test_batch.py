from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_rdpdenoise import places
from napari_rdpdenoise.codec import device
from napari_rdpdenoise.codec.library import COLOUR_MODEL, DEFAULT_MODEL
from napari_rdpdenoise.jobs.batch import Ended, Started, plan_jobs, run_batch, stem
from napari_rdpdenoise.jobs.job import Job, Opened
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream import Progress
from napari_rdpdenoise.stream.report import ModelNamed


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
        (["a.tif", "a.tif"], "out", None, "expected every image once, found a.tif twice; leave one"),
        (["b.ome.tif", "../{folder}/b.ome.tif"], "out", None, r"found \.\./.*/b.ome.tif twice"),
        (["[ab].*"], ".", None, "found b.ome.tif beside b.tif, whose result has that name"),
        ([""], "out", None, "INPUTS: expected a path, found an empty one"),
        (["a.tif"], "", None, "OUT: expected a path, found an empty one"),
        (["a.tif"], " ", "ome-zarr", "OUT: expected a path, found an empty one"),
    ],
)
def test_refused_before_any_work(folder, inputs, out, form, message):
    if "[ab].*" in inputs:
        Path("b.tif").touch()
    inputs = [name.format(folder=folder.name) for name in inputs]
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


@pytest.mark.parametrize(("one", "other"), [("x/cell.tif", "y/Cell.tif"), ("x/\u00e9.tif", "y/e\u0301.tif")])
def test_results_whose_names_the_file_system_takes_for_one_are_refused(folder, monkeypatch, one, other):
    for name in (one, other):
        Path(name).parent.mkdir()
        Path(name).touch()
    inputs = [one, other]
    found = targets(inputs, "out")
    assert len(set(found)) == 2
    monkeypatch.setattr(places, "tells_case_apart", lambda _: False)
    with pytest.raises(ValueError, match="INPUTS: expected different names"):
        plan_jobs(inputs, "out", RunSettings(overwrite=True))


def test_a_result_of_an_input_s_name_in_other_case_is_refused_where_they_are_one(folder, monkeypatch):
    Path("A.OME.TIF").touch()
    assert targets(["A.OME.TIF", "a.tif"], ".") == ["A.ome.tif", "a.ome.tif"]
    monkeypatch.setattr(places, "tells_case_apart", lambda _: False)
    with pytest.raises(ValueError, match=r"holds or lies in the input A\.OME\.TIF"):
        plan_jobs(["A.OME.TIF"], ".")


class TestSetsAndSeries:
    @staticmethod
    def write_set(folder):
        names = [f"run_{k}.ome.tif" for k in range(3)]
        data = "".join(
            f'<TiffData FirstT="{k}" IFD="0" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{k}</UUID>'
            "</TiffData>"
            for k, name in enumerate(names)
        )
        for k, name in enumerate(names):
            xml = (
                f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:{k}">'
                '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="9" '
                'SizeY="8" SizeC="1" SizeZ="1" SizeT="3"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>'
                f"{data}</Pixels></Image></OME>"
            )
            plane = np.full((8, 9), k, np.uint16)
            tifffile.imwrite(folder / name, plane, metadata=None, description=xml, photometric="minisblack")

    def test_a_set_is_one_job_whichever_files_are_named(self, tmp_path):
        self.write_set(tmp_path)
        np.save(tmp_path / "other.npy", np.zeros((9, 8), np.uint16))
        for inputs in ([f"{tmp_path}/*"], [f"{tmp_path}/run_{k}.ome.tif" for k in (2, 0, 1)]):
            plan = plan_jobs(inputs, str(tmp_path / "out"))
            assert [Path(job.input).name for job in plan.jobs if "run" in job.input] == [
                Path(inputs[0]).name.replace("*", "run_0.ome.tif")
            ]

    def test_series_all_is_a_job_for_each_image(self, tmp_path):
        with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tif:
            for number in range(3):
                tif.write(np.full((8, 9), number, np.uint16), photometric="minisblack")
        np.save(tmp_path / "b.npy", np.zeros((9, 8), np.uint16))
        settings = RunSettings(series="all")
        inputs = [str(tmp_path / "a.ome.tif"), str(tmp_path / "b.npy")]
        plan = plan_jobs(inputs, str(tmp_path / "out"), settings)
        assert [(job.target.name, job.settings.series) for job in plan.jobs] == [
            ("a_s0.ome.tif", 0),
            ("a_s1.ome.tif", 1),
            ("a_s2.ome.tif", 2),
            ("b.ome.zarr", 0),
        ]
        with pytest.raises(ValueError, match="OUT: expected a folder"):
            plan_jobs(inputs[:1], str(tmp_path / "r.ome.tif"), settings)
        assert plan_jobs(inputs[1:], str(tmp_path / "r.ome.tif"), settings).jobs[0].settings.series == 0

    @pytest.mark.parametrize(
        ("names", "expected"),
        [(("c_1.tif", "c_2.tif", "c_10.tif"), "c"), (("a.tif", "b.tif"), "Exp [A]"), (("one.tif",), "one")],
    )
    def test_a_stack_is_one_job_named_by_what_its_files_share(self, tmp_path, names, expected):
        folder = tmp_path / "Exp [A]"
        folder.mkdir()
        for name in names:
            tifffile.imwrite(folder / name, np.zeros((8, 9), np.uint16))
        plan = plan_jobs([f"{folder}/*.tif"], str(tmp_path / "out"), RunSettings(stack="T"))
        assert [job.target.name for job in plan.jobs] == [f"{expected}.ome.tif"]
        plan = plan_jobs([f"{folder}/*.tif"], str(tmp_path / "r.ome.tif"), RunSettings(stack="T"))
        assert [job.target.name for job in plan.jobs] == ["r.ome.tif"]

    def test_names_that_are_not_utf8_are_refused_and_nothing_is_left_behind(self, tmp_path):
        name = os.fsdecode(bytes(tmp_path) + b"/caf\xe9.npy")
        np.save(name, np.zeros((9, 8), np.uint16))
        for inputs, out in (([name], "out"), ([str(tmp_path / "*.npy")], "out"), ([name], name + ".ome.tif")):
            with pytest.raises(ValueError, match="UTF-8"):
                plan_jobs(inputs, str(tmp_path / out))
        assert len(list(tmp_path.iterdir())) == 1

    def test_thousands_of_inputs_are_planned_in_seconds(self, tmp_path):
        for number in range(3000):
            (tmp_path / f"{number}.npy").touch()
        began = time.monotonic()
        assert len(plan_jobs([f"{tmp_path}/*.npy"], str(tmp_path / "out")).jobs) == 3000
        assert time.monotonic() - began < 20


class TestRunning:
    @pytest.fixture
    def jobs(self, counts, fast, tiny_model, tmp_path):
        """Three jobs, the second of which has no input."""
        settings = fast.replace(model=str(tiny_model))
        for name in "ac":
            np.save(tmp_path / f"{name}.npy", counts((40, 40)) + ord(name))
        return [Job(tmp_path / f"{name}.npy", tmp_path / f"out/{name}.ome.tif", settings) for name in "abc"]

    def test_a_failure_ends_its_job_only(self, jobs, drain):
        events, failed = drain(run_batch(jobs))
        assert events[0].message.startswith("model tiny on cpu")
        assert [event.number for event in events if isinstance(event, Started)] == [1, 2, 3]
        assert sum(isinstance(event, Opened) for event in events) == 2
        ended = [event for event in events if isinstance(event, Ended)]
        assert [event.job for event in ended] == jobs
        assert [event.error is None for event in ended] == [True, False, True]
        assert [event.outcome and event.outcome.path for event in ended] == [
            jobs[0].target, None, jobs[2].target,
        ]  # fmt: skip
        assert failed == (ended[1],)
        assert isinstance(failed[0].error, FileNotFoundError)

    def test_what_is_finished_is_kept_and_the_rest_is_done(self, jobs, drain):
        drain(run_batch(jobs[:1]))
        before = jobs[0].target.stat().st_mtime_ns
        events, failed = drain(run_batch([jobs[0], jobs[2]]))
        kept, done = (event for event in events if isinstance(event, Ended))
        assert (kept.outcome, kept.error, failed) == (None, None, ())
        assert done.outcome.path == jobs[2].target
        assert jobs[0].target.stat().st_mtime_ns == before
        other = [replace(jobs[0], settings=jobs[0].settings.replace(seed=1))]
        _, (refused,) = drain(run_batch(other))
        assert isinstance(refused.error, FileExistsError)
        again = [replace(job, settings=job.settings.replace(overwrite=True)) for job in jobs[:1]]
        events, failed = drain(run_batch(again))
        assert (events[-1].outcome.path, failed) == (jobs[0].target, ())

    def test_a_model_that_cannot_be_used_ends_it_before_the_first(self, jobs, tmp_path):
        for changes, error in (({"model": "nothing"}, FileNotFoundError), ({"realism": 1.0}, ValueError)):
            settings = jobs[0].settings.replace(**changes)
            with pytest.raises(error, match="model"):
                next(run_batch([replace(job, settings=settings) for job in jobs]))
        assert not (tmp_path / "out").exists()

    @pytest.mark.filterwarnings("ignore:.*(noise|photo|removed part)")  # random counts, and a random model
    def test_of_pictures_in_colour_and_others_only_models_in_use_are_loaded_and_named_once_in_a_row(
        self, two_models, counts, fast, tmp_path, drain, monkeypatch
    ):
        loaded = []
        real = device.shared_codec
        monkeypatch.setattr(
            device, "shared_codec", lambda model, device: (loaded.append(model), real(model, device))[1]
        )
        for name, shape in (("a", (40, 50, 3)), ("b", (40, 50, 3)), ("c", (40, 50)), ("d", (40, 50))):
            tifffile.imwrite(tmp_path / f"{name}.tif", counts(shape))
        jobs = [Job(tmp_path / f"{n}.tif", tmp_path / f"out/{n}.ome.zarr", fast) for n in "abcd"]

        def named(events):
            lines = [event.message for event in events if isinstance(event, ModelNamed)]
            return [line.split()[1] for line in lines]

        events, failed = drain(run_batch(jobs[:2]))
        assert not failed
        assert set(loaded) == {COLOUR_MODEL}
        assert named(events) == [COLOUR_MODEL]
        replaced = [replace(job, settings=fast.replace(overwrite=True)) for job in jobs]
        events, failed = drain(run_batch(replaced))
        assert not failed
        assert named(events) == [COLOUR_MODEL, DEFAULT_MODEL]
        events, _ = drain(run_batch(jobs))
        assert [event.outcome for event in events if isinstance(event, Ended)] == [None] * 4

    def test_closing_it_ends_the_job_under_way_and_begins_no_other(self, jobs, tiny_codec):
        running = run_batch(jobs, codec=tiny_codec)
        while not isinstance(next(running), Opened):
            pass
        running.close()
        assert not list(jobs[0].target.parent.iterdir()), "no tile was done, so nothing is to be continued"

    def test_a_job_that_had_begun_is_kept_and_continued(self, counts, fast, tiny_codec, tmp_path, drain):
        np.save(tmp_path / "a.npy", counts((150, 150)))
        job = Job(tmp_path / "a.npy", tmp_path / "out/a.ome.tif", fast)
        running = run_batch([job], codec=tiny_codec)
        while not (isinstance(event := next(running), Progress) and event.done > 1):
            pass
        assert event.done < event.total
        running.close()
        assert [path.name for path in job.target.parent.iterdir()] == ["a.ome.tif.partial"]
        events, failed = drain(run_batch([job], codec=tiny_codec))
        progress = [event for event in events if isinstance(event, Progress) and event.total]
        assert progress[0].done > 0, "what was done is not done again"
        assert not failed
        undisturbed = replace(job, target=tmp_path / "other/a.ome.tif")
        drain(run_batch([undisturbed], codec=tiny_codec))
        assert job.target.read_bytes() == undisturbed.target.read_bytes()

    def test_no_jobs(self, drain):
        assert drain(run_batch([])) == ([], ())
