"""An output in parts: no two write to one file, whoever comes first counts, and the dead are continued."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from napari_rdpdenoise.files import InUseError, locked
from napari_rdpdenoise.io import ImageMetadata, OutputSpec, open_image, open_sink
from napari_rdpdenoise.io.output import parts
from napari_rdpdenoise.io.output.sink import finished_unseen, output_of

FORMATS = ["a.ome.zarr", "a.ome.tif"]


def spec_of(job="job", planes=3):
    return OutputSpec((planes, 40, 50), "TYX", np.dtype("uint16"), ImageMetadata("TYX"), 32, job)


def fill(sink, planes, value=1):
    for t in planes:
        for y in (0, 32):
            for x in (0, 32):
                rows, columns = slice(y, min(y + 32, 40)), slice(x, min(x + 32, 50))
                block = np.full((rows.stop - y, columns.stop - x), value + t, "uint16")
                sink.write((t,), rows, columns, block)
                sink.mark_done((t,), y, x)


def output(target, spec=None):
    return output_of(target, spec or spec_of())


@pytest.fixture(params=FORMATS)
def target(request, tmp_path):
    return tmp_path / "out" / request.param


def left(target):
    return sorted(path.name for path in target.parent.iterdir())


def begun(target, count=3):
    assert parts.begin(output(target), "the plan") is None
    return target


def do(target, number, spec=None):
    sink = parts.attempt(output(target, spec), number)
    fill(sink, [number - 1])
    return parts.complete(sink, number, f"report {number}")


def test_parts_in_any_order_make_what_one_run_makes(target, tmp_path):
    begun(target)
    for number in (3, 1, 2):
        assert number in parts.missing(target, 3)
        assert do(target, number)
    assert parts.missing(target, 3) == []
    assert [parts.read_part(target, k) for k in (1, 2, 3)] == ["report 1", "report 2", "report 3"]
    with parts.finishing(target), parts.collected(output(target), 3) as sink:
        assert not target.exists()
        assert sink.finish(lambda: "record") == target
    whole = open_sink(tmp_path / target.name, spec_of())
    fill(whole, range(3))
    whole.finish()
    assert contents(target) == contents(tmp_path / target.name)
    assert left(target) == [target.name, f"{target.name}.job.json"]


def contents(path):
    if path.is_file():
        return path.read_bytes()
    return {file.relative_to(path): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_the_first_plan_counts(target):
    plans = [f"plan {k}" for k in range(8)]
    threads = [threading.Thread(target=parts.begin, args=(output(target), plan)) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert parts.read_plan(target) in plans
    assert left(target) == [f"{target.name}.partial"]
    parts.begin(output(target), "late")
    assert parts.read_plan(target) in plans


def test_a_run_in_one_piece_is_shut_out_and_destroys_nothing(target):
    begun(target)
    do(target, 1)
    for job in ("job", "another"):
        with pytest.raises(InUseError, match=r"done in parts, in .*partial; give its command with --part"):
            open_sink(target, spec_of(job), overwrite=True)
    assert not finished_unseen(target)
    assert parts.missing(target, 3) == [2, 3]


def test_parts_are_shut_out_while_a_run_in_one_piece_is_at_work(target, monkeypatch):
    monkeypatch.setattr(parts, "_PATIENCE", 0.1)
    sink = open_sink(target, spec_of())
    with pytest.raises(InUseError, match="another process"):
        parts.begin(output(target), "plan")
    fill(sink, [0])
    sink.abort()
    with pytest.raises(InUseError, match=r"in one piece, with 4 blocks, in .*without --part to go on"):
        parts.begin(output(target), "plan")
    assert parts.read_plan(target) is None
    assert left(target) == [f"{target.name}.partial"]
    assert "4 blocks of another image" in parts.begin(output(target, spec_of("another")), "plan")
    assert parts.read_plan(target) == "plan"


def test_a_finished_result_is_not_replaced_unasked(target):
    open_sink(target, spec_of()).finish()
    with pytest.raises(FileExistsError, match="a finished one"):
        parts.begin(output(target), "plan")
    assert left(target) == [target.name]
    parts.begin(output(target), "plan", overwrite=True)
    assert parts.read_plan(target) == "plan"


def test_an_attempt_goes_on_with_that_of_a_dead_process_but_not_of_a_living(target):
    begun(target)
    first = parts.attempt(output(target), 1)
    fill(first, [0])
    second = parts.attempt(output(target), 1)
    assert second.folder != first.folder
    assert not second.is_done((0,), 0, 0)
    assert parts.under_way(target, 1)
    second.discard()
    first.flush()
    first.held.close()  # as the operating system does of a process that died
    assert not parts.under_way(target, 1)
    third = parts.attempt(output(target), 1)
    assert third.folder == first.folder
    assert third.is_done((0,), 0, 0)
    third.discard()


def test_of_two_attempts_at_once_the_first_to_end_counts(target):
    begun(target)
    one, other = (parts.attempt(output(target), 1) for _ in range(2))
    fill(one, [0], value=1)
    fill(other, [0], value=1)
    assert not parts.is_over(target, 1)
    assert parts.complete(other, 1, "other")
    assert parts.is_over(target, 1)
    assert not parts.complete(one, 1, "one")
    assert parts.read_part(target, 1) == "other"
    assert parts.attempt(output(target), 1) is None
    names = [path.name for path in (target.parent / f"{target.name}.partial").iterdir()]
    assert sorted(names) == ["job.json", "part-1", "plan.json"]


def test_a_late_attempt_leaves_nothing_where_the_result_is(target, monkeypatch):
    monkeypatch.setattr(parts, "_STRAGGLERS", 0.1)
    begun(target)
    late = parts.attempt(output(target), 2)
    for number in (1, 2, 3):
        do(target, number)
    fill(late, [1])
    with parts.finishing(target), parts.collected(output(target), 3) as sink:
        sink.finish()
    late.write((1,), slice(0, 32), slice(0, 32), np.full((32, 32), 9, "uint16"))
    assert not parts.complete(late, 2, "late")
    assert parts.attempt(output(target), 2) is None
    assert left(target) == [target.name]
    assert open_image(target).read((1,), slice(0, 1), slice(0, 1)) == 2


def test_one_finishes_at_a_time(target, monkeypatch):
    monkeypatch.setattr(parts, "_PATIENCE", 0.1)
    begun(target)
    for number in (1, 2, 3):
        do(target, number)
    with parts.finishing(target), parts.collected(output(target), 3) as sink:
        with pytest.raises(InUseError, match="finishing it"), parts.finishing(target):
            pass
        sink.finish()
    with parts.finishing(target) as there:
        assert not there


def test_the_parts_stay_where_finishing_fails(target):
    begun(target)
    for number in (1, 2, 3):
        do(target, number)

    class Full(Exception):
        pass

    def fail():
        raise Full

    for _ in range(2):
        with (
            pytest.raises(Full),
            parts.finishing(target),
            parts.collected(output(target), 3) as sink,
        ):
            sink.finish(fail)
        assert parts.missing(target, 3) == []
        assert not target.exists()
    with parts.finishing(target), parts.collected(output(target), 3) as sink:
        sink.finish()
    assert left(target) == [target.name]


def test_it_works_where_files_cannot_be_linked(target, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr("pathlib.Path.hardlink_to", refuse)
    begun(target)
    for number in (1, 2, 3):
        do(target, number)
    with parts.finishing(target), parts.collected(output(target), 3) as sink:
        sink.finish()
    assert open_image(target).read((2,), slice(0, 1), slice(0, 1)) == 3


def test_locks_of_parts_are_their_own(target):
    """The lock of the whole is free while parts are at work: it is for who finishes."""
    begun(target)
    sink = parts.attempt(output(target), 1)
    with locked(target):
        parts.attempt(output(target), 2).discard()
    sink.discard()
