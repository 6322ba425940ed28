"""What outputs to files promise: complete or absent, continued after an interruption, nothing lost."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from napari_rdpdenoise.io import ArraySink, ImageMetadata, OutputSpec, Sink, open_image, open_sink
from napari_rdpdenoise.io.source import SUPPORTED_DTYPES

FORMATS = ["a.ome.zarr", "a.ome.tif"]
METADATA = ImageMetadata(
    axes="TZCYX",
    scale={"T": 0.25, "Z": 1.5, "Y": 0.1, "X": 0.125},
    units={"T": "minute", "Z": "micrometer", "Y": "micrometer", "X": "nanometer"},
    channel_names=("DAPI", "GFP"),
    name="cells",
)


def spec_of(array, axes, metadata=None, **more):
    known = metadata or ImageMetadata(axes)
    return OutputSpec(array.shape, axes, array.dtype, known, **{"tile": 64, "job": "settings", **more})


def blocks_of(array, tile):
    """Cores as the planner makes them: multiples of the tile, a sliver at the end merged into the last."""

    def cuts(size):
        starts = [s for s in range(0, size, tile) if s == 0 or size - s >= tile // 4]
        return [slice(a, b) for a, b in zip(starts, [*starts[1:], size], strict=True)]

    return [
        (index, y, x)
        for index in np.ndindex(*array.shape[:-2])
        for y in cuts(array.shape[-2])
        for x in cuts(array.shape[-1])
    ]


def fill(sink, array, blocks):
    written = 0
    for index, y, x in blocks:
        if not sink.is_done(index, y.start, x.start):
            sink.write(index, y, x, array[(*index, y, x)])
            sink.mark_done(index, y.start, x.start)
            written += 1
    return written


def save(path, array, axes, **more):
    overwrite = more.pop("overwrite", False)
    sink = open_sink(path, spec_of(array, axes, **more), overwrite=overwrite)
    fill(sink, array, blocks_of(array, sink.spec.tile))
    return sink.finish()


def contents(path):
    """Every byte below a path."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return {str(file.relative_to(path.parent)): file.read_bytes() for file in files}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((1, 1), "YX"),
        ((1, 130), "YX"),
        ((130, 1), "YX"),
        ((67, 131), "YX"),
        ((3, 67, 70), "TYX"),
        ((2, 3, 2, 20, 33), "TZCYX"),
        ((2, 3, 2, 20, 33), "CZTYX"),
        ((2, 3, 20, 33), "ZTYX"),
    ],
)
def test_written_and_read_again_it_is_the_same(tmp_path, name, shape, axes, image):
    array = image(shape)
    path = save(tmp_path / name, array, axes)
    again = open_image(path)
    kept = "".join(axis for axis in again.metadata.axes if axis in axes)
    assert len(kept) == len(again.metadata.axes)
    expected = np.transpose(array, [axes.index(axis) for axis in kept])
    for index in np.ndindex(*again.shape[:-2]):
        np.testing.assert_array_equal(again.read(index, slice(None), slice(None)), expected[index])
    assert sorted(p.name for p in tmp_path.iterdir()) == [name]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("dtype", SUPPORTED_DTYPES)
def test_dtype_is_kept(tmp_path, name, dtype, image):
    array = image((2, 70, 33), dtype)
    if name.endswith("tif") and dtype == "float16":
        with pytest.raises(ValueError, match=r"OME-TIFF has, found float16.*--dtype float32"):
            save(tmp_path / name, array, "TYX")
        assert list(tmp_path.iterdir()) == []
        return
    again = open_image(save(tmp_path / name, array, "TYX"))
    assert again.dtype == dtype
    np.testing.assert_array_equal(again.read((1,), slice(None), slice(None)), array[1])


@pytest.mark.parametrize("name", FORMATS)
def test_metadata_is_kept(tmp_path, name, image):
    found = open_image(save(tmp_path / name, image((3, 2, 2, 9, 8)), "TZCYX", metadata=METADATA)).metadata
    assert found.scale == METADATA.scale
    assert found.units == METADATA.units
    assert found.channel_names == METADATA.channel_names


