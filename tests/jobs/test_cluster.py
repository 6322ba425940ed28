"""A job on workers of dask.distributed: the same bytes, whoever dies or is told to stop."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from contextlib import suppress

import numpy as np
import pytest
import tifffile

import napari_rdpdenoise as rdp
from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.codec import library
from napari_rdpdenoise.io.output import parts
from napari_rdpdenoise.jobs import cluster
from napari_rdpdenoise.jobs.batch import run_batch
from napari_rdpdenoise.jobs.job import Job, Opened
from napari_rdpdenoise.jobs.record import record_path
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream import Progress

pytest.importorskip("distributed", reason="the extra cluster is not installed")

# what the library leaves open is its own affair
pytestmark = [pytest.mark.filterwarnings("ignore::ResourceWarning")]


@pytest.fixture(scope="module")
def client():
    """Client of two workers, each a process that is started again when it dies."""
    with cluster.connected("local:2") as client:
        yield client


@pytest.fixture
def image(tmp_path, counts):
    path = tmp_path / "a.tif"
    pixels = counts((6, 130, 140), np.uint16)
    tifffile.imwrite(path, pixels, imagej=True, metadata={"axes": "TYX"})
    return path


@pytest.fixture
def options(tiny_series_model):
    return {
        "model": tiny_series_model,
        "device": "cpu",
        "tile": 64,
        "halo": 64,
        "batch": 1,
        "neighbours": "T",
    }


@pytest.fixture
def job(image, options, tmp_path):
    settings = RunSettings(**{**options, "model": str(options["model"])})
    return Job(str(image), tmp_path / "spread" / "r.ome.zarr", settings)


def contents(path):
    if path.is_file():
        return path.read_bytes()
    return {file.relative_to(path): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def record_of(target):
    content = json.loads(record_path(target).read_text())
    for name in ("seconds", "mpps"):
        del content["report"][name]
    return content


def check(target, image, options, *, calls=True):
    """The result is that of one process."""
    whole = target.parent.parent / "whole" / target.name
    rdp.denoise_file(image, whole, **options)
    assert contents(target) == contents(whole)
    found, expected = record_of(target), record_of(whole)
    if not calls:
        del found["report"]["encoder_calls"], expected["report"]["encoder_calls"]
    assert found == expected
    assert sorted(p.name for p in target.parent.iterdir()) == [target.name, f"{target.name}.job.json"]


def loaded():
    from napari_rdpdenoise.codec import device

    return len(device._CODECS), sys.modules["torch"].get_num_threads()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r.ome.zarr", "r.ome.tif"])
def test_workers_make_what_one_process_makes(client, image, options, tmp_path, name):
    target = tmp_path / "spread" / name
    outcome = rdp.denoise_file(image, target, client=client, **options)
    assert outcome.path == target
    assert set(client.run(loaded).values()) <= {(1, 1), (2, 1)}, "a model once, and one thread"
    check(target, image, options)
    again = rdp.denoise_file(image, target, client=client, **options)
    assert again.path == target


@pytest.mark.slow
def test_progress_and_messages_of_all_are_told_together(client, job, image, options, drain, tmp_path):
    events, outcome = drain(cluster.run_on(job, client, cache=LatentCache(folder=tmp_path / "cache")))
    states = [event for event in events if not isinstance(event, Opened)]
    assert sum(isinstance(event, Opened) for event in events) == 1
    assert states[0].message == "8 parts on 2 threads of 2 workers"
    messages = [state.message for state in states if state.message]
    assert len(messages) == len(set(messages)), "each once"
    assert "model tiny-series on cpu" in messages
    working = [state for state in states if state.total]
    assert {state.total for state in working} == {outcome.report.tiles}
    assert working[-1].done == outcome.report.tiles
    assert working[-1].eta_s == 0
    assert set(outcome.report.messages) <= set(messages)
    assert not any(message.startswith("1 of 8 parts") for message in messages)
    assert any((tmp_path / "cache").rglob("*"))
    check(job.target, image, options)


def test_workers_start_beside_another_cluster():
    with socket.socket() as other:
        with suppress(OSError):  # another cluster is there already
            other.bind(("", 8787))
            other.listen()
        with cluster.connected("local:1") as client:  # a warning would be an error
            assert client.submit(sum, [1, 2]).result() == 3


@pytest.fixture
def here():
    """Client of one worker in this process."""
    from distributed import Client, LocalCluster

    how = {"processes": False, "threads_per_worker": 1, **cluster.NO_DASHBOARD}
    with LocalCluster(n_workers=1, **how) as workers, Client(workers) as client:
        yield client


@pytest.mark.parametrize("given", [True, False])
def test_a_batch_names_its_model_once(here, two_models, counts, drain, tmp_path, given):
    """Whether it is loaded before the images are seen or not; parts say nothing of what is left to do."""
    chosen = {"model": library.DEFAULT_MODEL} if given else {}
    settings = RunSettings(device="cpu", rate=0.4, tile=64, halo=64, **chosen)
    jobs = []
    for letter in "ab":
        path = tmp_path / f"{letter}.tif"
        # planes that share a shard: there is a part with nothing to do
        tifffile.imwrite(path, counts((2, 60, 70), np.uint16), imagej=True, metadata={"axes": "TYX"})
        jobs.append(Job(str(path), tmp_path / "out" / f"{letter}.ome.zarr", settings))
    events, failed = drain(run_batch(jobs, step=lambda job, codec: cluster.run_on(job, here, codec=codec)))
    assert not failed
    messages = [event.message or "" for event in events if isinstance(event, Progress)]
    assert [message for message in messages if message.startswith("model ")] == ["model fluo-light on cpu"]
    assert not [message for message in messages if "are done" in message]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_workers_that_are_killed_cost_nothing_but_time(client, job, image, options):
    kills, states = 0, []
    for event in cluster.run_on(job, client):
        states.append(event)
        if kills < 3 and not isinstance(event, Opened) and event.done > 4 * kills:
            address, pid = next(iter(client.run(os.getpid).items()))
            os.kill(pid, signal.SIGKILL)
            kills += 1
            while address in client.nthreads() or len(client.nthreads()) < 2:  # it is missed only later
                time.sleep(0.1)
    assert kills == 3
    # sentences, such as the last one, that the parts are put together, come without a total
    done = [event.done for event in states if not isinstance(event, Opened) and event.total]
    assert done == sorted(done)
    check(job.target, image, options, calls=False)


@pytest.mark.slow
def test_a_closed_run_stops_its_workers_and_the_same_goes_on(client, job, image, options, drain):
    running = cluster.run_on(job, client)
    while isinstance(event := next(running), Opened) or not event.done:
        pass
    running.close()
    assert not any(client.processing().values())
    folder = job.target.with_name("r.ome.zarr.partial")
    assert [path.name for path in job.target.parent.iterdir()] == [folder.name]
    left = parts.missing(job.target, 8)
    assert left
    drain(cluster.run_on(job, client))
    check(job.target, image, options, calls=False)


@pytest.mark.slow
def test_what_is_wrong_is_said_in_the_words_of_the_worker(client, job, drain, tmp_path):
    from dataclasses import replace

    drain_some = cluster.run_on(job, client)
    while isinstance(event := next(drain_some), Opened) or not event.done:
        pass
    drain_some.close()
    other = replace(job, settings=job.settings.replace(seed=1))
    with pytest.raises(ValueError, match="seed 0 there, 1 here"):
        drain(cluster.run_on(other, client))
    with pytest.raises(FileNotFoundError, match="found nothing at"):
        drain(cluster.run_on(Job(str(tmp_path / "none.tif"), job.target, job.settings), client))


class TestRefusals:
    def test_what_cannot_travel(self, counts, options, tiny_series_codec, image, tmp_path):
        nobody = object()
        for given, words in (
            ({"image": counts((9, 9))}, "client: expected an image, .* found one in memory"),
            (
                {"invalid": np.zeros((130, 140), bool)},
                "client: expected an image, and a mask if any, in files",
            ),
            ({"part": (1, 2)}, "client: expected neither a part nor a loaded model"),
            ({"model": tiny_series_codec}, "client: expected neither a part nor a loaded model"),
        ):
            chosen = {**options, "image": image, "output": tmp_path / "r.ome.zarr", **given}
            with pytest.raises(ValueError, match=words):
                rdp.denoise_file(**chosen, client=nobody)
        assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]

    @pytest.mark.parametrize("text", ["local", "local:0", "local:two", "host:8786", ""])
    def test_what_is_no_scheduler(self, text):
        words = "scheduler: expected an address such as tcp://host:8786, or local:N"
        with pytest.raises(ValueError, match=words), cluster.connected(text):
            pass

    @pytest.mark.slow
    def test_nobody_there(self, monkeypatch):
        monkeypatch.setattr(cluster, "_CONNECT_SECONDS", 1)
        words = "scheduler: expected one at tcp://127.0.0.1:9, found none; check"
        with pytest.raises(OSError, match=words), cluster.connected("tcp://127.0.0.1:9"):
            pass

    def test_not_installed(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "distributed", None)
        words = r"pip install 'napari-rdpdenoise\[cluster\]'"
        with pytest.raises(ModuleNotFoundError, match=words), cluster.connected("local:2"):
            pass
