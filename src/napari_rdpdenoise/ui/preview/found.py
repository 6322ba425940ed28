"""What the engine has found of channels: noise, rates, and what a search of the rate rests on."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from napari_rdpdenoise.ui.preview.events import ChannelReady
from napari_rdpdenoise.ui.preview.plans import SeriesKey

if TYPE_CHECKING:
    from napari_rdpdenoise.codec.choice import RateChoice

__all__ = ["Found"]


class Found:
    """What was told of each channel of each series."""

    def __init__(self) -> None:
        self._told: dict[tuple[SeriesKey, int], ChannelReady] = {}
        self._choices: dict[tuple[SeriesKey, int], RateChoice] = {}

    def take(self, event: ChannelReady) -> None:
        """Keep what was told of a channel."""
        self._told[event.series, event.channel] = event
        if event.plan.choice is not None:
            self._choices[event.series.automatic, event.channel] = event.plan.choice

    def of(self, series: SeriesKey, channel: int) -> ChannelReady | None:
        """What was told of a channel; None while nothing was."""
        return self._told.get((series, channel))

    def choice(self, series: SeriesKey, channel: int) -> RateChoice | None:
        """What the search of the rate has found, also where another rate is set; None for no search yet."""
        return self._choices.get((series.automatic, channel))

    def forget(self, layer: Hashable) -> None:
        """Let go of the noise and rates of a layer, by its key."""
        self._told = {known: told for known, told in self._told.items() if known[0].layer != layer}