@pytest.mark.parametrize("name", FORMATS)
def test_unknown_metadata_is_not_invented(tmp_path, name, image):
    found = open_image(save(tmp_path / name, image((3, 2, 9, 8)), "TCYX")).metadata
    assert (dict(found.scale), dict(found.units), found.channel_names) == ({}, {}, ())


@pytest.mark.parametrize("name", FORMATS)
def test_steps_without_a_unit_stay_without(tmp_path, name, image):
    known = ImageMetadata("YX", {"Y": 3.0, "X": 2.0})
    found = open_image(save(tmp_path / name, image((9, 8)), "YX", metadata=known)).metadata
    assert (dict(found.scale), dict(found.units)) == ({"Y": 3.0, "X": 2.0}, {})


@pytest.mark.filterwarnings(
    "ignore:.*are taken for channels"
)  # of a picture that does not say that it is one
@pytest.mark.parametrize("name", FORMATS)
def test_colour_becomes_named_channels(tmp_path, name, image):
    array = image((3, 20, 33), "uint8")
    again = open_image(save(tmp_path / name, array, "SYX"))
    assert again.metadata.axes == "CYX"
    assert again.metadata.channel_names == ("Red", "Green", "Blue")
    np.testing.assert_array_equal(again.read((1,), slice(None), slice(None)), array[1])


@pytest.mark.parametrize("name", FORMATS)
def test_axes_that_formats_do_not_have_become_channels(tmp_path, name, image):
    array = image((2, 4, 3, 20, 33))
    known = ImageMetadata("QTCYX", channel_names=("a", "b", "c"))
    again = open_image(save(tmp_path / name, array, "QTCYX", metadata=known))
    assert set(again.metadata.axes) == set("TCYX")
    assert again.metadata.channel_names == ("Q0 a", "Q0 b", "Q0 c", "Q1 a", "Q1 b", "Q1 c")
    index = {"T": 3, "C": 1 * 3 + 2}
    place = tuple(index[axis] for axis in again.metadata.axes[:-2])
    np.testing.assert_array_equal(again.read(place, slice(None), slice(None)), array[1, 3, 2])


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_is_at_the_path_before_the_end(tmp_path, name, image):
    array = image((4, 70, 80))
    sink = open_sink(tmp_path / name, spec_of(array, "TYX"))
    assert isinstance(sink, Sink)
    fill(sink, array, blocks_of(array, 64))
    assert not (tmp_path / name).exists()
    assert sink.finish() == tmp_path / name
    assert (tmp_path / name).exists()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("done", [0, 1, 7])
def test_continued_output_equals_an_undisturbed_one(tmp_path, name, done, image):
    array = image((4, 200, 90))
    blocks = blocks_of(array, 64)
    first = open_sink(tmp_path / "one" / name, spec_of(array, "TYX"))
    fill(first, array, blocks[:done])
    first.write(*blocks[done], array[(*blocks[done][0], *blocks[done][1:])] * 0)  # written, not marked
    first.abort()
    assert not (tmp_path / "one" / name).exists()
    second = open_sink(tmp_path / "one" / name, spec_of(array, "TYX"))
    assert fill(second, array, blocks) == len(blocks) - done
    second.finish()
    save(tmp_path / "two" / name, array, "TYX")
    assert contents(tmp_path / "one" / name) == contents(tmp_path / "two" / name)


@pytest.mark.parametrize("name", FORMATS)
def test_partial_result_of_another_job_is_discarded(tmp_path, name, image):
    array = image((4, 64, 64))
    blocks = blocks_of(array, 64)
    changes = [{"job": "other"}, {"tile": 32}, {"metadata": ImageMetadata("TYX", name="other")}]
    for change in changes:
        sink = open_sink(tmp_path / name, spec_of(array, "TYX"))
        fill(sink, array, blocks[:2])
        sink.abort()
        other = open_sink(tmp_path / name, spec_of(array, "TYX", **change))
        assert not other.is_done((0,), 0, 0)
        assert not np.asarray(other.array[0]).any()
        other.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["job.json", "progress.log", "image/0/zarr.json"])
