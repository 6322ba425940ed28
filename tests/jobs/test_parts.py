"""A job in parts gives the files and the record of a job in one piece, whatever the image and the order."""

from __future__ import annotations

import json
import os
from itertools import pairwise

import numpy as np
import pytest
import tifffile

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.files import InUseError
from napari_rdpdenoise.io import ImageMetadata
from napari_rdpdenoise.io.output import parts
from napari_rdpdenoise.jobs.batch import Ended, run_batch
from napari_rdpdenoise.jobs.finish import finish_parts
from napari_rdpdenoise.jobs.job import Job, Opened
from napari_rdpdenoise.jobs.parts import Part, run_part
from napari_rdpdenoise.jobs.record import record_path
from napari_rdpdenoise.jobs.runner import run

FORMATS = [".ome.zarr", ".ome.tif"]
TIMES = ("seconds", "mpps")


@pytest.fixture
def codec(tiny_realism_codec):
    """A small model with both decoders."""
    return tiny_realism_codec


def contents(path):
    if path.is_file():
        return path.read_bytes()
    return {file.relative_to(path): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def record_of(target, *without):
    content = json.loads(record_path(target).read_text())
    for name in (*TIMES, *without):
        del content["report"][name]
    return content


def both(tmp_path, ending):
    """Targets of the same name in two folders."""
    return tmp_path / "whole" / f"r{ending}", tmp_path / "parts" / f"r{ending}"


def jobs(image, targets, settings, axes=""):
    metadata = ImageMetadata(axes, name="cells") if axes else None
    return [Job(image, target, settings, metadata) for target in targets]


def in_parts(job, order, count, drain, codec, cache=None):
    for number in order:
        _, outcome = drain(run_part(job, Part(number, count), codec=codec, cache=cache))
        assert (outcome.path, outcome.record) == (None, None)
    _, finished = drain(finish_parts(job, codec=codec))
    return finished


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize(
    ("shape", "axes", "changes"),
    [
        ((3, 130, 90), "TYX", {}),
        ((9, 40, 30), "TYX", {}),  # planes that share a shard
        ((2, 3, 70, 90), "TCYX", {"realism": 0.5, "seed": 3}),
        ((70, 90, 4), "YXS", {"rate": "auto"}),
        ((4, 70, 90), "ZYX", {"time": (0, 1), "dtype": "float32", "hot_pixels": "keep"}),
        ((600, 40), "YX", {"precision": "bfloat16"}),  # more than one resolution
    ],
)
def test_files_and_record_are_those_of_one_run(
    codec, counts, fast, drain, tmp_path, ending, shape, axes, changes
):
    image = counts(shape)
    image.flat[::997] = 255  # hot pixels
    whole, divided = both(tmp_path, ending)
    one, other = jobs(image, (whole, divided), fast.replace(**changes), axes)
    drain(run(one, codec=codec))
    finished = in_parts(other, (2, 1, 3), 3, drain, codec)
    assert finished.path == divided
    assert contents(divided) == contents(whole)
    assert record_of(divided) == record_of(whole)
    assert sorted(path.name for path in divided.parent.iterdir()) == sorted(
        path.name for path in whole.parent.iterdir()
    )


@pytest.mark.parametrize("neighbours", ["T", "Z", "auto"])
def test_neighbours_are_those_of_the_whole_series(
    tiny_series_codec, counts, fast, drain, tmp_path, neighbours
):
    settings = fast.replace(neighbours=neighbours, rate="auto", precision="bfloat16")
    whole, divided = both(tmp_path, ".ome.zarr")
    one, other = jobs(counts((3, 4, 64, 70)), (whole, divided), settings, "TZYX")
    drain(run(one, codec=tiny_series_codec))
    in_parts(other, (4, 2, 1, 3), 4, drain, tiny_series_codec)
    assert contents(divided) == contents(whole)
    assert record_of(divided) == record_of(whole)


def test_more_parts_than_there_is_to_do_and_one_alone(codec, counts, fast, drain, tmp_path):
    whole, many = both(tmp_path, ".ome.tif")
    image = counts((64, 100))
    one, other = jobs(image, (whole, many), fast, "YX")
    drain(run(one, codec=codec))
    in_parts(other, range(1, 8), 7, drain, codec)
    assert contents(many) == contents(whole)
    (alone,) = jobs(image, [tmp_path / "alone" / "r.ome.tif"], fast, "YX")
    in_parts(alone, [1], 1, drain, codec)
    assert contents(alone.target) == contents(whole)


def test_a_stopped_part_goes_on_and_its_record_is_that_of_an_undisturbed_one(
    codec, counts, fast, drain, tmp_path
):
    image = counts((4, 64, 64 * 3))
    image[:, 5, 5] = 255
    whole, divided = both(tmp_path, ".ome.zarr")
    one, other = jobs(image, (whole, divided), fast.replace(structure="none"), "TYX")
    drain(run(one, codec=codec))
    part, encoded, stops = Part(1, 2), [], 0
    while True:
        calls, running = codec.encoder_calls, run_part(other, part, codec=codec)
        events = []
        for event in running:
            events.append(event)
            if not isinstance(event, Opened) and event.total and event.encoder_calls == 2:
                running.close()
                break
        else:
            break
        stops += 1
        encoded.append(codec.encoder_calls - calls)
    assert stops >= 2
    assert any("continuing" in (event.message or "") for event in events if not isinstance(event, Opened))
    drain(run_part(other, Part(2, 2), codec=codec))
    drain(finish_parts(other, codec=codec))
    assert contents(divided) == contents(whole)
    assert record_of(divided, "encoder_calls") == record_of(whole, "encoder_calls")


def test_a_part_that_is_done_is_not_done_again(codec, counts, fast, drain, tmp_path):
    (job,) = jobs(counts((4, 64, 70)), [tmp_path / "r.ome.zarr"], fast, "TYX")
    events, first = drain(run_part(job, Part(1, 2), codec=codec))
    assert events[-1].message == "1 of 2 parts are done; left: 2."
    calls = codec.encoder_calls
    events, again = drain(run_part(job, Part(1, 2), codec=codec))
    assert codec.encoder_calls == calls
    assert events[-1].message == "part 1/2 was done before. 1 of 2 parts are done; left: 2."
    assert again == first
    assert first.report.tiles == 2
    events, _ = drain(run_part(job, Part(2, 2), codec=codec))
    assert events[-1].message == "All 2 parts are done: --finish makes r.ome.zarr of them."


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_comes_after_the_end_finds_it_finished(codec, counts, fast, drain, tmp_path, overwrite):
    settings = fast.replace(overwrite=overwrite)
    (job,) = jobs(counts((2, 64, 70)), [tmp_path / "r.ome.tif"], settings, "TYX")
    finished = in_parts(job, (1, 2), 2, drain, codec)
    before = job.target.stat().st_mtime_ns
    for running in (run_part(job, Part(2, 2), codec=codec), finish_parts(job, codec=codec)):
        events, late = drain(running)
        assert events[-1].message == "The job was finished before."
        assert (late.path, late.record) == (finished.path, finished.record)
        assert late.report.channels == finished.report.channels
    assert job.target.stat().st_mtime_ns == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.ome.tif", "r.ome.tif.job.json"]


def test_a_finished_result_of_another_job_is_replaced_only_if_that_is_allowed(
    codec, counts, fast, drain, tmp_path
):
    (job,) = jobs(counts((2, 64, 70)), [tmp_path / "r.ome.tif"], fast, "TYX")
    drain(run(job, codec=codec))
    former = job.target.read_bytes()
    (other,) = jobs(counts((2, 64, 70)), [job.target], fast.replace(seed=1, rate=0.9), "TYX")
    for running in (run_part(other, Part(1, 2), codec=codec), finish_parts(other, codec=codec)):
        with pytest.raises(FileExistsError, match="a finished one"):
            drain(running)
    (allowed,) = jobs(other.input, [job.target], other.settings.replace(overwrite=True), "TYX")
    drain(run_part(allowed, Part(1, 2), codec=codec))
    assert job.target.read_bytes() == former
    in_parts(allowed, (1, 2), 2, drain, codec)
    assert job.target.read_bytes() != former


class TestRefusals:
    @pytest.fixture
    def begun(self, codec, counts, fast, drain, tmp_path):
        """A job of a file, one of whose four parts is done."""
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, counts((4, 64, 70), np.uint16), imagej=True, metadata={"axes": "TYX"})
        job = Job(str(path), tmp_path / "r.ome.zarr", fast)
        drain(run_part(job, Part(1, 4), codec=codec))
        return job

    def each(self, job, codec, count=4):
        return run_part(job, Part(2, count), codec=codec), finish_parts(job, codec=codec)

    @pytest.mark.parametrize(
        ("changes", "words"),
        [({"rate": 0.5}, "rate 0.4 there, 0.5 here"), ({"realism": 0.5}, "realism 0.0 there, 0.5 here")],
    )
    def test_other_settings(self, begun, codec, drain, changes, words):
        other = Job(begun.input, begun.target, begun.settings.replace(**changes))
        for running in self.each(other, codec):
            with pytest.raises(ValueError, match=f"part: expected the job .*{words}.*begin anew"):
                drain(running)
        assert parts.missing(begun.target, 4) == [2, 3, 4]

    def test_another_number_of_parts(self, begun, codec, drain):
        with pytest.raises(ValueError, match="4 parts there, 8 here"):
            drain(run_part(begun, Part(2, 8), codec=codec))

    def test_another_model(self, begun, tiny_codec, drain, codec):
        for running in self.each(begun, tiny_codec):
            with pytest.raises(ValueError, match="a model with other weights"):
                drain(running)

    def test_a_changed_image(self, begun, counts, codec, drain):
        pixels = counts((4, 64, 70), np.uint16)
        pixels[0, 0, 0] += 1
        tifffile.imwrite(begun.input, pixels, imagej=True, metadata={"axes": "TYX"})
        os.utime(begun.input, ns=(1, 1))
        for running in self.each(begun, codec):
            with pytest.raises(ValueError, match="another image, or one that has changed"):
                drain(running)

    def test_a_run_in_one_piece(self, begun, codec, drain):
        with pytest.raises(InUseError, match="a job that is done in parts"):
            drain(run(begun, codec=codec))
        assert parts.missing(begun.target, 4) == [2, 3, 4]

    def test_missing_parts_are_named(self, begun, codec, drain, fast):
        for done, words in ((None, "2-4 missing; run --part NUMBER/4 for each"), (3, "2 and 4 missing")):
            if done:
                drain(run_part(begun, Part(done, 4), codec=codec))
            with pytest.raises(ValueError, match=f"finish: expected all 4 parts of r.ome.zarr .*{words}"):
                drain(finish_parts(begun, codec=codec))
        drain(run_part(begun, Part(2, 4), codec=codec))
        at_work = run_part(begun, Part(4, 4), codec=codec)
        while not isinstance(next(at_work), Opened):
            pass
        with pytest.raises(ValueError, match=r"found 4 missing \(at work: 4\); run --part NUMBER/4 for it"):
            drain(finish_parts(begun, codec=codec))
        at_work.close()

    def test_no_parts_at_all(self, codec, counts, fast, drain, tmp_path):
        (job,) = jobs(counts((64, 64)), [tmp_path / "r.ome.zarr"], fast, "YX")
        with pytest.raises(FileNotFoundError, match=r"expected parts of .*found none; run each with --part"):
            drain(finish_parts(job, codec=codec))
        (nowhere,) = jobs(counts((64, 64)), [None], fast, "YX")
        with pytest.raises(ValueError, match="found none; a result in memory has no parts"):
            drain(run_part(nowhere, Part(1, 2), codec=codec))
        (unknown,) = jobs(counts((64, 64)), [tmp_path / "r.png"], fast, "YX")
        with pytest.raises(ValueError, match=r"ends with .ome.zarr or .ome.tif"):
            drain(run_part(unknown, Part(1, 2), codec=codec))
        assert list(tmp_path.iterdir()) == []

    def test_parts_that_are_removed_while_one_is_at_work(self, begun, codec, drain):
        from napari_rdpdenoise.files import remove

        running = run_part(begun, Part(2, 4), codec=codec)
        while not isinstance(next(running), Opened):
            pass
        remove(begun.target.with_name("r.ome.zarr.partial"))
        with pytest.raises(FileNotFoundError, match="removed meanwhile; run all of them again"):
            drain(running)
        assert [path.name for path in begun.target.parent.iterdir()] == ["a.tif"]


