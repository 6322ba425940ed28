"""What a followed series gives is what the finished one gives with the same noise and rate, bit for bit."""

from __future__ import annotations

import json
import shutil
import threading
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

import napari_rdpdenoise as rdp
from napari_rdpdenoise.codec.library import COLOUR_MODEL
from napari_rdpdenoise.files import InUseError
from napari_rdpdenoise.io import SelectedSource, open_image, open_sink
from napari_rdpdenoise.io.arrays import ArraySource
from napari_rdpdenoise.jobs.follow import Follow
from napari_rdpdenoise.jobs.following import run_following
from napari_rdpdenoise.jobs.job import Job, Opened
from napari_rdpdenoise.jobs.record import record_path
from napari_rdpdenoise.jobs.runner import run
from napari_rdpdenoise.stream import Plan, make_plan, output_spec
from napari_rdpdenoise.stream.pipeline import denoise_works
from napari_rdpdenoise.stream.plan import plan_works
from tests.support.exposures import corrected

QUICK = Follow(idle=30, still=0.1, first_steps=3)


@pytest.fixture
def codec(tiny_series_codec):
    """A small model that looks at three planes."""
    return tiny_series_codec


@pytest.fixture
def series(counts):
    """A series whose later planes are brighter: noise and rate of all of it are others than of its start."""
    return (counts((9, 70, 90), np.uint16) * np.linspace(1, 3, 9)[:, None, None]).astype(np.uint16)


class Microscope:
    """Writes a series, plane by plane, into a Zarr or as files."""

    def __init__(self, folder, pixels, axes="TYX"):
        self.folder, self.pixels, self.axes = folder, pixels, axes

    @property
    def stack(self):
        return None

    @property
    def path(self):
        return str(self.folder / "live.zarr")

    def begin(self):
        others = self.pixels.shape[1:]
        self.array = zarr.create_array(
            self.path, shape=(0, *others), chunks=(1,) * (len(others) - 1) + (40, 50), dtype="uint16",
            dimension_names=tuple(self.axes.lower()),
        )  # fmt: skip

    def write(self, step):
        self.array.resize((step + 1, *self.pixels.shape[1:]))
        self.array[step] = self.pixels[step]

    def end(self):
        self.array.attrs["finished"] = True

    @contextmanager
    def running(self, pause=0.05, count=None, end=True):
        """Write in a thread."""

        def work():
            for step in range(count or len(self.pixels)):
                time.sleep(pause)
                self.write(step)
            if end:
                self.end()

        self.begin()
        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            thread.join()


class FrameByFrame(Microscope):
    @property
    def stack(self):
        return "T"

    @property
    def path(self):
        return str(self.folder / "frames" / "t*.tif")

    def begin(self):
        (self.folder / "frames").mkdir(exist_ok=True)

    def write(self, step):
        file = self.folder / "frames" / f"t{step}.tif"
        tifffile.imwrite(file, self.pixels[step], photometric="minisblack")
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 3])
        time.sleep(0.02)
        file.write_bytes(whole)

    def end(self):
        (self.folder / "frames" / "finished").touch()


class PageByPage(Microscope):
    """Appends pages to a TIFF."""

    @property
    def path(self):
        return str(self.folder / "live.tif")

    def begin(self):
        """A run that goes on begins the file anew."""
        Path(self.path).unlink(missing_ok=True)

    def write(self, step):
        tifffile.imwrite(
            self.path, self.pixels[step], photometric="minisblack", append=step > 0, metadata=None
        )

    def end(self):
        (self.folder / "finished").touch()


KINDS = [Microscope, FrameByFrame, PageByPage]


def pixels_of(target):
    return np.asarray(zarr.open_group(target, mode="r")["0"][:])


def expected(folder, pixels, axes, settings, codec, first=QUICK.first_steps):
    """The finished series with the noise and the rate of its first time points."""
    whole = ArraySource(pixels, axes)
    plan = list(make_plan(SelectedSource(whole, None, (0, first)), settings, codec))[-1]
    works = plan_works(SelectedSource(whole, settings.channels), settings)
    sink = open_sink(folder / "expected.ome.zarr", output_spec(whole, settings, codec))
    for _ in denoise_works(whole, sink, settings, Plan(works, plan.channels, ()), codec=codec):
        pass
    return pixels_of(sink.finish())


