"""Noise, normalisation and rate per channel of the previewed layers: found once, as a run would find them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from cachetools import LRUCache

from napari_rdpdenoise.axes import channel_axis
from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.io import ImageSource
from napari_rdpdenoise.settings import DECODED, RunSettings
from napari_rdpdenoise.stream.plan import ChannelPlan

if TYPE_CHECKING:
    from napari_rdpdenoise.codec import Codec, Normalization
    from napari_rdpdenoise.stream.neighbours import Brightness
    from napari_rdpdenoise.stream.sample import Sample

__all__ = ["ChannelPlans", "Series", "SeriesKey"]

_KEPT = 256  # channels; each a few numbers
_LAYERS = 8  # and their resolutions, whose brightness is remembered
_FIRST_RATE = 0.5  # of the first tile, while the rate is being chosen


class SeriesKey(NamedTuple):
    """Everything but realism and position that decides a preview's pixels.

    Attributes:
        layer: Name of the layer and its content.
        settings: Settings that decide decoded images, all others at their defaults.
        level: Number of the resolution, 0 for the finest.
    """

    layer: Hashable
    settings: RunSettings
    level: int = 0

    @property
    def automatic(self) -> SeriesKey:
        """The same with a rate that is searched for."""
        return self._replace(settings=self.settings.replace(rate="auto"))


@dataclass(frozen=True)
class Series:
    """What is previewed: a whole layer in one resolution, and the settings.

    Attributes:
        layer: Name of the layer *and* its content: other pixels under the same name give wrong statistics.
        source: Whole layer in that resolution, at the finest as a run would read it.
        settings: Settings of the run that this previews; its channels, time and realism have no effect.
        level: Number of the resolution, 0 for the finest: each has a noise of its own.
    """

    layer: Hashable
    source: ImageSource
    settings: RunSettings
    level: int = 0

    @property
    def key(self) -> SeriesKey:
        """What its previews are kept under."""
        return SeriesKey(self.layer, self.settings.deciding(*DECODED), self.level)


class ChannelPlans:
    """Plans by series and channel; a cache shares choices of the rate with runs. For the computing thread."""

    def __init__(self, cache: LatentCache | None) -> None:
        self._cache = cache
        self._plans: LRUCache[tuple[SeriesKey, int], ChannelPlan] = LRUCache(_KEPT)
        self._measured: LRUCache[tuple[Any, ...], Normalization] = LRUCache(_KEPT)
        self._doubts: LRUCache[tuple[Any, ...], tuple[str, ...]] = LRUCache(_KEPT)
        self._told: LRUCache[tuple[SeriesKey, int], None] = LRUCache(_KEPT)
        self._brightness: LRUCache[tuple[Hashable, int], Any] = LRUCache(_LAYERS)
        # of the last channel only: its noise, rate and doubts are asked for one after the other
        self._windows: tuple[tuple[Any, ...], Sample] | None = None

    def quick(self, series: Series, channel: int, codec: Codec) -> tuple[ChannelPlan, bool]:
        """A plan that takes no search, and whether it is final; if not, its rate is a middle one."""
        from napari_rdpdenoise.stream import prepare

        key = (series.key, channel)
        if key in self._plans:
            return self._plans[key], True
        measured = self._measure(series, channel, codec.bounded)
        sample = self._sample(series, channel)
        known = prepare.known_plan(sample, measured, series.settings, codec, self._cache)
        if known is None:
            rate = series.settings.rate
            first = _FIRST_RATE if isinstance(rate, str) else rate
            return prepare.screened(ChannelPlan(measured, first, None), sample, series.settings), False
        self._plans[key] = known
        return known, True

    def is_known(self, series: Series, channel: int) -> bool:
        """Whether the final plan of a channel is there already."""
        return (series.key, channel) in self._plans

    def choose(self, series: Series, channel: int, codec: Codec, between: Callable[[], None]) -> ChannelPlan:
        """The final plan of a channel whose rate has to be searched for, seconds on a CPU.

        Meanwhile ``between`` is called again and again; it may raise to give up.
        """
        from napari_rdpdenoise.stream import prepare

        measured, sample = self._measure(series, channel, codec.bounded), self._sample(series, channel)
        plan = prepare.plan_channel(sample, measured, series.settings, codec, self._cache, between)
        self._plans[(series.key, channel)] = plan
        return plan

    def doubts(self, series: Series, channel: int, plan: ChannelPlan, codec: Codec) -> tuple[str, ...]:
        """What the user should know of the channel, in words."""
        from napari_rdpdenoise.stream import prepare

        settings = series.settings
        key = (series.layer, series.level, settings.model, channel, settings.invalid, settings.camera)
        if key not in self._doubts:
            sample = self._sample(series, channel)
            self._doubts[key] = tuple(prepare.doubts(sample, replace(plan, choice=None), codec))
        of_rate = None if plan.choice is None else plan.choice.message
        if of_rate is None or (plan.choice is not None and plan.choice.blank and self._doubts[key]):
            return self._doubts[key]  # that there is no noise follows from what was said
        return (*self._doubts[key], of_rate)

    def was_told(self, series: Series, channel: int) -> bool:
        """Whether this was asked before of this series and channel."""
        key = (series.key, channel)
        before = key in self._told
        self._told[key] = None
        return before

    def brightness(self, series: Series) -> Brightness:
        """Brightness of neighbouring planes of the layer, as far as it was measured."""
        from napari_rdpdenoise.stream.neighbours import Brightness

        key = (series.layer, series.level)
        if key not in self._brightness:
            self._brightness[key] = Brightness()
        return self._brightness[key]

    def forget(self, layer: Hashable) -> None:
        """Drop all that is known of a layer."""
        _drop(self._brightness, lambda key: key[0] == layer)
        _drop(self._plans, lambda key: key[0].layer == layer)
        _drop(self._told, lambda key: key[0].layer == layer)
        _drop(self._measured, lambda key: key[0] == layer)
        _drop(self._doubts, lambda key: key[0] == layer)
        if self._windows is not None and self._windows[0][0] == layer:
            self._windows = None

    def _measure(self, series: Series, channel: int, bounded: bool) -> Normalization:
        from napari_rdpdenoise.stream import prepare

        settings = series.settings
        key = (series.layer, series.level, channel, bounded, settings.invalid, settings.camera)
        if key not in self._measured:
            sample = self._sample(series, channel)
            noise = prepare.told_noise(series.settings) or sample.rule.noise
            self._measured[key] = prepare.measure_channel(sample.pixels, bounded, noise)
        return self._measured[key]

    def _sample(self, series: Series, channel: int) -> Sample:
        from napari_rdpdenoise.stream.sample import sample_channel

        key = (series.layer, series.level, channel, series.settings.invalid)
        if self._windows is None or self._windows[0] != key:
            has_channels = channel_axis(series.source.metadata.axes) is not None
            number = channel if has_channels else None
            sample = sample_channel(series.source, number, series.settings.invalid)
            self._windows = (key, sample)
        return self._windows[1]


def _drop(kept: LRUCache[Any, Any], unwanted: Callable[[Any], bool]) -> None:
    for key in [key for key in kept if unwanted(key)]:
        del kept[key]
