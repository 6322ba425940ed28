"""Before the first tile: the statistics of each channel of the series, its rate and its neighbours."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from napari_rdpdenoise.axes import channel_axis, has_colours
from napari_rdpdenoise.cache import LatentCache, digest
from napari_rdpdenoise.codec import Codec, Normalization, fit_normalization
from napari_rdpdenoise.codec.autorate import (
    RATES,
    choose_neighbours,
    choose_rate,
    gives_back,
)
from napari_rdpdenoise.codec.choice import RateChoice
from napari_rdpdenoise.codec.network_input import Neighbours
from napari_rdpdenoise.codec.trained_range import outside
from napari_rdpdenoise.codec.trial import SETTLED, UNSEEN, Trial
from napari_rdpdenoise.io import ImageSource, SelectedSource
from napari_rdpdenoise.io.denoised import denoised_words
from napari_rdpdenoise.noise import NoiseModel, estimate_noise, shares_noise
from napari_rdpdenoise.noise.trend import Trend
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream.aside import aside
from napari_rdpdenoise.stream.neighbours import neighbour_axes
from napari_rdpdenoise.stream.plan import MEASURING, ChannelPlan, Order, Plan, in_series, plan_works
from napari_rdpdenoise.stream.report import percent_words
from napari_rdpdenoise.stream.rounding import rounding_doubt
from napari_rdpdenoise.stream.sample import Sample, Window, sample_channel

_RATE_PIXELS = 500_000  # of a channel, for its choices
_CHOICE_VERSION = "risk 7"  # of what is cached of a choice
_COLOURS = ("red", "green", "blue")
_TOLD = 0.1  # doubt from which the user is told


def make_plan(
    source: ImageSource,
    settings: RunSettings,
    codec: Codec,
    order: Order | None = None,
    cache: LatentCache | None = None,
) -> Generator[str | Plan | None, None, None]:
    """Yield lines about the preparation and, last, the plan.

    None comes between them again and again, except in the main thread: closing the generator there gives up
    what is measured and chosen.

    Args:
        source: Whole series; the statistics are taken from all of it, whatever part is denoised, so that
            parts agree.
        settings: Settings of the run.
        codec: Loaded model.
        order: Function that puts the works in the order they are done; None for plane after plane.
        cache: Cache that keeps the choice of the rate, which takes the encoder, for the next run.
    """
    chosen = SelectedSource(source, settings.channels, settings.time)
    axis = channel_axis(source.metadata.axes)
    count = 1 if axis is None else source.shape[axis]
    numbers: Iterable[int | None] = range(count) if settings.channels is None else settings.channels
    opacity = source.metadata.opacity(source.shape)
    numbers = [number for number in numbers if number is None or number != opacity]
    if not numbers:
        raise ValueError(
            f"channels: expected a channel of light, found opacity alone (channel {opacity}); choose others"
        )
    channels: dict[int, ChannelPlan] = {}
    told: dict[str, list[int]] = {}  # channels of which each message is
    colours = axis is not None and has_colours(source.metadata.axes[axis])  # not those of each channel
    for number in (None,) if axis is None else numbers:
        name = f"{_channel_words([number or 0], 0, colours)}: " if count > 1 else ""
        yield f"{name}{MEASURING}"
        plan, found = yield from aside(source, partial(_planned, number, settings, codec, cache))
        channels[number or 0] = plan
        for text in found:
            told.setdefault(text, []).append(number or 0)
    of_image = filter(None, [denoised_words(source.metadata.denoised)])
    of_channels = (
        f"{_channel_words(of, len(channels), colours)}: {text}" if count > 1 else text
        for text, of in told.items()
    )
    order = order or (lambda works: in_series(works, chosen.metadata.axes, channels))
    yield Plan(plan_works(chosen, settings, order), channels, (*of_image, *of_channels))


def _planned(
    number: int | None,
    settings: RunSettings,
    codec: Codec,
    cache: LatentCache | None,
    source: ImageSource,
    between: Callable[[], None],
) -> tuple[ChannelPlan, list[str]]:
    """How a channel is denoised, and what the user should know of it, in words."""
    sample = sample_channel(source, number, settings.invalid)
    between()
    measured = measure_channel(sample.pixels, codec.bounded, told_noise(settings) or sample.rule.noise)
    between()
    plan = plan_channel(sample, measured, settings, codec, cache, between)
    found = doubts(sample, plan, codec)
    if settings.dtype == "input" and (
        coarse := rounding_doubt(sample.pixels, plan.normalization.noise, source.dtype)
    ):
        found.append(coarse)
    return plan, found


def _channel_words(numbers: Sequence[int], count: int, colours: bool) -> str:
    """Some of so many channels, in words."""
    if 1 < len(numbers) == count:
        return "all colours" if colours else "all channels"
    names = [_COLOURS[n] if colours and n < len(_COLOURS) else str(n) for n in numbers]
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return listed if colours else f"channel{'s' if len(names) > 1 else ''} {listed}"


def measure_channel(
    windows: Sequence[NDArray[Any]], bounded: bool = True, noise: NoiseModel | None = None
) -> Normalization:
    """Noise and normalisation of one channel.

    Args:
        windows: ``sample_windows`` of it.
        bounded: Whether the model is.
        noise: Noise model where it is known; None to measure it.

    Raises:
        ValueError: If the numbers are so large that float32, in which all is computed, rounds their noise.
    """
    found = noise or estimate_noise(windows)
    _check_steps(windows, found)
    return fit_normalization(windows, found, bounded)


def _check_steps(windows: Sequence[NDArray[Any]], noise: NoiseModel) -> None:
    for window in windows:
        values = np.asarray(window)[~np.ma.getmaskarray(window)]
        if values.size == 0 or values.min() == values.max():
            continue
        level = float(np.median(values))
        step, sigma = float(np.spacing(np.float32(abs(level)))), float(np.sqrt(noise.variance(level)))
        if step > sigma:
            raise ValueError(
                f"image: expected counts whose noise float32 can hold, found noise of {sigma:.2g} on values "
                f"of about {level:.4g}, where float32 has steps of {step:g}; subtract a constant first"
            )


def told_noise(settings: RunSettings) -> NoiseModel | None:
    """Noise model of the camera that the settings tell of; None where the noise is to be measured."""
    return None if settings.camera is None else NoiseModel(*settings.camera)


def plan_channel(
    sample: Sample,
    normalization: Normalization,
    settings: RunSettings,
    codec: Codec,
    cache: LatentCache | None,
    between: Callable[[], None] = lambda: None,
) -> ChannelPlan:
    """How one channel is denoised: as given, as chosen before, or chosen now.

    Args:
        sample: Sample of the channel.
        normalization: ``measure_channel`` of its pixels.
        settings: Settings of the run.
        codec: Loaded model.
        cache: Cache that keeps choices; None for none.
        between: Function called again and again during the choice, see ``choose_rate``; it may raise to give
            up.

    Raises:
        ValueError: If neighbours are asked for that the image or the model does not have.
    """
    known = known_plan(sample, normalization, settings, codec, cache)
    if known is not None:
        return known
    tiles, candidates = _compared(sample, normalization, settings, codec)
    letter = next(iter(candidates), None)
    trial = Trial(codec, tiles.pixels, normalization, None if letter is None else candidates[letter])
    if settings.neighbours == "auto" and candidates:
        letter, trial = choose_neighbours(codec, tiles.pixels, normalization, candidates, between)
    structure, errors = settings.structure == "auto", None
    if isinstance(settings.rate, str):
        compact = settings.rate == "compact"
        choice = choose_rate(trial, RATES, between, structure=structure, compact=compact)
        choices = _Choices(choice.rate, choice.structure, letter, choice)
    else:
        rate = float(settings.rate)
        if structure:
            errors = trial.errors((rate,), between)
        back = structure and gives_back(normalization.noise, errors)
        choices = _Choices(rate, back, letter, None)
    if cache is not None:
        cache.put(_choice_key(tiles, normalization, settings, codec, candidates), choices.to_json())
    return screened(choices.plan(normalization), sample, settings)


def screened(plan: ChannelPlan, sample: Sample, settings: RunSettings) -> ChannelPlan:
    """A plan with what is found of its channel before any choice: what is no image, noise of each plane."""
    trend = _trend(sample, plan.normalization, settings)
    return replace(plan, invalid=sample.rule, hot_pixels=settings.hot_pixels, trend=trend)


def _trend(sample: Sample, normalization: Normalization, settings: RunSettings) -> Trend | None:
    """How noise changes along the series; None where the user tells it."""
    return None if told_noise(settings) is not None else sample.trend(normalization.noise)


def known_plan(
    sample: Sample,
    normalization: Normalization,
    settings: RunSettings,
    codec: Codec,
    cache: LatentCache | None,
) -> ChannelPlan | None:
    """``plan_channel`` where it takes no network: all is given or was chosen before; else None."""
    rate, letters = settings.rate, _candidates(sample, settings, codec)
    blind = shares_noise(normalization.noise)
    given = settings.neighbours != "auto" or not letters or blind
    if not isinstance(rate, str) and given and (settings.structure == "none" or blind):
        letter = letters[0] if settings.neighbours != "auto" and letters else None
        back = settings.structure == "auto" and gives_back(normalization.noise, None)
        return screened(ChannelPlan(normalization, float(rate), None, back, letter), sample, settings)
    if cache is None:
        return None
    tiles, candidates = _compared(sample, normalization, settings, codec)
    key = _choice_key(tiles, normalization, settings, codec, candidates)
    kept = cache.get(key)
    if kept is None:
        return None
    try:
        plan = _Choices.from_json(kept, rate, letters).plan(normalization)
    except ValueError:  # no choice of any kind: whoever wrote it there, it is made again
        cache.drop(key)
        return None
    return screened(plan, sample, settings)


def _compared(
    sample: Sample, normalization: Normalization, settings: RunSettings, codec: Codec
) -> tuple[Sample, dict[str, list[Neighbours]]]:
    """Tiles on which choices are made, and their neighbours by axis; all of them with the channel's noise."""
    noise, letters = normalization.noise, _candidates(sample, settings, codec)
    trend = _trend(sample, normalization, settings)
    even = sample if trend is None else sample.evened(noise, trend)
    tiles = _liveliest(even, normalization)
    return tiles, {letter: tiles.neighbours(letter, noise, trend) for letter in letters}


