"""The dock's session with a stand-in for the window: calls from the engine's thread wait in a queue."""

from __future__ import annotations

import json
import queue
import re
import shutil
import threading
import time
import warnings
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_rdpdenoise import denoise_file
from napari_rdpdenoise.cli import app
from napari_rdpdenoise.codec import Decoded, library
from napari_rdpdenoise.files import locked
from napari_rdpdenoise.io.metadata import Channel
from napari_rdpdenoise.jobs.record import read_job, write_job
from napari_rdpdenoise.ui.compare.verdict import judge
from napari_rdpdenoise.ui.preview.viewport import LayerView
from napari_rdpdenoise.ui.preview.window import Subject
from napari_rdpdenoise.ui.run.as_text import as_command
from napari_rdpdenoise.ui.session import Session
from tests.support.exposures import corrected

PATIENCE = 60.0


class FakeWindow:
    """A viewer of one layer at its full size, and the viewer's event loop."""

    def __init__(self):
        self.calls = queue.SimpleQueue()
        self.session = None
        self.point = (0, 0, 0)
        self.corners = None
        self.level, self.view_of_level = 0, lambda view, level: view
        self.canvas = None
        self.refreshes = self.settles = self.looks = 0
        self.jobs, self.asked = [], []
        self.channel = None
        self.begun_before = []  # of each canvas: whether its tiles were asked for when it came

    def post(self, call):
        self.calls.put(call)

    def view(self):
        subject = self.session.view.subject
        axes, shape = subject.axes, subject.data.shape
        colours = shape[-1] if subject.rgb else 0
        if colours:
            axes, shape = axes[:-1], shape[:-1]
        corners = self.corners or ((0,) * len(shape), tuple(n - 1 for n in shape))
        view = LayerView(
            axes,
            shape,
            (len(shape) - 2, len(shape) - 1),
            self.point[: len(shape)],
            corners,
            colours=colours,
        )
        return self.view_of_level(view, self.level)

    def show_canvas(self, canvas):
        if canvas is not None and self.session is not None:
            self.begun_before.append(self.session.state.requested > 0)
        self.canvas = canvas

    def refresh(self):
        self.refreshes += 1

    def settled(self):
        self.settles += 1

    def look_again(self):
        self.looks += 1

    def ask_realism(self):
        self.asked.append(self.session.view.settings.model)

    def shown_channel(self):
        return self.channel

    def start(self, job):
        self.jobs.append(job)
        for event in self.session.runs.events(job):
            self.session.runs.take(event)

    def work(self, until):
        """Run the event loop until a condition holds."""
        end = time.monotonic() + PATIENCE
        while not until():
            assert time.monotonic() < end, self.session.state
            try:
                self.calls.get(timeout=0.05)()
            except queue.Empty:
                continue


@pytest.fixture
def make_session(tiny_realism_codec):
    made = []

    def make(**options):
        window = FakeWindow()
        states = []
        load = options.pop("load", lambda model, device: tiny_realism_codec)
        session = window.session = Session(window, states.append, load=load, **options)
        session.edit(realism_note=None, auto_rate=False, rate=0.4)
        session.edit_settings(tile=64, device="cpu")
        made.append(session)
        return session, window

    yield make
    for session in made:
        session.close(None)
    assert not [thread for thread in threading.enumerate() if thread.name == "preview"]


def subject(array, key="cells", axes="TYX"):
    return Subject("cells", key, array, axes)


def done(session):
    return lambda: session.state.requested > 0 and session.state.shown == session.state.requested


def known(session):
    return lambda: done(session)() and session.view.plan is not None


def test_a_chosen_layer_is_previewed_as_a_run_would_denoise_it(make_session, movie, run, tiny_realism_codec):
    session, window = make_session()
    stack = movie()
    session.choose(subject(stack))
    window.work(done(session))
    whole, _ = run(stack, session.state.settings().replace(dtype="float32"), tiny_realism_codec)
    np.testing.assert_allclose(window.canvas[0], whole[0], atol=1e-3 * float(np.ptp(whole)))
    assert session.state.preview_line == ""
    assert "bits/pixel" in session.state.outcome


