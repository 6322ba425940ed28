"""What goes into the preview's engine and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from napari_rdpdenoise.stream.plan import ChannelPlan
from napari_rdpdenoise.ui.preview.decoded_tiles import DecodedTile
from napari_rdpdenoise.ui.preview.plans import Series, SeriesKey
from napari_rdpdenoise.ui.preview.viewport import TileRequest

__all__ = ["ChannelReady", "Event", "Failed", "PreviewView", "Settled", "Target", "TileReady", "Working"]

# What is done before anything can be shown
LOADING = "Loading PyTorch and the model"
MEASURING = "Measuring the noise"
CHOOSING = "Choosing the rate by the noise"


@dataclass(frozen=True)
class PreviewView:
    """What to denoise: tiles of one plane of a series, the most urgent first (see `viewport.look_at`).

    ``ahead`` are tiles that may be requested next: made when nothing else is to be done, and not reported.
    """

    series: Series
    requests: tuple[TileRequest, ...]
    ahead: tuple[TileRequest, ...] = ()


@dataclass(frozen=True)
class Target:
    """What is worked on: a view, and its number."""

    generation: int
    view: PreviewView


@dataclass(frozen=True)
class TileReady:
    """A tile can be shown.

    Attributes:
        generation: Generation of the `aim` that requested it.
        request: Plane, channel and tile.
        decoded: Both decodes of the tile's core, raw counts; not to be written to.
        cached: Whether it was held already, and may have been reported before.
    """

    generation: int
    request: TileRequest
    decoded: DecodedTile
    cached: bool


@dataclass(frozen=True)
class ChannelReady:
    """Noise and rate of a channel are known; ``messages`` are what the user should know of it.

    Told once for each series and channel, also after the view has moved on.
    """

    generation: int
    series: SeriesKey
    channel: int
    plan: ChannelPlan
    messages: tuple[str, ...]


@dataclass(frozen=True)
class Working:
    """What the engine does before it can denoise, in words; nothing is told where it takes no time."""

    generation: int
    words: str


@dataclass(frozen=True)
class Failed:
    """A tile, or what all tiles of a view need, could not be made; the engine goes on."""

    generation: int
    error: Exception


@dataclass(frozen=True)
class Settled:
    """All requests of a generation were dealt with."""

    generation: int


Event: TypeAlias = ChannelReady | Working | Failed | Settled
