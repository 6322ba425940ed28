"""How soon a preview is there: first tile, whole view, and realism from slider to pixels, on 1024 x 1024.

    python -m benchmarks.preview [--threads 2] [--model MODEL] [--limit 3]

The model is loaded before the clock starts, as in a dock that is open. A model without a realism decoder is
given its fidelity decoder a second time, which costs what a realism decoder of the same size would.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from contextlib import closing
from typing import Any

import numpy as np

from benchmarks.common import execute, load_codec, markdown, parser, timed
from napari_rdpdenoise import LatentCache, RunSettings, open_image
from napari_rdpdenoise.codec import Codec
from napari_rdpdenoise.nn.decoder_names import PATH
from napari_rdpdenoise.samples import simulate_timelapse
from napari_rdpdenoise.ui.preview.engine import PreviewEngine, PreviewView, Settled, TileReady
from napari_rdpdenoise.ui.preview.plans import Series
from napari_rdpdenoise.ui.preview.viewport import LayerView, look_at, preview_tile

EDGE = 1024  # px, of the view
PATIENCE_S = 300.0


class Watch:
    """One engine, and when it said what."""

    def __init__(self, codec: Codec, cache: LatentCache | None) -> None:
        self.tiles: list[tuple[float, TileReady]] = []
        self._settled: set[int] = set()
        self._news = threading.Condition()
        self.engine = PreviewEngine(self._tile, self._event, cache=cache, load=lambda model, device: codec)

    def _tile(self, ready: TileReady) -> None:
        self.tiles.append((time.perf_counter(), ready))

    def _event(self, event: object) -> None:
        with self._news:
            if isinstance(event, Settled):
                self._settled.add(event.generation)
            elif not hasattr(event, "plan"):
                raise AssertionError(f"the preview failed: {event}")
            self._news.notify_all()

    def show(self, view: PreviewView) -> dict[str, float]:
        """Seconds to the first tile, to the first final one, and to the whole view."""
        self.tiles.clear()
        began = time.perf_counter()
        generation = self.engine.aim(view)
        with self._news:
            if not self._news.wait_for(lambda: generation in self._settled, PATIENCE_S):
                raise TimeoutError(f"no preview after {PATIENCE_S} s")
        final = [at for at, ready in self.tiles if not ready.decoded.provisional]
        return {"first": self.tiles[0][0] - began, "final": final[0] - began, "all": final[-1] - began}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All latencies of one run, seconds; see ``table``."""
    repeats = options.limit or 7
    codec = load_codec(options)
    codec.check(PATH)
    stack = simulate_timelapse((repeats + 1, EDGE, EDGE)).noisy
    rows: dict[str, dict[str, float]] = {}
    for name, rate in (("auto", "auto"), ("fixed", 0.5)):
        rows[f"a new layer, rate {name}"] = _median(
            [_new_layer(codec, stack[t : t + 1], rate) for t in range(repeats)]
        )
    watch = Watch(codec, LatentCache(folder=None))
    source = open_image(stack)
    with closing(watch.engine):
        watch.show(_view(source, 0, 0.5))
        steps = [watch.show(_view(source, t, 0.5)) for t in range(1, repeats + 1)]
        rows["the next plane"] = _median(steps)
        rates = [watch.show(_view(source, 0, 0.5 + 0.01 * (k + 1))) for k in range(repeats)]
        rows["another rate"] = _median(rates)
        blends = {}
        for dtype in (np.float32, np.uint16):
            out = np.zeros((EDGE, EDGE), dtype)
            blends[np.dtype(dtype).name] = timed(lambda out=out: watch.engine.blend_view(0.5, out), 31)  # type: ignore[misc]
        tiles = len(watch.engine.blend_view(0.5, out))
    return {"edge": EDGE, "tiles": tiles, "latency_s": rows, "blend_s": blends}


def _view(source: Any, plane: int, rate: float | str) -> PreviewView:
    settings = RunSettings(rate=rate)  # type: ignore[arg-type]
    shown = LayerView("TYX", source.shape, (1, 2), (plane, 0, 0), ((0, 0, 0), (0, EDGE - 1, EDGE - 1)))
    sight = look_at(shown, preview_tile((EDGE, EDGE), settings.tile), settings.halo)
    return PreviewView(Series(id(source), source, settings), sight.requests)


def _new_layer(codec: Codec, stack: np.ndarray, rate: float | str) -> dict[str, float]:
    watch = Watch(codec, LatentCache(folder=None))
    with closing(watch.engine):
        return watch.show(_view(open_image(stack), 0, rate))


def _median(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    r = record["result"]
    rows = [
        (name, *(f"{row[key]:.2f} s" for key in ("first", "final", "all")))
        for name, row in r["latency_s"].items()
    ]
    blends = ", ".join(f"{1000 * seconds:.1f} ms into {name}" for name, seconds in r["blend_s"].items())
    lines = [
        markdown(("view of one 1024 x 1024 plane", "first tile", "first final tile", "all tiles"), rows),
        f"Medians, model loaded, {r['tiles']} tiles, both decodes. With rate auto the first tile has a "
        "provisional rate.",
        f"Realism from slider to pixels of the whole view: {blends}.",
    ]
    return "\n\n".join(lines)


def main() -> None:
    """Measure and keep the result."""
    execute("preview", measure, parser(__doc__).parse_args())


if __name__ == "__main__":
    main()