def test_two_attempts_at_one_part_at_once_both_end_well(codec, counts, fast, drain, tmp_path):
    (job,) = jobs(counts((4, 64, 128)), [tmp_path / "r.ome.zarr"], fast, "TYX")
    slow, quick = (run_part(job, Part(1, 2), codec=codec) for _ in range(2))
    while isinstance(event := next(slow), Opened) or event.encoder_calls < 1:
        pass
    _, first = drain(quick)
    events, second = drain(slow)
    assert events[-1].message.startswith("part 1/2 was done before")
    assert second.report == first.report
    drain(run_part(job, Part(2, 2), codec=codec))
    drain(finish_parts(job, codec=codec))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.ome.zarr", "r.ome.zarr.job.json"]


def test_a_batch_of_images_is_done_part_by_part(counts, fast, drain, tmp_path, tiny_model):
    settings = fast.replace(model=str(tiny_model))
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", counts((3, 64, 70)) + ord(name))
    todo = [Job(tmp_path / f"{name}.npy", tmp_path / f"out/{name}.ome.tif", settings) for name in "ab"]
    for number in (1, 2):
        step = lambda job, codec: run_part(job, Part(number, 2), codec=codec)  # noqa: E731, B023
        _, failed = drain(run_batch(todo, step=step))
        assert failed == ()
    events, failed = drain(run_batch(todo, step=lambda job, codec: finish_parts(job, codec=codec)))
    assert failed == ()
    assert [event.outcome.path for event in events if isinstance(event, Ended)] == [j.target for j in todo]
    assert all(job.target.exists() for job in todo)


def test_parts_share_a_cache(codec, counts, fast, drain, tmp_path):
    cache = LatentCache(folder=tmp_path / "cache")
    first, second = jobs(counts((2, 64, 70)), both(tmp_path, ".ome.zarr"), fast, "TYX")
    in_parts(first, (1, 2), 2, drain, codec, cache)
    finished = in_parts(second, (1, 2), 2, drain, codec, cache)
    assert finished.report.cache_hits == 2
    assert contents(first.target) == contents(second.target)


def test_the_plan_is_written_once(codec, counts, fast, drain, tmp_path):
    (job,) = jobs(counts((4, 64, 70)), [tmp_path / "r.ome.zarr"], fast.replace(rate="auto"), "TYX")
    texts = []
    for number in (3, 1, 2, 4):
        drain(run_part(job, Part(number, 4), codec=codec))
        texts.append(parts.read_plan(job.target))
    assert all(a == b for a, b in pairwise(texts))
