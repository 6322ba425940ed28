"""A job on the workers of dask.distributed (extra ``cluster``): a thin front of `parts`.

::

    client.map(part 1 .. part n) --> each worker reads and writes the files itself --> finish_parts, here

No array travels. All workers see the same files, and so does who asks. A part is a task; the model is loaded
once in a worker, and computes on one thread of a CPU. A worker that dies costs what it had not marked yet.
"""

from __future__ import annotations

import logging
import math
import os
import queue
import re
import time
import uuid
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.codec import Codec
from napari_rdpdenoise.files import UNFINISHED_SUFFIX
from napari_rdpdenoise.io import SelectedSource, planes
from napari_rdpdenoise.io.output.staging import partial_folder
from napari_rdpdenoise.jobs.finish import finish_parts
from napari_rdpdenoise.jobs.job import Job, Opened, Outcome
from napari_rdpdenoise.jobs.lines import said
from napari_rdpdenoise.jobs.opening import Opening, opening
from napari_rdpdenoise.jobs.parts import Part, run_part
from napari_rdpdenoise.stream import Progress
from napari_rdpdenoise.stream.plan import work_at
from napari_rdpdenoise.stream.report import ModelNamed, PartsLeft
from napari_rdpdenoise.tiles import plan_tiles

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["NO_DASHBOARD", "connected", "run_on"]

NO_DASHBOARD: dict[str, Any] = {"dashboard_address": None, "scheduler_kwargs": {"dashboard_address": ":0"}}
"""Arguments of a cluster on this machine: no page of its state, and no warning where another has its port."""

_PARTS_PER_THREAD = 4  # so that all workers end at about the same time
_MOST_PARTS = 2000
_RETRIES = 2
_TELL_SECONDS = 0.5  # between two reports of a worker
_STOP_SECONDS = 60.0  # for workers that are told to stop
_CONNECT_SECONDS = 20
# What wrong input raises: the same again would fail again.
_WRONG_INPUT = (ValueError, TypeError, FileNotFoundError, FileExistsError)


@contextmanager
def connected(scheduler: str) -> Iterator[Client]:
    """Connect to a scheduler for as long as the context lasts.

    Args:
        scheduler: Address such as ``tcp://host:8786``, or ``local:N`` for N processes of this machine.

    Raises:
        ModuleNotFoundError: If the extra ``cluster`` is not installed.
        ValueError: If it is neither.
        OSError: If there is no scheduler.
    """
    local = re.fullmatch(r"local:([1-9]\d{0,3})", scheduler)
    if local is None and not re.fullmatch(r"[a-z]+://.+", scheduler):
        raise ValueError(
            f"scheduler: expected an address such as tcp://host:8786, or local:N for N processes here, found "
            f"{scheduler!r}"
        )
    try:
        from distributed import Client, LocalCluster
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "scheduler: expected dask.distributed, which is not installed; "
            "pip install 'napari-rdpdenoise[cluster]'"
        ) from error
    if local is not None:
        # its warnings are about processes that take long to end on a busy machine
        how = {"threads_per_worker": 1, "silence_logs": logging.ERROR, **NO_DASHBOARD}
        with LocalCluster(n_workers=int(local[1]), **how) as cluster, Client(cluster) as client:
            yield client
        return
    try:
        client = Client(scheduler, timeout=_CONNECT_SECONDS)
    except OSError as error:
        raise OSError(
            f"scheduler: expected one at {scheduler}, found none; check address and port"
        ) from error
    with client:
        yield client


