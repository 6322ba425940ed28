"""What the tests of the preview's engine share: views, a desk, a gate. They import it when they are asked."""

from __future__ import annotations

import threading

import pytest

PATIENCE = 60.0  # s, until a test that hangs is given up


def _base():
    from napari_rdpdenoise.settings import RunSettings

    # without structure: whether it goes back is found out as a rate is, and tests of that search for a rate
    return RunSettings(device="cpu", rate=0.4, tile=64, halo=64, batch=1, structure="none")


def _view(array, index=(0,), settings=None, axes=None, layer="cells", source=None):
    """All tiles of one plane, row by row."""
    from napari_rdpdenoise.io import open_image
    from napari_rdpdenoise.tiles import plan_tiles
    from napari_rdpdenoise.ui.preview.engine import PreviewView
    from napari_rdpdenoise.ui.preview.plans import Series
    from napari_rdpdenoise.ui.preview.viewport import TileRequest

    settings = settings or _base()
    source = source or open_image(array, axes)
    channel = index[source.metadata.axes.index("C")] if "C" in source.metadata.axes else 0
    tiles = plan_tiles(source.shape[-2:], settings.tile, settings.halo)
    return PreviewView(Series(layer, source, settings), tuple(TileRequest(index, channel, t) for t in tiles))


class Desk:
    """An engine with everything it said."""

    def __init__(self, codec, **options):
        from napari_rdpdenoise.ui.preview.engine import PreviewEngine, Settled

        self._settled = Settled
        self.tiles = []
        self.events = []
        self._news = threading.Condition()
        load = options.pop("load", lambda model, device: codec)
        self.engine = PreviewEngine(self._add(self.tiles), self._add(self.events), load=load, **options)

    def _add(self, heap):
        def listen(event):
            with self._news:
                heap.append(event)
                self._news.notify_all()

        return listen

    def until(self, condition):
        with self._news:
            assert self._news.wait_for(condition, PATIENCE), (len(self.tiles), self.events)

    def show(self, target):
        """Aim, and wait until all is done; the tiles of this generation."""
        generation = self.engine.aim(target)
        self.until(lambda: self._settled(generation) in self.events)
        return [tile for tile in self.tiles if tile.generation == generation]

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def desk_of():
    desks = []

    def make(codec, **options):
        desks.append(Desk(codec, **options))
        return desks[-1]

    yield make
    for desk in desks:
        desk.engine.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "preview"]


class Gate:
    """Holds every call of a codec's method until it is opened."""

    def __init__(self, codec, monkeypatch, method="encode"):
        self.calls, self._open, self._entered = 0, threading.Event(), threading.Semaphore(0)
        original = getattr(codec, method)

        def gated(*args, **more):
            self.calls += 1
            self._entered.release()
            assert self._open.wait(PATIENCE)
            return original(*args, **more)

        monkeypatch.setattr(codec, method, gated)

    def wait_entered(self):
        assert self._entered.acquire(timeout=PATIENCE)

    def open(self):
        self._open.set()


@pytest.fixture
def base():
    """Settings of small tiles on the CPU at a fixed rate."""
    return _base()


@pytest.fixture
def view():
    """Makes the view of all tiles of one plane of an array."""
    return _view


@pytest.fixture
def gate(monkeypatch):
    """Puts a gate before a method of a codec."""
    return lambda codec, method="encode": Gate(codec, monkeypatch, method)