def test_the_thread_begins_before_the_layer_of_the_preview_is_there(make_session, movie):
    session, window = make_session()
    for key in ("one", "other"):
        session.choose(subject(movie(), key=key))
        window.work(done(session))
    assert window.begun_before == [True, True]


def test_colours_are_previewed_as_a_run_would_denoise_them(make_session, movie, run, tiny_realism_codec):
    session, window = make_session()
    photo = np.moveaxis(np.clip(movie() - 60, 0, 255).astype(np.uint8), 0, -1)
    session.choose(subject(photo, axes="YXS"))
    session.take_realism(session.view.settings.model, None)
    for realism in (0.0, 0.5):
        session.realism = realism
        window.work(done(session))
        settings = session.state.settings().replace(axes="YXS")
        whole, _ = run(photo, settings, tiny_realism_codec, axes="YXS")
        expected = np.moveaxis(whole, 0, -1) if whole.shape != photo.shape else whole
        assert window.canvas.dtype == np.uint8
        found = np.asarray(window.canvas[...])
        assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1, "rounding"


def test_what_is_saved_of_a_picture_in_colour_names_the_model_of_its_preview(
    make_session, movie, tiny_realism_model, tmp_path, monkeypatch
):
    card = shutil.copytree(tiny_realism_model, tmp_path / "shipped" / library.COLOUR_MODEL) / "card.yaml"
    card.write_text(re.sub("(?m)^name: .*", f"name: {library.COLOUR_MODEL}", card.read_text()))
    monkeypatch.setattr(library, "MODELS_FOLDER", tmp_path / "shipped")
    session, window = make_session()
    assert session.request().settings.model == library.DEFAULT, "no layer is chosen"
    session.choose(subject(np.moveaxis(movie(), 0, -1).astype(np.uint8), axes="YXS"))
    assert window.asked == [library.COLOUR_MODEL], "what that one offers"
    assert session.view.settings.model == library.COLOUR_MODEL
    saved = write_job(tmp_path / "mine.job.json", session.request().settings)
    assert read_job(saved).settings.model == library.COLOUR_MODEL
    assert f"--model {library.COLOUR_MODEL}" in as_command(session.request())
    session.choose(subject(movie(), key="grey"))
    assert session.request().settings.model == library.DEFAULT
    assert window.asked[1:] == [library.DEFAULT]


def test_realism_is_blended_without_the_encoder(make_session, movie, tiny_realism_codec):
    session, window = make_session()
    session.choose(subject(movie()))
    window.work(done(session))
    shown, calls = session.shown(), tiny_realism_codec.encoder_calls
    for value in (0.5, 1.0):
        session.realism = value
        expected = shown.fidelity + np.float32(value) * (shown.realism - shown.fidelity)
        np.testing.assert_allclose(window.canvas[0], expected, rtol=1e-5)
    assert tiny_realism_codec.encoder_calls == calls
    assert session.shown().alpha == 1.0


def test_realism_shows_where_the_view_was_moved_while_the_rate_was_searched_for(
    make_session, movie, tiny_realism_codec, monkeypatch
):
    entered, opened, sweep = threading.Event(), threading.Event(), tiny_realism_codec.sweep

    def gated(*args, **more):
        entered.set()
        assert opened.wait(PATIENCE)
        return sweep(*args, **more)

    monkeypatch.setattr(tiny_realism_codec, "sweep", gated)
    session, window = make_session()
    session.rate = "auto"
    window.corners = ((0, 0, 0), (0, 40, 40))
    session.choose(subject(movie((3, 100, 500))))
    window.work(entered.is_set)
    window.corners = ((0, 0, 400), (0, 40, 499))
    session.preview()
    opened.set()
    window.work(lambda: done(session)() and not session.view.unsettled)
    before = np.array(window.canvas[0])
    session.realism = 1.0
    assert not np.array_equal(window.canvas[0][:40, 400:], before[:40, 400:])


