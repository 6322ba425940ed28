"""Before the first tile: the statistics of each channel of the series, and its rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.cache import LatentCache, digest
from napari_rdpdenoise.codec import Codec, Normalization, fit_normalization
from napari_rdpdenoise.codec.autorate import RATES, TOLERANCE, RateChoice, choose_rate, estimate_errors
from napari_rdpdenoise.codec.trained_range import outside
from napari_rdpdenoise.io import ImageSource, SelectedSource, planes
from napari_rdpdenoise.io.source import channel_axis
from napari_rdpdenoise.noise import estimate_noise, shares_noise
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream.plan import ChannelPlan, Order, Plan, plan_works
from napari_rdpdenoise.stream.tile import fill_missing

_WINDOW = 512  # px, edge of a sample window
_SAMPLE_PLANES = 8  # per channel, spread over the series
_SAMPLE_PIXELS = 2_000_000  # per channel
_RATE_PIXELS = 500_000  # of those, for the choice of the rate

_CHOICE_VERSION = "risk 2"  # of what is cached of a choice
_YES, _NO = b"structure", b"none"  # what is cached where the rate was given


def make_plan(
    source: ImageSource,
    settings: RunSettings,
    codec: Codec,
    order: Order | None = None,
    cache: LatentCache | None = None,
) -> Iterator[str | Plan]:
    """Yield lines about the preparation and, last, the plan.

    Args:
        source: Whole series; the statistics are taken from all of it, whatever part is denoised, so that
            parts agree.
        settings: Settings of the run.
        codec: Loaded model.
        order: Function that puts the works in the order they are done; None for plane after plane.
        cache: Cache that keeps the choice of the rate, which takes the encoder, for the next run.
    """
    works = plan_works(SelectedSource(source, settings.channels, settings.time), settings, order)
    axis = channel_axis(source.metadata.axes)
    count = 1 if axis is None else source.shape[axis]
    numbers: Iterable[int | None] = range(count) if settings.channels is None else settings.channels
    channels, messages = {}, []
    for number in (None,) if axis is None else numbers:
        name = f"channel {number}: " if count > 1 else ""
        yield f"{name}measuring the noise"
        windows = sample_windows(source, number)
        plan = channels[number or 0] = plan_channel(
            windows, measure_channel(windows, codec.bounded), settings, codec, cache
        )
        messages += [f"{name}{text}" for text in doubts(windows, plan, codec)]
    yield Plan(works, channels, tuple(messages))


def sample_windows(source: ImageSource, channel: int | None = None) -> list[NDArray[Any]]:
    """Blocks of up to 512x512 px spread over planes and places of one channel; all of it where small.

    Where all of them are blank (padded mosaics, a lamp that comes on late) more places are tried.
    """
    windows = _windows(source, channel, _SAMPLE_PLANES)
    for effort in (4, 16):
        if not all(_blank(window) for window in windows):
            break
        windows = _windows(source, channel, effort * _SAMPLE_PLANES)
    return windows


def _blank(window: NDArray[Any]) -> bool:
    finite = window[np.isfinite(window)]
    return finite.size == 0 or bool(finite.min() == finite.max())


def _windows(source: ImageSource, channel: int | None, count: int) -> list[NDArray[Any]]:
    """At least ``count`` windows, on as many planes where there are."""
    indices = planes(source, None if channel is None else (channel,))
    height, width = source.shape[-2:]
    picked = [indices[i] for i in np.unique(np.linspace(0, len(indices) - 1, count).astype(int))]
    size = (min(height, _WINDOW), min(width, _WINDOW))
    area = size[0] * size[1]
    wanted = max(_SAMPLE_PIXELS // area, count) if count > _SAMPLE_PLANES else _SAMPLE_PIXELS // area
    per_plane = max(1, min(wanted // len(picked), height * width // area))
    windows = []
    for number, index in enumerate(picked):
        for k in range(per_plane):
            # a low-discrepancy walk (golden ratios) spreads the windows evenly, whatever their number
            step = number * per_plane + k + 0.5
            y = int((step * 0.7548776662) % 1 * (height - size[0] + 1))
            x = int((step * 0.5698402910) % 1 * (width - size[1] + 1))
            windows.append(source.read(index, slice(y, y + size[0]), slice(x, x + size[1])))
    return windows


def measure_channel(windows: list[NDArray[Any]], bounded: bool = True) -> Normalization:
    """Noise and normalisation of one channel from its ``sample_windows``; ``bounded`` as the model is."""
    return fit_normalization(windows, estimate_noise(windows), bounded)


def plan_channel(
    windows: list[NDArray[Any]],
    normalization: Normalization,
    settings: RunSettings,
    codec: Codec,
    cache: LatentCache | None,
    between: Callable[[], None] = lambda: None,
) -> ChannelPlan:
    """Rate of one channel and whether structure goes back: as given, as chosen before, or chosen now.

    Args:
        windows: ``sample_windows`` of the channel.
        normalization: ``measure_channel`` of these.
        settings: Settings of the run.
        codec: Loaded model.
        cache: Cache that keeps choices; None for none.
        between: Function called again and again during the choice, see ``choose_rate``; it may raise to give
            up.
    """
    known = known_plan(windows, normalization, settings, codec, cache)
    if known is not None:
        return known
    tiles, rate, structure = _liveliest(windows, normalization), settings.rate, settings.structure == "auto"
    if isinstance(rate, str):
        choice = choose_rate(codec, tiles, normalization, between=between, structure=structure)
        plan, kept = ChannelPlan(normalization, choice.rate, choice, choice.structure), choice.to_json()
    else:
        errors = estimate_errors(codec, tiles, normalization, (rate,), between)
        plan = ChannelPlan(normalization, float(rate), None, errors is not None and errors.structure)
        kept = _YES if plan.structure else _NO
    if cache is not None:
        cache.put(_choice_key(tiles, normalization, settings, codec), kept)
    return plan


def known_plan(
    windows: list[NDArray[Any]],
    normalization: Normalization,
    settings: RunSettings,
    codec: Codec,
    cache: LatentCache | None,
) -> ChannelPlan | None:
    """``plan_channel`` where it takes no network: all is given or was chosen before; else None."""
    rate = settings.rate
    if not isinstance(rate, str) and (settings.structure == "none" or shares_noise(normalization.noise)):
        return ChannelPlan(normalization, float(rate), None)
    if cache is None:
        return None
    key = _choice_key(_liveliest(windows, normalization), normalization, settings, codec)
    kept = cache.get(key)
    if kept is None:
        return None
    try:
        return _kept_plan(kept, normalization, rate)
    except ValueError:  # no choice of any kind: whoever wrote it there, it is made again
        cache.drop(key)
        return None


def _kept_plan(kept: bytes, normalization: Normalization, rate: float | str) -> ChannelPlan:
    if isinstance(rate, str):
        choice = RateChoice.from_json(kept)
        return ChannelPlan(normalization, choice.rate, choice, choice.structure)
    return ChannelPlan(normalization, float(rate), None, (_NO, _YES).index(kept) == 1)


def doubts(windows: list[NDArray[Any]], plan: ChannelPlan, codec: Codec) -> list[str]:
    """What the user should know of a channel, in words; empty where nothing stands out."""
    noise, trained = plan.normalization.noise, codec.card.trained_range
    found = [f"noise estimate: {note}" for note in noise.notes]
    if trained and (doubt := outside(trained, windows, noise)):
        found.append(doubt)
    if plan.choice and plan.choice.message:
        found.append(plan.choice.message)
    return found


def _choice_key(
    tiles: list[NDArray[Any]], normalization: Normalization, settings: RunSettings, codec: Codec
) -> str:
    asked = (normalization, RATES, TOLERANCE, settings.rate, settings.structure)
    return digest(_CHOICE_VERSION, codec.digest, repr(asked), *tiles)


def _liveliest(windows: list[NDArray[Any]], normalization: Normalization) -> list[NDArray[Any]]:
    """The windows with most structure, within a pixel budget: empty ones say nothing about the rate."""
    filled = [fill_missing(w)[0] for w in windows]
    filled.sort(key=lambda w: -float(normalization.forward(w).std()))
    most = max(1, _RATE_PIXELS // filled[0].size)
    return filled[:most]