def words(events):
    return [event.message for event in events if not isinstance(event, Opened) and event.message]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("neighbours", ["T", "none"])
def test_every_pixel_is_that_of_the_finished_series(kind, neighbours, series, codec, fast, drain, tmp_path):
    settings = fast.replace(neighbours=neighbours, rate="auto")
    scope = kind(tmp_path, series)
    target = tmp_path / "r.ome.zarr"
    with scope.running():
        job = Job(scope.path, target, settings.replace(stack=scope.stack))
        events, outcome = drain(run_following(job, QUICK, codec=codec))
    assert outcome.path == target
    assert outcome.spec.shape == series.shape
    np.testing.assert_array_equal(pixels_of(target), expected(tmp_path, series, "TYX", settings, codec))
    assert outcome.report.tiles == 9 * 2
    assert any("finished says that no more will come" in line for line in words(events))
    assert words(events)[-1] == "finishing 9 time points"
    done = [event.done for event in events if not isinstance(event, Opened)]
    assert done == sorted(done)
    left = {target.name, record_path(target).name}
    assert left <= {path.name for path in tmp_path.iterdir()}
    assert not list(tmp_path.glob("*.partial"))
    record = json.loads(record_path(target).read_text())
    assert record["settings"]["neighbours"] == neighbours
    assert record["report"]["tiles"] == 18


def test_channels_depth_and_a_mask(counts, codec, fast, drain, tmp_path):
    pixels = counts((5, 2, 3, 64, 70), np.uint16)
    mask = np.zeros((64, 70), np.uint8)
    mask[10:30, 20:40] = 1
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    settings = fast.replace(neighbours="T", channels=(1,), invalid=str(tmp_path / "mask.tif"))
    scope, target = Microscope(tmp_path, pixels, "TCZYX"), tmp_path / "r.ome.zarr"
    with scope.running():
        drain(run_following(Job(scope.path, target, settings), QUICK, codec=codec))
    found = pixels_of(target)
    assert found.shape == (5, 1, 3, 64, 70)
    np.testing.assert_array_equal(found[..., 10:30, 20:40], pixels[:, 1:2, :, 10:30, 20:40])


def test_pictures_in_colour_are_followed_with_the_model_of_an_ordinary_run(
    two_models, counts, fast, drain, tmp_path
):
    scope, target = Microscope(tmp_path, counts((3, 64, 70, 3), np.uint16), "TYXS"), tmp_path / "r.ome.zarr"
    with scope.running():
        events, _ = drain(run_following(Job(scope.path, target, fast), QUICK))
    _, usual = drain(run(Job(scope.path, tmp_path / "usual.ome.zarr", fast)))
    np.testing.assert_array_equal(pixels_of(target), pixels_of(usual.path))
    models = [json.loads(record_path(path).read_text())["model"] for path in (target, usual.path)]
    assert models[0] == models[1]
    assert [line.split()[1] for line in words(events) if line.startswith("model ")] == [COLOUR_MODEL]


def test_a_short_series_gives_the_pixels_of_an_ordinary_run(series, codec, fast, drain, tmp_path):
    settings = fast.replace(rate="auto")
    scope, target = Microscope(tmp_path, series[:3]), tmp_path / "r.ome.zarr"
    with scope.running():
        _, outcome = drain(run_following(Job(scope.path, target, settings), QUICK, codec=codec))
    _, usual = drain(run(Job(scope.path, tmp_path / "usual.ome.zarr", settings), codec=codec))
    np.testing.assert_array_equal(pixels_of(target), pixels_of(usual.path))
    assert outcome.report.channels == usual.report.channels
    assert (outcome.report.bpp, outcome.report.tiles) == (usual.report.bpp, usual.report.tiles)


