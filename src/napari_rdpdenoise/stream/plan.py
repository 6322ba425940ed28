"""What is to be done, as integers: tiles of planes, their order, what the output holds. Loads no torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_rdpdenoise.axes import channel_axis
from napari_rdpdenoise.codec.library import DEFAULT, DEFAULT_MODEL, default_model
from napari_rdpdenoise.codec.normalization import Normalization
from napari_rdpdenoise.io import ImageSource, Index, SelectedSource, planes
from napari_rdpdenoise.nn.decoder_names import on_path
from napari_rdpdenoise.nn.decoders.place import Place, plane_seed
from napari_rdpdenoise.nn.decoders.sampling import Sampling
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.noise.invalid import MISSING_ONLY, InvalidRule
from napari_rdpdenoise.noise.trend import Trend
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream.report import ChannelReport
from napari_rdpdenoise.tiles import Tile, plan_tiles

if TYPE_CHECKING:
    from napari_rdpdenoise.codec import Codec
    from napari_rdpdenoise.codec.choice import RateChoice

MEASURING = "measuring the noise"
"""What is said while a run is planned; it ends at once where the run is given up."""

_MOST_TILES = 2_000_000  # a plan of these takes half a gigabyte

Order = Callable[[Iterable["Work"]], Iterable["Work"]]


@dataclass(frozen=True, slots=True)
class Work:
    """One tile of one plane; ``channel`` counts on the input's channel axis, ``seed`` is the plane's."""

    index: Index
    tile: Tile
    channel: int
    seed: int = 0

    @property
    def place(self) -> Place:
        """What decides a decoder's random numbers."""
        return Place(self.seed, self.tile.oy0, self.tile.ox0)


@dataclass(frozen=True)
class ChannelPlan:
    """How one channel is denoised.

    Attributes:
        normalization: Noise and units of the channel.
        rate: Position on the model's rate curve, [0, 1].
        choice: What the choice of the rate rests on; None where the rate was given.
        structure: Whether structure that the residual holds goes back into the image.
        neighbours: Axis along which the planes before and after are looked at as well; None for none.
        invalid: Rule by which invalid pixels are told from image.
        hot_pixels: Whether to "replace" hot pixels, or to "keep" them.
        trend: How noise changes from plane to plane; None where all have that of the normalisation.
    """

    normalization: Normalization
    rate: float
    choice: RateChoice | None
    structure: bool = False
    neighbours: str | None = None
    invalid: InvalidRule = MISSING_ONLY
    hot_pixels: str = "replace"
    trend: Trend | None = None

    def at(self, index: Index) -> ChannelPlan:
        """How one plane is denoised, by its index in the whole image: with noise of its own where it has."""
        if self.trend is None and self.invalid.trend is None:
            return self
        normalization = self.normalization
        if self.trend is not None:
            normalization = normalization.with_noise(self.trend.at(index))
        return replace(self, normalization=normalization, invalid=self.invalid.at(index), trend=None)

    @property
    def noise(self) -> NoiseModel:
        """Noise by which structure goes back: all of it where the choice was to leave the image alone."""
        noise = self.normalization.noise
        return replace(noise, doubt=1.0) if self.choice is not None and self.choice.left_alone else noise


@dataclass(frozen=True)
class Plan:
    """Everything a run needs to know before its first tile; works of channels without a plan are copied."""

    works: tuple[Work, ...]
    channels: dict[int, ChannelPlan]
    messages: tuple[str, ...]

    def reports(self) -> tuple[ChannelReport, ...]:
        """How each channel will be treated."""
        return tuple(
            ChannelReport(
                channel,
                plan.normalization.noise,
                plan.rate,
                plan.choice.expected if plan.choice else None,
                plan.choice.found if plan.choice else None,
                plan.choice.error if plan.choice else None,
                plan.structure,
                plan.neighbours,
            )
            for channel, plan in sorted(self.channels.items())
        )