def test_damaged_partial_result_is_started_anew(tmp_path, damage, image):
    array = image((4, 64, 64))
    sink = open_sink(tmp_path / "a.ome.zarr", spec_of(array, "TYX"))
    fill(sink, array, blocks_of(array, 64))
    sink.abort()
    (sink.folder / damage).unlink()
    assert not open_sink(tmp_path / "a.ome.zarr", spec_of(array, "TYX")).is_done((0,), 0, 0)


def test_nothing_stays_of_a_run_that_did_nothing(tmp_path, image):
    sink = open_sink(tmp_path / "a.ome.zarr", spec_of(image((4, 64, 64)), "TYX"))
    sink.abort()
    assert not sink.folder.exists()


def test_record_cut_off_in_the_middle_of_a_line_marks_nothing_else(tmp_path, image):
    array = image((12, 64, 64))
    sink = open_sink(tmp_path / "a.ome.zarr", spec_of(array, "TYX"))
    sink.mark_done((3,), 0, 0)
    sink.abort()
    with (sink.folder / "progress.log").open("a") as log:
        log.write("1")  # of "11 0 0 -"
    again = open_sink(tmp_path / "a.ome.zarr", spec_of(array, "TYX"))
    assert [t for t in range(12) if again.is_done((t,), 0, 0)] == [3]
    again.mark_done((5,), 0, 0)
    again.abort()
    assert (sink.folder / "progress.log").read_text() == "3 0 0 -\n5 0 0 -\n"


@pytest.mark.parametrize("name", FORMATS)
def test_finished_output_is_replaced_only_on_request(tmp_path, name, image):
    old, new = image((2, 20, 30), seed=1), image((2, 20, 30), seed=2)
    path = save(tmp_path / name, old, "TYX")
    before = contents(path)
    with pytest.raises(FileExistsError, match=r"found a finished one.*overwrite \(--overwrite\)"):
        open_sink(path, spec_of(new, "TYX"))
    sink = open_sink(path, spec_of(new, "TYX", job="new"), overwrite=True)
    fill(sink, new, blocks_of(new, 64))
    assert contents(path) == before  # until the new one is complete
    sink.finish()
    again = open_image(path)
    np.testing.assert_array_equal(again.read((1,), slice(None), slice(None)), new[1])
    assert sorted(p.name for p in tmp_path.iterdir()) == [name]


def test_folder_that_is_no_image_is_never_replaced(tmp_path, image):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="another folder with files"):
        open_sink(tmp_path / "a.zarr", spec_of(image((9, 8)), "YX"), overwrite=True)


@pytest.mark.parametrize("name", ["a.png", "a", "a.zarr.zip"])
def test_other_endings_are_refused(tmp_path, name, image):
    with pytest.raises(ValueError, match=r"\.ome\.zarr or \.ome\.tif"):
        open_sink(tmp_path / name, spec_of(image((9, 8)), "YX"))


def test_array_sink_holds_what_was_written(image):
    array = image((3, 70, 80))
    sink = ArraySink(spec_of(array, "TYX"))
    assert isinstance(sink, Sink)
    blocks = blocks_of(array, 64)
    assert fill(sink, array, blocks) == len(blocks)
    assert fill(sink, array, blocks) == 0
    sink.finish()
    np.testing.assert_array_equal(sink.array, array)


@pytest.mark.parametrize("tile", [64, 48])
def test_blocks_of_any_shape_from_several_threads(tmp_path, tile, image):
    """Also such that share a shard."""
    array = image((2, 150, 170))
    sink = open_sink(tmp_path / "a.ome.zarr", spec_of(array, "TYX", tile=64))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda b: sink.write(*b, array[(*b[0], *b[1:])]), blocks_of(array, tile)))
    again = open_image(sink.finish())
    for t in range(2):
        np.testing.assert_array_equal(again.read((t,), slice(None), slice(None)), array[t])