def run_on(
    job: Job, client: Client, *, codec: Codec | None = None, cache: LatentCache | None = None
) -> Generator[Opened | Progress, None, Outcome]:
    """Denoise one image on the workers of a client, yielding their progress; the result is the return value.

    Closing the generator stops the workers within a batch of tiles; the same call goes on there.

    Args:
        job: Image, a path that all workers see, and its target, which they see as well.
        client: Client of a running scheduler. Where workers have a resource ``GPU``, each part takes one.
        codec: Model of the settings, for what is done here; the workers load it by its name.
        cache: Cache whose folder the workers use; None for none.

    Raises:
        ValueError: If the image is not a path, there is no target, or as `parts.run_part` does.
        RuntimeError: If workers died again and again.
        Exception: As `parts.run_part` and `finish.finish_parts` do.
    """
    job = _travelling(job)
    with opening(job, codec) as asked:
        finished = asked.finished()
        if finished is not None:
            yield said("The job was finished before.")
            return finished
        shared = asked.plan_there()
        board = _Board(_count_tiles(asked), math.prod(asked.spec.shape) / 1e6)
        threads = sum(client.nthreads().values())
        if not threads:
            raise ValueError(
                "client: expected workers, found none; start some, such as `dask worker ADDRESS`"
            )
        count = min(_PARTS_PER_THREAD * threads, max(1, board.total), _MOST_PARTS)
        if shared is not None:
            count = shared.asked.parts
            asked.check(shared, count)
        yield said(f"{count} parts on {threads} threads of {len(client.nthreads())} workers")
        yield Opened(None)
        yield from _mapped(_Task(job, count, None if cache is None else cache.folder), client, board)
    return (yield from finish_parts(job, codec=codec))


@dataclass(frozen=True)
class _Task:
    """What all tasks of a job share.

    Attributes:
        job: Job, its paths absolute.
        count: Number of the parts.
        cache: Folder of the cache of latents; None for none.
        token: Word that no other call has: topic of its reports, and part of the name of `stop`.
    """

    job: Job
    count: int
    cache: Path | None
    token: str = field(default_factory=lambda: f"rdpdenoise-{uuid.uuid4().hex[:12]}")

    @property
    def stop(self) -> Path:
        """File that tells the workers to stop."""
        folder = partial_folder(self.job.target or Path())
        return folder.with_name(f"{folder.name}.{self.token}.stop{UNFINISHED_SUFFIX}")

    def __call__(self, number: int) -> int | Exception | None:
        """Do one part, in a worker: number of its tiles, None if told to stop, or what is wrong."""
        if self.stop.exists():
            return None
        _one_thread()
        cache = None if self.cache is None else LatentCache(folder=self.cache)
        running = run_part(self.job, Part(number, self.count), cache=cache)
        try:
            return self._follow(number, running)
        except _WRONG_INPUT as error:
            return error

    def _follow(self, number: int, running: Generator[Opened | Progress, None, Outcome]) -> int | None:
        from distributed import get_worker

        worker, told = get_worker(), -_TELL_SECONDS
        while True:
            try:
                event = next(running)
            except StopIteration as end:
                tiles: int = end.value.report.tiles
                return tiles
            if self.stop.exists():
                running.close()
                return None
            if isinstance(event, Opened | PartsLeft):
                continue  # how many parts are left is told by who asked
            if event.message or time.monotonic() - told > _TELL_SECONDS:
                told = time.monotonic()
                numbers = (event.done, event.bpp, event.cache_hits, event.encoder_calls)
                names = isinstance(event, ModelNamed)
                report = {"part": number, "numbers": numbers, "message": event.message, "names": names}
                worker.log_event(self.token, report)


def _one_thread() -> None:
    """One thread for a network on the CPU: as many workers as cores use them better."""
    import torch

    if torch.get_num_threads() > 1:
        torch.set_num_threads(1)


def _mapped(task: _Task, client: Client, board: _Board) -> Generator[Progress, None, None]:
    """Do all parts on the workers; their reports on the way."""
    from distributed import wait

    news: queue.Queue[Any] = queue.Queue()
    client.subscribe_topic(task.token, lambda event: news.put(event[1]))
    numbers = range(1, task.count + 1)
    futures = client.map(task, numbers, pure=False, retries=_RETRIES, resources=_resources(client, task.job))
    for number, future in zip(numbers, futures, strict=True):
        future.add_done_callback(lambda done, number=number: news.put((number, done)))
    left = len(futures)
    try:
        while left:
            told = news.get()
            if isinstance(told, dict):
                yield board.heard(told)
                continue
            number, future = told
            tiles = _result(number, future)
            left -= 1
            yield board.ended(number, tiles)
    finally:
        if left:
            task.stop.parent.mkdir(parents=True, exist_ok=True)
            task.stop.touch()
            with suppress(TimeoutError):
                wait(futures, timeout=_STOP_SECONDS)
        client.cancel(futures)
        client.unsubscribe_topic(task.token)
        task.stop.unlink(missing_ok=True)