def _candidates(sample: Sample, settings: RunSettings, codec: Codec) -> str:
    """Axes among which neighbours are chosen; one where it is given."""
    axes, asked = sample.source.metadata.axes, settings.neighbours
    if asked == "none" or (asked == "auto" and codec.planes == 1):
        return ""
    found = neighbour_axes(axes, sample.source.shape)
    if asked == "auto":
        return found
    if codec.planes == 1:
        raise ValueError(
            f"neighbours: expected auto or none for model {codec.card.name}, which looks at single planes, "
            f"found {asked}"
        )
    if asked not in axes:
        raise ValueError(
            f"neighbours: expected an axis of the image, which has {axes}, found {asked}; give auto or none"
        )
    return asked if asked in found else ""


def doubts(sample: Sample, plan: ChannelPlan, codec: Codec) -> list[str]:
    """What the user should know of a channel, in words; empty where nothing stands out."""
    noise, trained = plan.normalization.noise, codec.card.trained_range
    if sample.rule.drawn or sample.missing == 1:  # nothing else can be said of it
        return sample.left_alone()
    found = [*sample.left_alone(), *(f"noise estimate: {note}" for note in noise.notes)]
    if plan.structure and noise.doubt >= _TOLD and sample.grid.enlarged is None:
        found.append(
            f"what looks like noise may be fine grain of the sample itself: {percent_words(noise.doubt)} of "
            "it is kept; set structure to none to remove it (--structure none on the command line, "
            "Structure under More)"
        )
    if trained and (doubt := outside(trained, sample.pixels, noise)):
        found.append(doubt)
    if trend := sample.trend(noise):
        found.append(trend.words if plan.trend is not None else trend.words_of_one_camera)
    elif unsteady := sample.unsteady_words(noise):
        found.append(unsteady)
    if plan.choice and plan.choice.message:
        found.append(plan.choice.message)
    return found