@pytest.mark.parametrize("changing", [True, False])
def test_noise_that_changes_is_told_to_be_measured_in_the_first_time_points_alone(
    changing, series, codec, fast, drain, tmp_path
):
    pixels = corrected(0.1) if changing else series
    scope, follow = Microscope(tmp_path, pixels), QUICK.model_copy(update={"first_steps": 8})
    with scope.running(pause=0):
        job = Job(scope.path, tmp_path / "r.ome.zarr", fast)
        events, outcome = drain(run_following(job, follow, codec=codec))
    for lines in (words(events), outcome.report.messages):
        assert sum("later time points are denoised by the noise" in line for line in lines) == changing


@pytest.mark.parametrize("kind", KINDS)
def test_it_ends_when_nothing_new_has_come_for_a_time(kind, series, codec, fast, drain, tmp_path):
    scope, target = kind(tmp_path, series), tmp_path / "r.ome.zarr"
    with scope.running(count=2, end=False):  # fewer than are waited for
        job = Job(scope.path, target, fast.replace(neighbours="T", stack=scope.stack))
        events, outcome = drain(run_following(job, QUICK.model_copy(update={"idle": 0.6}), codec=codec))
    assert outcome.spec.shape == (2, 70, 90)
    assert any("nothing new for 0.6 s" in line for line in words(events))
    reference = expected(tmp_path, series[:2], "TYX", fast.replace(neighbours="T"), codec, 2)
    np.testing.assert_array_equal(pixels_of(target), reference)