def test_realism_is_blended_where_a_tile_beside_has_none(make_session, movie):
    """As while the rate is searched for: the first tile has only the image that was shown of it."""
    session, window = make_session()
    stack = movie((3, 100, 500))
    session.choose(subject(stack))
    window.work(done(session))
    before = np.array(window.canvas[0])
    tiles = session.view._engine._decoded
    key = next(key for key in tiles._tiles if key.tile.y0 == key.tile.x0 == 0)
    whole = tiles.get(key)
    fidelity = Decoded({"fidelity": whole.images["fidelity"]})
    tiles.put(key, replace(whole, images=fidelity, provisional=True))
    session.realism = 1.0
    np.testing.assert_array_equal(window.canvas[0][:64, :64], before[:64, :64])
    assert not np.array_equal(window.canvas[0][:64, 64:], before[:64, 64:])


def test_another_rate_previews_again_and_keeps_the_pixels_until_then(make_session, movie):
    session, window = make_session()
    session.choose(subject(movie()))
    window.work(done(session))
    before = np.array(window.canvas[0])
    looks = window.looks
    session.rate = 0.9
    np.testing.assert_array_equal(window.canvas[0], before)
    assert window.looks == looks + 1, "debounced: the window is asked to look again"
    session.preview()
    assert session.state.shown < session.state.requested
    window.work(done(session))
    assert not np.array_equal(window.canvas[0], before)


def test_what_comes_of_the_settings_before_does_not_count(make_session, movie):
    session, window = make_session()
    session.choose(subject(movie()))
    settled = window.settles
    waiting = []  # until all of the first settings is denoised, though the viewer has not heard of it
    engine = session.view._engine
    while not engine._agenda.settled or len(engine.held_view()) < session.state.requested:
        waiting.append(window.calls.get(timeout=PATIENCE))
    session.rate = 0.9
    for call in waiting:
        call()
    while not window.calls.empty():
        window.calls.get()()
    assert session.state.shown == 0
    assert window.settles == settled
    assert session.unsettled
    session.preview()
    assert session.state.shown == 0
    window.work(done(session))
    session.realism = 1.0
    np.testing.assert_allclose(window.canvas[0], session.shown().realism, rtol=1e-5)


def test_automatic_rate_is_told_once_it_is_known(make_session, movie):
    session, window = make_session()
    session.rate = "auto"
    session.choose(subject(movie()))
    assert session.state.shown_rate is None
    window.work(lambda: session.view.plan is not None)
    assert session.view.noise_of(0).read_noise > 0
    assert session.state.shown_rate == session.state.found_rate == session.view.plan.rate
    assert session.shown().plan.choice is not None
    assert session.rate == "auto"


def test_a_plane_of_a_corrected_series_is_compared_with_its_own_noise(make_session, run, tiny_realism_codec):
    array = corrected(0.2, 6, (96, 100))
    session, window = make_session()
    session.choose(subject(array))
    window.work(done(session))
    whole, _ = run(array, session.state.settings().replace(dtype="float32"), tiny_realism_codec)
    np.testing.assert_allclose(window.canvas[0], whole[0], atol=1e-3 * float(np.ptp(whole)))
    first, one = session.shown().noise, session.view.noise_of(0)
    assert first == session.view.noise_of(0, (0,))
    last = session.view.noise_of(0, (5,))
    assert first.variance(150.0) < 0.8 * one.variance(150.0) < 0.7 * last.variance(150.0)


@pytest.mark.parametrize("count", [0.0, 100.0, np.nan])
def test_of_a_blank_image_no_rate_is_shown_that_nothing_was_denoised_by(make_session, count):
    session, window = make_session()
    session.rate = "auto"
    session.choose(subject(np.full((1, 64, 64), count, np.float32)))
    window.work(lambda: known(session)() and not session.view.unsettled)
    assert session.state.shown_rate is None
    assert session.state.rate_words == "no noise to remove"
    (note,) = session.state.notes
    assert "as they went in" in note or "as it went in" in note
    assert judge(session.shown()).line == "Left as it is: no noise here."