@dataclass(frozen=True)
class _Choices:
    """What was chosen of a channel, as it is cached."""

    rate: float
    structure: bool
    neighbours: str | None
    choice: RateChoice | None

    def plan(self, normalization: Normalization) -> ChannelPlan:
        return ChannelPlan(normalization, self.rate, self.choice, self.structure, self.neighbours)

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, data: bytes, rate: float | str, letters: str) -> _Choices:
        """Inverse of `to_json`; a ValueError where these are no choices for such a rate and axes."""
        choices = TypeAdapter(cls).validate_json(data)
        wanted = rate
        if choices.choice is not None:
            choices.choice.check()
            wanted = choices.choice.rate if isinstance(rate, str) else float("nan")
        if choices.rate != wanted or (choices.neighbours or "") not in ("", *letters):
            raise ValueError(f"choices: expected some for rate {rate} and axes {letters!r}, found {choices}")
        return choices


def _choice_key(
    tiles: Sample,
    normalization: Normalization,
    settings: RunSettings,
    codec: Codec,
    candidates: Mapping[str, Sequence[Neighbours]],
) -> str:
    asked = (normalization, RATES, UNSEEN, SETTLED, settings.rate, settings.structure, settings.neighbours)
    beside = [
        "" if other is None else other
        for letter, pairs in candidates.items()
        for part in ([letter], *pairs)
        for other in part
    ]
    masks = [np.packbits(np.ma.getmaskarray(pixels)) for pixels in tiles.pixels]
    pixels = [np.asarray(pixels) for pixels in tiles.pixels]
    return digest(_CHOICE_VERSION, codec.identity, repr(asked), *pixels, *masks, *beside)


def _liveliest(sample: Sample, normalization: Normalization) -> Sample:
    """The windows with most structure, within a pixel budget: empty ones say nothing about the rate."""

    def liveliness(window: Window) -> float:
        image = ~np.ma.getmaskarray(window.pixels)
        return float(normalization.forward(window.pixels)[image].std()) if image.any() else 0.0

    windows = sorted(sample.windows, key=liveliness, reverse=True)
    return sample.only(windows[: max(1, _RATE_PIXELS // windows[0].pixels.size)])
