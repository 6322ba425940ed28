"""What is one per process: a loaded model per folder and device, and the turns on each device."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_rdpdenoise.codec.codec import Codec
from napari_rdpdenoise.codec.library import model_folder
from napari_rdpdenoise.codec.models import choose_device, load_model

_CODECS: dict[tuple[str, str], Codec] = {}
_LOADING = threading.Lock()
_ASK_AGAIN_S = 0.05  # between two questions whether to go on waiting


def shared_codec(model: str | Path, device: str) -> Codec:
    """The one codec of this process for a model and a device; loaded on first use."""
    device = choose_device(device)
    key = (str(model_folder(model).resolve()), device)
    with _LOADING:
        codec = _CODECS.get(key)
        if codec is None or codec.device != device:  # a run that lacked memory may have moved it to the CPU
            codec = _CODECS[key] = load_model(model, device)
        return codec


def forget_codec(folder: str | Path) -> None:
    """Load the model of a folder again when it is next asked for: the folder holds other weights now."""
    with _LOADING:
        for key in [key for key in _CODECS if key[0] == str(Path(folder).resolve())]:
            del _CODECS[key]


class GivenUp(Exception):
    """Waiting for a turn was given up."""


class Turns:
    """Who computes on a device: one computation at a time, and previews not while a run is under way.

    More computations at once would only multiply the memory; a device is filled by one.
    """

    def __init__(self) -> None:
        self._computing = threading.Lock()
        self._changed = threading.Condition()
        self._runs = 0

    @contextmanager
    def turn(self, give_up: Callable[[], bool] | None = None) -> Iterator[None]:
        """Compute inside this context; ``give_up`` is asked while waiting, None waits as long as it takes.

        Raises:
            GivenUp: If ``give_up`` said so.
        """
        if give_up is None:
            self._computing.acquire()
        else:
            while not self._computing.acquire(timeout=_ASK_AGAIN_S):
                if give_up():
                    raise GivenUp
        try:
            yield
        finally:
            self._computing.release()

    @contextmanager
    def run(self) -> Iterator[None]:
        """A run over many tiles is under way inside this context."""
        with self._changed:
            self._runs += 1
        try:
            yield
        finally:
            with self._changed:
                self._runs -= 1
                self._changed.notify_all()

    def wait_for_runs(self, give_up: Callable[[], bool]) -> None:
        """Return when no run is under way; ``give_up`` and `GivenUp` as in `turn`."""
        with self._changed:
            while self._runs:
                if give_up():
                    raise GivenUp
                self._changed.wait(_ASK_AGAIN_S)


_TURNS: defaultdict[str, Turns] = defaultdict(Turns)
_LISTING = threading.Lock()


def device_turns(device: str) -> Turns:
    """The turns on a torch device, the same object for the same name."""
    with _LISTING:
        return _TURNS[device]