def test_stepping_to_another_plane_previews_it(make_session, movie):
    session, window = make_session()
    stack = movie()
    session.choose(subject(stack))
    window.work(done(session))
    window.point = (2, 0, 0)
    session.preview()
    window.work(done(session))
    assert session.shown().index == (2,)
    np.testing.assert_array_equal(session.shown().noisy, stack[2])


def test_only_what_is_in_view_is_waited_for(make_session, movie):
    session, window = make_session()
    window.corners = ((0, 0, 0), (0, 40, 40))
    session.choose(subject(movie()))
    assert session.state.requested == 1
    window.work(done(session))


def test_nothing_of_another_layer_is_drawn(make_session, movie):
    session, window = make_session()
    session.choose(subject(movie(seed=0), "a"))
    session.choose(subject(movie(seed=1), "b"))
    window.work(done(session))
    shown = session.shown()
    np.testing.assert_array_equal(shown.noisy, movie(seed=1)[0])
    assert shown.done.all()
    session.choose(None)
    assert window.canvas is None
    assert session.shown() is None


def test_without_preview_nothing_is_computed(make_session, movie, tiny_realism_codec):
    session, window = make_session()
    session.edit(preview=False)
    calls = tiny_realism_codec.encoder_calls
    session.choose(subject(movie()))
    session.preview()
    assert window.canvas is None
    assert tiny_realism_codec.encoder_calls == calls
    session.edit(preview=True)
    window.work(done(session))


def test_an_error_of_the_preview_is_told_and_the_next_layer_works(make_session, movie, tiny_realism_codec):
    broken = [True]

    def load(model, device):
        if broken[0]:
            raise FileNotFoundError("model: no such model")
        return tiny_realism_codec

    session, window = make_session(load=load)
    session.choose(subject(movie(), "a"))
    window.work(lambda: "no such model" in session.state.preview_line)
    broken[0] = False
    session.choose(subject(movie(), "b"))
    window.work(done(session))
    assert "no such model" not in session.state.preview_line


def test_a_layer_that_cannot_be_read_leaves_none_chosen(make_session, movie):
    session, _ = make_session()
    session.choose(subject(movie()))
    with pytest.raises(TypeError):
        session.choose(subject(np.zeros((2, 5, 5), complex), "b"))
    assert session.state.layer is None
    assert not session.state.can_start


@pytest.mark.parametrize(("name", "value"), [("rate", 1.5), ("rate", "fast"), ("realism", -0.1)])
def test_values_out_of_range_are_refused(make_session, name, value):
    session, _ = make_session()
    with pytest.raises(ValueError, match=name):
        setattr(session, name, value)


def test_a_run_gets_the_settings_and_the_target(make_session, movie, tmp_path):
    def stream(job):
        raise ValueError("stop here")
        yield

    session, window = make_session(stream=stream)
    session.choose(subject(movie()))
    session.realism = 0.5
    session.run(tmp_path / "a.ome.zarr", overwrite=True)
    (job,) = window.jobs
    assert (job.settings.realism, job.settings.rate, job.settings.overwrite) == (0.5, 0.4, True)
    assert job.target == tmp_path / "a.ome.zarr"
    assert "stop here" in session.state.status
    assert session.state.can_start