def for_image(settings: RunSettings, source: ImageSource) -> RunSettings:
    """Settings that name the model of an image where they leave it to its kind and to the device.

    Raises:
        ValueError: If this machine does not have the device.
    """
    if settings.model != DEFAULT:
        return settings
    from napari_rdpdenoise.codec.models import choose_device  # loads torch

    model = default_model(source.metadata.axes, source.shape, choose_device(settings.device))
    return settings if model == DEFAULT_MODEL else settings.replace(model=model)


def decoders_of(settings: RunSettings) -> tuple[str, ...]:
    """Names of the decoders that these settings need; the first one is shown at realism 0."""
    return on_path(settings.realism, settings.decoder)


def check_model(codec: Codec, settings: RunSettings) -> None:
    """Refuse a model that cannot give what the settings ask for.

    Raises:
        DecoderMissing: If it lacks a decoder.
        ValueError: If the error is asked for, and its card does not tell of it.
    """
    codec.check(decoders_of(settings), settings.realism)
    if settings.quantity == "error":
        _ = codec.intervals


def sampling_of(settings: RunSettings) -> Sampling:
    """How the flow decoder draws, of these settings."""
    return Sampling(settings.steps, settings.kd, settings.kp, settings.rho, samples=settings.samples)


def plan_works(
    chosen: SelectedSource,
    settings: RunSettings,
    order: Order | None = None,
    steps: tuple[int, int] | None = None,
) -> tuple[Work, ...]:
    """All tiles of the chosen channels and times.

    Args:
        chosen: What is denoised of the image.
        settings: Settings of the run.
        order: Function that puts the works in the order they are done; None for plane after plane.
        steps: First of the chosen time points whose works are planned, and the one after the last; None for
            all.

    Raises:
        ValueError: As `check_count` does.
    """
    if steps is None:
        check_count(chosen, settings)
    tiles = plan_tiles((chosen.shape[-2], chosen.shape[-1]), settings.tile, settings.halo)
    indices = planes(chosen, time=steps)
    works = [work_at(chosen, settings, index, tile) for index in indices for tile in tiles]
    return tuple(works if order is None else order(works))


def check_count(chosen: SelectedSource, settings: RunSettings) -> None:
    """Refuse what has more tiles than a plan can hold.

    Raises:
        ValueError: If it has.
    """
    count = math.prod(chosen.shape[:-2]) * math.prod(-(-n // settings.tile) for n in chosen.shape[-2:])
    if count > _MOST_TILES:
        raise ValueError(
            f"image: expected at most {_MOST_TILES} planes or tiles at once, found {count} in the shape "
            f"{chosen.shape} of {chosen.metadata.name or 'the image'}; denoise it part by part (--time A:B, "
            "Time range under More), or in larger tiles (--tile)"
        )


def in_series(works: Iterable[Work], axes: str, channels: Mapping[int, ChannelPlan]) -> list[Work]:
    """Works in the order in which each plane is read once: of neighbours one after the other.

    Args:
        works: Tiles, plane after plane.
        axes: Canonical axes of the image.
        channels: Plans of the channels.
    """
    works = list(works)
    if not any(plan.neighbours in (*"TZ",) for plan in channels.values()):
        return works  # in which the colours of a picture follow one another

    def key(work: Work) -> tuple[int | Index, ...]:
        plan = channels.get(work.channel)
        letter = plan.neighbours if plan is not None else None
        if letter is None:
            return (work.channel, work.index)
        place = axes.index(letter)
        return (work.channel, (*work.index[:place], *work.index[place + 1 :], work.index[place]))

    return sorted(works, key=key)  # stable: tiles of a plane stay in their order


def work_at(chosen: SelectedSource, settings: RunSettings, index: Index, tile: Tile) -> Work:
    """One tile of one plane of ``chosen``."""
    axis = channel_axis(chosen.metadata.axes)
    channel = 0 if axis is None else index[axis]
    if axis is not None and settings.channels is not None:
        channel = settings.channels[channel]
    return Work(index, tile, channel, plane_seed(settings.seed, chosen.original(index)))