@pytest.mark.parametrize("after", [0, 3])
def test_it_ends_with_a_finished_result_when_asked_to_stop(series, codec, fast, drain, tmp_path, after):
    scope, target = Microscope(tmp_path, series), tmp_path / "r.ome.zarr"
    settings = fast.replace(neighbours="T")
    with scope.running(count=5, end=False):
        pass
    done, asked = [0], []
    running = run_following(Job(scope.path, target, settings), QUICK, codec=codec, stop=lambda: bool(asked))
    events = []
    try:
        while True:
            event = next(running)
            events.append(event)
            if not isinstance(event, Opened):
                done.append(event.done)
                if done[-1] >= 2 * after and len(events) > 3:
                    asked.append(1)
    except StopIteration as end:
        outcome = end.value
    steps = outcome.spec.shape[0]
    assert steps >= max(after, 1)
    assert any("stopped" in line for line in words(events))
    reference = expected(tmp_path, series[:5], "TYX", settings, codec)
    np.testing.assert_array_equal(pixels_of(target), reference[:steps])
    assert pixels_of(target).shape[0] == steps
    told = any("more were complete when it was stopped" in line for line in outcome.report.messages)
    assert told == (steps < 5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stops", [1, 7, 12])
def test_interrupted_and_given_again_it_goes_on(kind, stops, series, codec, fast, drain, tmp_path):
    settings = fast.replace(neighbours="T")
    scope, target = kind(tmp_path, series), tmp_path / "r.ome.zarr"
    job = Job(scope.path, target, settings.replace(stack=scope.stack))
    with scope.running(count=7, end=False):
        running = run_following(job, QUICK, codec=codec)
        while True:
            event = next(running)
            if not isinstance(event, Opened) and event.done >= stops:
                break
        running.close()
    assert not target.exists()
    calls = codec.encoder_calls
    for step in (7, 8):
        scope.write(step)
    scope.end()
    events, outcome = drain(run_following(job, QUICK, codec=codec))
    kept = min(stops, 2 * (7 - 2))  # the last two time points had looked at neighbours that came later
    assert codec.encoder_calls - calls <= 18 - kept + 1
    assert any("continuing: " in line for line in words(events)) or stops == 1, words(events)
    np.testing.assert_array_equal(pixels_of(target), expected(tmp_path, series, "TYX", settings, codec))
    assert outcome.report.tiles == 18
    assert np.isfinite(outcome.report.bpp)


def test_another_series_in_the_same_place_begins_anew(series, codec, fast, drain, tmp_path):
    scope, target = Microscope(tmp_path, series), tmp_path / "r.ome.zarr"
    job = Job(scope.path, target, fast)
    with scope.running(count=5, end=False):
        running = run_following(job, QUICK, codec=codec)
        while isinstance(event := next(running), Opened) or event.done < 7:
            pass
        running.close()
    shutil.rmtree(scope.path)
    other = Microscope(tmp_path, series[::-1])
    with other.running():
        events, _ = drain(run_following(job, QUICK, codec=codec))
    assert any("another image, or of other settings: they are removed" in line for line in words(events))
    np.testing.assert_array_equal(pixels_of(target), expected(tmp_path, series[::-1], "TYX", fast, codec))


def test_threads_and_the_result_belong_to_one_run(series, codec, fast, tmp_path):
    scope = Microscope(tmp_path, series)
    with scope.running(count=4, end=False):
        pass
    job = Job(scope.path, tmp_path / "r.ome.zarr", fast)
    threads = threading.active_count()
    running = run_following(job, QUICK, codec=codec)
    while not isinstance(next(running), Opened):
        pass
    with pytest.raises(InUseError):
        for _ in run_following(job, QUICK, codec=codec):
            pass
    running.close()
    assert threading.active_count() == threads
    assert not (tmp_path / "r.ome.zarr.partial").exists()  # nothing was done


def test_from_python(series, codec, tmp_path):
    scope, target = Microscope(tmp_path, series), tmp_path / "r.ome.zarr"
    how = {"rate": 0.4, "tile": 64, "device": "cpu", "structure": "none", "invalid": "none", "model": codec}
    with scope.running(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        outcome = rdp.denoise_file(scope.path, target, follow=QUICK, **how)
    assert (outcome.path, outcome.spec.shape) == (target, series.shape)
    with pytest.raises(ValueError, match="follow: expected no part beside it"):
        rdp.denoise_file(scope.path, target, follow=True, part=(1, 2), **how)


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "changes", "expected"),
        [
            ("r.ome.tif", {}, "follow: expected a result that ends with .ome.zarr, which can grow"),
            ("r.ome.zarr", {"time": (0, 2)}, "follow: expected one image with all its time points"),
            ("r.ome.zarr", {"series": "all"}, "found series 'all'; leave it out"),
            ("r.ome.zarr", {"stack": "Z"}, "found stack Z; only these can be followed"),
        ],
    )
    def test_what_cannot_grow(self, codec, fast, drain, tmp_path, name, changes, expected):
        job = Job(str(tmp_path / "live.zarr"), tmp_path / name, fast.replace(**changes))
        with pytest.raises(ValueError, match=expected):
            drain(run_following(job, QUICK, codec=codec))

    def test_a_file_and_an_array(self, codec, fast, drain, tmp_path, series):
        np.save(tmp_path / "a.npy", series)
        for image, expected in ((str(tmp_path / "a.npy"), "a.npy; only these"), (series, "does not grow")):
            with pytest.raises(ValueError, match=expected):
                drain(run_following(Job(image, tmp_path / "r.ome.zarr", fast), QUICK, codec=codec))

    def test_nothing_that_comes(self, codec, fast, drain, tmp_path):
        quick = Follow(idle=0.2, still=0.05)
        for path, stack in ((str(tmp_path / "live.zarr"), None), (f"{tmp_path}/*.tif", "T")):
            job = Job(path, tmp_path / "r.ome.zarr", fast.replace(stack=stack))
            with pytest.raises(FileNotFoundError, match=r"found none complete \(nothing new for 0.2 s"):
                drain(run_following(job, quick, codec=codec))
        assert list(tmp_path.iterdir()) == []

    def test_a_finished_result(self, codec, fast, drain, tmp_path, series):
        scope = Microscope(tmp_path, series[:3])
        job = Job(scope.path, tmp_path / "r.ome.zarr", fast)
        with scope.running():
            drain(run_following(job, QUICK, codec=codec))
        before = json.loads(record_path(job.target).read_text())
        with pytest.raises(FileExistsError, match="a finished one"):
            drain(run_following(job, QUICK, codec=codec))
        assert json.loads(record_path(job.target).read_text()) == before
        again = Job(job.input, job.target, fast.replace(overwrite=True, rate=0.9))
        drain(run_following(again, QUICK, codec=codec))
        assert open_image(job.target).shape == (3, 70, 90)