def files_in(folder):
    """Content by name; of job files all but how long it took."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.name.endswith(".job.json"):
            record = found[path.name] = json.loads(path.read_text())
            del record["report"]["seconds"], record["report"]["mpps"]
        elif path.is_file():
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


@pytest.mark.parametrize("name", ["r.ome.zarr", "r.ome.tif"])
def test_dock_command_line_and_python_write_the_same_files_and_records(
    make_session, movie, tiny_realism_model, tmp_path, name
):
    session, _ = make_session()
    path, stack = tmp_path / "cells.npy", movie()
    np.save(path, stack)
    for maker in ("dock", "command", "python"):
        (tmp_path / maker).mkdir()
    session.edit(model=str(tiny_realism_model), realism=0.3, realism_note=None)
    session.choose(Subject("cells", "cells", stack, "TYX", str(path)))
    session.run(tmp_path / "dock" / name)
    assert session.state.status.startswith("Done"), session.state.status
    words = ["denoise", path, tmp_path / "command" / name, "--model", tiny_realism_model, "--realism", 0.3]
    words += ["--rate", 0.4, "--tile", 64, "--device", "cpu", "--no-cache"]
    answer = CliRunner().invoke(app, [str(word) for word in words])
    assert answer.exit_code == 0, answer.stderr
    how = {"model": tiny_realism_model, "realism": 0.3, "rate": 0.4, "tile": 64, "device": "cpu"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        denoise_file(path, tmp_path / "python" / name, **how)
    dock, command, python = (files_in(tmp_path / maker) for maker in ("dock", "command", "python"))
    assert len(dock) >= 2
    assert dock == command == python


OF_FILE, OF_LAYER = Channel("00FF00", (5.0, 50.0), emission=520.0), Channel("FF00FF", (7.0, 70.0))


@pytest.mark.parametrize(
    ("axes", "by_file", "written"),
    [
        ("TYX", (), (OF_LAYER,)),
        ("TYX", (OF_FILE,), (OF_FILE,)),
        ("TYX", (Channel(emission=520.0),), (replace(OF_LAYER, emission=520.0),)),
        ("CYX", (), ()),
        ("CYX", (OF_FILE, OF_LAYER, OF_FILE), (OF_FILE, OF_LAYER, OF_FILE)),
    ],
)
def test_a_run_takes_colour_and_contrast_of_the_file_else_of_the_layer(
    make_session, movie, axes, by_file, written
):
    session, window = make_session(stream=lambda job: iter(()))
    window.channel = OF_LAYER
    session.choose(replace(subject(movie(), axes=axes), channels=by_file))
    assert session._job_to("a.ome.tif", False, None).metadata.channels == written


def test_a_run_into_a_place_that_another_one_writes_to_says_so(make_session, movie, tmp_path):
    session, _ = make_session()
    session.choose(subject(movie()))
    with locked(tmp_path / "a.ome.zarr"):
        session.run(tmp_path / "a.ome.zarr")
    assert session.state.status.startswith("Failed: output: expected a place that nobody else writes to")
    assert session.state.can_start


@pytest.mark.parametrize("rate", ["auto", "compact", 0.3])
def test_settings_of_a_job_file_move_all_controls(make_session, rate):
    session, _ = make_session()
    wanted = session.state.settings().replace(
        rate=rate, realism=0.7, tile=128, channels=(1,), time=(0, 3), halo=64, seed=7
    )
    session.take_settings(wanted)
    assert session.state.settings() == wanted
    assert session.rate == rate
    session.rate = 0.8
    assert session.state.settings().rate == 0.8


def test_another_seed_of_a_job_file_is_previewed_as_it_is_run(make_session, movie, run, tiny_realism_codec):
    session, window = make_session()
    session.realism = 1.0
    session.edit_settings(structure="none")  # an untrained model's decodes would be replaced by the input
    stack = movie()
    session.choose(subject(stack))
    window.work(done(session))
    before = np.array(window.canvas[0])
    session.take_settings(session.state.settings().replace(seed=7))
    session.preview()
    window.work(done(session))
    whole, _ = run(stack, session.state.settings().replace(dtype="float32"), tiny_realism_codec)
    span = float(np.ptp(whole))
    assert np.abs(before - whole[0]).max() > 0.01 * span, "the seed decides the grain"
    np.testing.assert_allclose(window.canvas[0], whole[0], atol=1e-3 * span)


def test_random_use_ends_with_the_right_picture(make_session, movie, run, tiny_realism_codec):
    session, window = make_session()
    stacks = [movie(seed=seed) for seed in range(2)]
    rng = np.random.default_rng(0)
    for _ in range(200):
        what = rng.integers(6)
        which = int(rng.integers(2))
        if what == 0:
            session.choose(subject(stacks[which], which))
        elif what == 1:
            session.rate = float(rng.choice([0.2, 0.8]))
            session.preview()
        elif what == 2:
            session.realism = float(rng.random())
        elif what == 3:
            window.point = (int(rng.integers(3)), 0, 0)
            session.preview()
        elif what == 4:
            session.view.forget(which)
            session.choose(None)
        elif not window.calls.empty():
            window.calls.get()()
    session.choose(subject(stacks[1], 1))
    session.rate, session.realism = 0.6, 0.25
    session.preview()
    window.work(done(session))
    settings = session.state.settings().replace(dtype="float32")
    whole, _ = run(stacks[1], settings, tiny_realism_codec)
    index = session.shown().index
    np.testing.assert_allclose(window.canvas[index], whole[index], atol=1e-3 * float(np.ptp(whole)))
    assert session.state.preview_note == ""


def test_of_a_plane_of_400_megapixels_what_is_in_view_is_denoised(make_session, movie):
    class Huge:
        """Copies of one small plane, of which parts are read."""

        shape, dtype, ndim = (2, 20_480, 20_480), np.dtype(np.uint16), 3
        largest = 0

        def __init__(self):
            self.small = movie((2, 512, 512))

        def __getitem__(self, key):
            t, rows, columns = (range(n)[part] for n, part in zip(self.shape, key, strict=True))
            t = [t] if isinstance(t, int) else list(t)
            self.largest = max(self.largest, len(rows) * len(columns))
            part = self.small[np.ix_(t, np.array(rows) % 512, np.array(columns) % 512)]
            return part if isinstance(key[0], slice) else part[0]

    data = Huge()
    session, window = make_session()
    session.edit_settings(tile=512)
    window.corners = ((0, 10_300, 5_200), (0, 10_600, 5_500))
    session.choose(subject(data))
    window.work(known(session))
    rows, columns = slice(10_240, 10_752), slice(5_120, 5_632)
    found = np.asarray(window.canvas.levels[0][0, rows, columns])
    noisy = data[0, rows, columns]
    assert data.largest <= 768**2, "nothing large is read"
    assert np.abs(found - noisy).mean() > 0.5
    np.testing.assert_array_equal(
        np.asarray(window.canvas.levels[0][1, rows, columns]), data[1, rows, columns]
    )
    shown = session.shown()
    assert shown.frame == (rows, columns)
    np.testing.assert_array_equal(shown.noisy, noisy)
    np.testing.assert_allclose(shown.fidelity, found)


def test_of_a_pyramid_the_resolution_that_is_shown_is_denoised_by_its_own_noise(make_session, movie):
    fine = movie((1, 1024, 1024))
    coarse = fine.reshape(1, 512, 2, 512, 2).mean((2, 4)).round().astype(np.uint16)
    session, window = make_session()
    session.edit_settings(tile=512)
    window.view_of_level = lambda view, level: (
        replace(view, shape=(1, 512, 512), corners=((0, 0, 0), (0, 511, 511)), level=1, reduction=2.0)
        if level
        else view
    )
    pyramid = replace(subject(fine), coarser=(coarse,))
    found = {}
    for level in (1, 0):
        window.level = level
        session.choose(None)
        session.choose(pyramid)
        window.work(known(session))
        found[level] = session.view.noise_of(0)
        assert ("1/2 of the size, which has less noise" in session.state.scope) == bool(level)
        assert session.shown().reduction == (2.0 if level else 1.0)
    bright = 300.0
    ratio = found[0].variance(bright) / found[1].variance(bright)
    assert 3 < ratio < 5.5, "the mean of four pixels has a quarter of the variance"
    before = np.asarray(window.canvas.levels[0])
    window.level = 1
    session.preview()
    window.work(known(session))
    np.testing.assert_array_equal(np.asarray(window.canvas.levels[0]), before)
    assert not np.array_equal(np.asarray(window.canvas.levels[1]), coarse)


@pytest.mark.parametrize("axes", ["TYX", "YX"])
def test_masked_pixels_come_out_as_they_went_in_and_count_nowhere(make_session, movie, axes):
    stack = movie((1, 130, 140))
    mask = np.zeros((130, 140), bool)
    mask[40:60, 50:90] = True
    broken = stack.copy()
    broken[0, mask] = np.random.default_rng(1).integers(0, 60_000, mask.sum())
    session, window = make_session()
    session.choose(subject(stack))
    window.work(known(session))
    whole = session.view.noise_of(0)
    session.choose(replace(subject(broken, "broken"), invalid=mask if axes == "YX" else mask[None]))
    window.work(known(session))
    found = window.canvas[0]
    np.testing.assert_array_equal(found[mask], broken[0, mask])
    assert np.ptp(found[~mask]) < 1000, "what is broken reaches nothing"
    assert session.view.noise_of(0).variance(200.0) == pytest.approx(whole.variance(200.0), rel=0.1)
    shown = session.shown()
    np.testing.assert_array_equal(shown.invalid, mask)
    assert not shown.judged[mask].any()
    session.run()
    np.testing.assert_array_equal(window.jobs[0].invalid, mask if axes == "YX" else mask[None])
    with pytest.raises(ValueError, match="mask layer, which is in no file"):
        session.request()


def test_the_planes_beside_are_ready_when_they_are_looked_at(make_session, movie):
    session, window = make_session()
    window.point = (1, 0, 0)
    session.choose(subject(movie((3, 130, 140))))
    window.work(done(session))
    engine = session.view._engine
    held = lambda plane: len(engine._decoded.of_plane(session.view._series_key(), (plane,)))  # noqa: E731
    window.work(lambda: held(0) == held(2) == held(1) == session.state.requested)
    assert not window.canvas.done((2,)).any(), "they are not shown before"
    window.point = (2, 0, 0)
    began = time.monotonic()
    session.preview()
    window.work(done(session))
    assert time.monotonic() - began < 1
    assert window.canvas.done((2,)).all()


def test_tiles_of_a_rate_that_is_given_up_do_not_count(make_session, movie):
    session, window = make_session()
    session.choose(subject(movie()))
    window.work(done(session))
    session.rate = 0.8
    session.realism = 0.5  # before the window has looked again
    assert not window.canvas.done((0,)).any()
    assert session.shown() is None
    session.preview()
    window.work(done(session))
    assert session.shown().done.all()


def test_planes_seen_at_another_realism_are_not_done_any_more(make_session, movie):
    session, window = make_session()
    session.choose(subject(movie()))
    window.work(done(session))
    window.point = (1, 0, 0)
    session.preview()
    window.work(done(session))
    assert window.canvas.done((0,)).all()
    session.realism = 0.5
    assert window.canvas.done((1,)).all()
    assert not window.canvas.done((0,)).any()


def test_a_set_rate_keeps_the_curve_of_the_search(make_session, movie):
    session, window = make_session()
    session.rate = "auto"
    session.choose(subject(movie()))
    window.work(lambda: session.view.plan is not None)
    session.rate = 0.0
    session.preview()
    window.work(lambda: session.view.plan is not None)
    assert session.view.plan.choice is None
    assert session.view.choice is not None


def test_another_model_is_asked_about_and_late_answers_are_dropped(make_session):
    session, window = make_session()
    session.edit(model="other")
    assert window.asked == ["other"]
    assert session.state.realism_note is not None
    session.take_realism("default", None)
    assert session.state.realism_note is not None, "an answer about the model before"
    session.take_realism("other", None)
    assert session.state.realism_note is None


def test_realism_before_the_model_is_known_is_what_a_run_asks_for(make_session):
    session, _ = make_session()
    session.edit(model="other", realism=0.5)
    assert session.state.settings().realism == 0.5
    assert session.state.shown_realism == 0.0