KILLED = """
import sys, time
import numpy as np
from pathlib import Path
from napari_rdpdenoise.io import ImageMetadata, OutputSpec, open_sink

array = np.load(sys.argv[1])
spec = OutputSpec(array.shape, "TYX", array.dtype, ImageMetadata("TYX"), 64, "settings")
sink = open_sink(Path(sys.argv[2]), spec)
for t in range(len(array)):
    sink.write((t,), slice(0, 64), slice(0, 64), array[t])
    sink.mark_done((t,), 0, 0)
    print(t, flush=True)
    time.sleep(0.2)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("name", FORMATS)
def test_killed_in_the_middle_and_run_again_equals_an_undisturbed_run(tmp_path, name, image):
    array = image((30, 64, 64))
    np.save(tmp_path / "input.npy", array)
    (tmp_path / "out").mkdir()
    target = tmp_path / "out" / name
    command = [sys.executable, "-c", KILLED, str(tmp_path / "input.npy"), str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        while run.stdout.readline().strip() != "6":
            assert run.poll() is None
        os.kill(run.pid, signal.SIGKILL)
    assert sorted(p.name for p in target.parent.iterdir()) == [f"{name}.lock", f"{name}.partial"]
    spec = OutputSpec(array.shape, "TYX", array.dtype, ImageMetadata("TYX"), 64, "settings")
    sink = open_sink(target, spec)
    written = fill(sink, array, blocks_of(array, 64))
    assert 23 <= written < 30  # some were done before, none that was not
    sink.finish()
    undisturbed = open_sink(tmp_path / "other" / name, spec)
    fill(undisturbed, array, blocks_of(array, 64))
    undisturbed.finish()
    assert contents(target) == contents(tmp_path / "other" / name)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("step", [0, 1, 2])
def test_interrupted_while_finishing_it_is_still_complete_or_absent(tmp_path, name, step, image, monkeypatch):
    """Whatever rename or removal is the last one that happens, a second run gives the whole result."""
    array = image((2, 64, 64))
    save(tmp_path / name, image((2, 64, 64), seed=3), "TYX", job="old")
    sink = open_sink(tmp_path / name, spec_of(array, "TYX"), overwrite=True)
    fill(sink, array, blocks_of(array, 64))
    calls = []

    def dying(function):
        def step_or_die(*args, **kwargs):
            if len(calls) == step:
                raise KeyboardInterrupt
            calls.append(args)
            return function(*args, **kwargs)

        return step_or_die

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", dying(Path.rename))
        patch.setattr(shutil, "rmtree", dying(shutil.rmtree))
        with pytest.raises(KeyboardInterrupt):
            sink.finish()
    assert (tmp_path / name).exists() == (step != 1)  # the old, none, the new one
    if step == 2:  # about to be removed: half removed, it must not be continued
        assert not (sink.folder / "job.json").exists()
    again = open_sink(tmp_path / name, spec_of(array, "TYX"), overwrite=True)
    fill(again, array, blocks_of(array, 64))
    result = open_image(again.finish())
    for t in range(2):
        np.testing.assert_array_equal(result.read((t,), slice(None), slice(None)), array[t])
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.ome.zarr", "a.ome.tif"])
def test_thousands_of_tiny_frames_take_few_turns_of_the_disk(tmp_path, name, image, monkeypatch):
    array = image((1000, 24, 16))
    spec = OutputSpec(array.shape, "TYX", array.dtype, ImageMetadata("TYX"), 64)
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(real(handle)))
    sink = open_sink(tmp_path / name, spec)
    order = np.random.default_rng(0).permutation(1000)
    for t in (*range(500), *(k for k in order if k >= 500)):  # also as nobody reads a movie
        sink.write((t,), slice(0, 24), slice(0, 16), array[t])
        sink.mark_done((t,), 0, 0)
    path = sink.finish()
    assert len(synced) < 100
    found = open_image(path)
    for t in (0, 1, 499, 500, 999):
        np.testing.assert_array_equal(found.read((t,), slice(0, 24), slice(0, 16)), array[t])


def test_small_planes_go_on_where_they_were_interrupted(tmp_path, image):
    array = image((40, 24, 16))
    spec = OutputSpec(array.shape, "TYX", array.dtype, ImageMetadata("TYX"), 64)
    for part in (range(0, 40, 3), range(1, 40, 3), range(2, 40, 3)):
        sink = open_sink(tmp_path / "a.ome.zarr", spec)
        assert [sink.is_done((t,), 0, 0) for t in range(40)] == [t % 3 < part.start for t in range(40)]
        for t in part:
            sink.write((t,), slice(0, 24), slice(0, 16), array[t])
            sink.mark_done((t,), 0, 0)
        if part.start < 2:
            sink.abort()
    found = open_image(sink.finish())
    for t in range(40):
        np.testing.assert_array_equal(found.read((t,), slice(0, 24), slice(0, 16)), array[t])


def fill_and_finish(sink, array, blocks):
    fill(sink, array, blocks)
    sink.finish()


def _full(*_arguments, **_more):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("step", ["start", "block", "mark", "flush", "complete"])
def test_a_full_disk_is_told_with_what_is_needed_and_the_run_goes_on_later(
    tmp_path, name, step, image, monkeypatch
):
    from napari_rdpdenoise.io.output import staging, tiff_writer, zarr_writer

    array = image((4, 200, 90))
    blocks = blocks_of(array, 64)
    told = (
        rf"output: expected room on the disk for .*{name}.* up to \d+ kB in all .* written.* free; make room"
    )
    if step == "start":
        with monkeypatch.context() as patch:
            patch.setattr(staging, "create_array", _full)
            with pytest.raises(OSError, match=told) as error:
                open_sink(tmp_path / name, spec_of(array, "TYX"))
    else:
        sink = open_sink(tmp_path / name, spec_of(array, "TYX"))
        fill(sink, array, blocks[:5])
        sink.flush()
        with monkeypatch.context() as patch:
            if step == "block":
                patch.setattr(type(sink.array), "__setitem__", _full)
            elif step == "complete":
                patch.setattr(zarr_writer.ZarrSink, "_complete", _full)
                patch.setattr(tiff_writer.TiffSink, "_complete", _full)
            else:
                patch.setattr(staging, "_FLUSH_SECONDS", -1 if step == "mark" else 1e9)
                patch.setattr(os, "fsync", _full)
            with pytest.raises(OSError, match=told) as error:
                fill_and_finish(sink, array, blocks)
        sink.abort()
    assert error.value.errno == errno.ENOSPC
    assert not str(error.value).startswith("[")
    assert not (tmp_path / name).exists()
    again = open_sink(tmp_path / name, spec_of(array, "TYX"))
    done = len(blocks) - fill(again, array, blocks)
    assert done >= (0 if step == "start" else 5)
    again.finish()
    save(tmp_path / "two" / name, array, "TYX")
    assert contents(tmp_path / name) == contents(tmp_path / "two" / name)


def test_lines_that_a_full_disk_cut_off_are_taken_back(tmp_path, image, monkeypatch):
    """Half a line and the next one would be the line of another block."""

    sink = open_sink(tmp_path / "a.ome.zarr", spec_of(image((12, 64, 64)), "TYX"))
    fsync = os.fsync

    def half(handle):
        if Path(f"/proc/self/fd/{handle}").readlink().name == "progress.log":
            os.truncate(sink.folder / "progress.log", 1)
            _full()
        fsync(handle)

    if not sys.platform.startswith("linux"):
        pytest.skip("finds the file by its handle")
    sink.mark_done((1,), 0, 0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", half)
        with pytest.raises(OSError, match="output: expected room"):
            sink.flush()
    assert (sink.folder / "progress.log").read_bytes() == b""
    sink.abort()
    again = open_sink(tmp_path / "a.ome.zarr", spec_of(image((12, 64, 64)), "TYX"))
    assert [t for t in range(12) if again.is_done((t,), 0, 0)] == [1]
    again.discard()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("EROFS", "read-only"),
        ("EACCES", "may not write"),
        ("EPERM", "may not write"),
        ("EFBIG", "files that large"),
    ],
)
@pytest.mark.parametrize("name", ["a.ome.zarr", "a.ome.tif"])
def test_a_place_that_refuses_is_named(tmp_path, monkeypatch, number, words, name):
    from pathlib import Path

    made = Path.mkdir

    def mkdir(self, *args, **options):
        if self.name.endswith(".partial"):
            raise OSError(getattr(errno, number), "refused", str(self))
        made(self, *args, **options)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    spec = OutputSpec((2, 64, 64), "TYX", np.dtype("uint16"), ImageMetadata("TYX"), 64, "job")
    with pytest.raises(OSError, match=rf"output: expected a folder for {name} .*{words}.*; choose another"):
        open_sink(tmp_path / name, spec)
    assert list(tmp_path.iterdir()) == []