def _result(number: int, future: Any) -> int:
    from distributed import KilledWorker

    try:
        found = future.result()
    except KilledWorker as error:
        raise RuntimeError(
            f"client: expected workers that live, found that part {number} was given to several and all of "
            "them died; look for a lack of memory in their logs, and give fewer workers or a smaller tile"
        ) from error
    if isinstance(found, Exception):
        raise found
    return int(found)


def _resources(client: Client, job: Job) -> dict[str, float] | None:
    """A GPU for each part, where workers say that they have some."""
    workers: Sequence[Any] = list(client.scheduler_info(n_workers=-1)["workers"].values())
    on_gpu = job.settings.device in ("auto", "cuda")
    return {"GPU": 1} if on_gpu and any(w.get("resources", {}).get("GPU") for w in workers) else None


def _travelling(job: Job) -> Job:
    """A job with absolute paths, for workers elsewhere."""
    if not isinstance(job.input, str | os.PathLike) or job.invalid is not None or job.target is None:
        raise ValueError(
            "client: expected an image, and a mask if any, in files that all workers see, and a file as "
            "target, found one in memory; write it to a file first"
        )
    text = os.fspath(job.input)
    return replace(
        job, input=text if "://" in text else str(Path(text).absolute()), target=job.target.absolute()
    )


def _count_tiles(asked: Opening) -> int:
    settings = asked.job.settings
    chosen = SelectedSource(asked.source, settings.channels, settings.time)
    tiles = plan_tiles((chosen.shape[-2], chosen.shape[-1]), settings.tile, settings.halo)
    opacity = asked.source.metadata.opacity(asked.source.shape)
    channels = (work_at(chosen, settings, index, tiles[0]).channel for index in planes(chosen))
    return len(tiles) * sum(opacity is None or channel != opacity for channel in channels)


@dataclass
class _Board:
    """Progress of all parts together."""

    total: int
    megapixels: float
    _parts: dict[int, tuple[int, float, int, int]] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)
    _most: int = 0
    _began: float = field(default_factory=time.monotonic)

    def heard(self, report: dict[str, Any]) -> Progress:
        """What a worker told of its part."""
        message = report["message"]
        new = message if message not in self._told else None
        if message:
            self._told.add(message)
        self._parts[report["part"]] = tuple(report["numbers"])
        progress = self._progress(new)
        return ModelNamed(**vars(progress)) if new and report["names"] else progress

    def ended(self, number: int, tiles: int) -> Progress:
        """A part is done."""
        _, *others = self._parts.get(number, (0, float("nan"), 0, 0))
        self._parts[number] = (tiles, *others)  # type: ignore[assignment]
        return self._progress(None)

    def _progress(self, message: str | None) -> Progress:
        rows = list(self._parts.values())
        # a part that is begun again on another worker takes nothing back
        done = self._most = max(self._most, min(self.total, sum(row[0] for row in rows)))
        seconds = time.monotonic() - self._began
        weights = [(row[0], row[1]) for row in rows if row[0] and row[1] == row[1]]
        tiles = sum(weight for weight, _ in weights)
        bpp = sum(weight * bits for weight, bits in weights) / tiles if tiles else float("nan")
        left = seconds * (self.total - done) / done if done else float("nan")
        hits, calls = sum(row[2] for row in rows), sum(row[3] for row in rows)
        speed = self.megapixels * done / max(self.total, 1) / max(seconds, 1e-9)
        return Progress(done, self.total, speed, left, bpp, hits, calls, message)
