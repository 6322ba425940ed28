"""What a run tells while it works and when it is done."""

from __future__ import annotations

import math
import time
from dataclasses import astuple, dataclass, field
from pathlib import Path

from napari_rdpdenoise.noise import NoiseModel


@dataclass(frozen=True)
class Progress:
    """State of a run after a batch of tiles.

    Attributes:
        done, total: Tiles finished (earlier runs included) and planned.
        mpps: Megapixels of result per second of this run; 0 before the first tile.
        eta_s: Seconds left; NaN while unknown.
        bpp: Bits per pixel so far; NaN before the first tile that is encoded.
        cache_hits: Tiles whose latents, those of mirror images as well, were cached.
        encoder_calls: Batches that went through the encoder.
        message: Sentence that the user should know, else None.
    """

    done: int
    total: int
    mpps: float
    eta_s: float
    bpp: float
    cache_hits: int
    encoder_calls: int
    message: str | None = None


@dataclass(frozen=True)
class ModelNamed(Progress):
    """The line that says which model is used, and where, before the number of tiles is known."""


@dataclass(frozen=True)
class PartsLeft(Progress):
    """The line that says which parts of a job are left to do."""


@dataclass(frozen=True)
class ChannelReport:
    """How one channel was treated.

    Attributes:
        channel: Number on the channel axis, 0 where there is none.
        noise: Noise model of the channel.
        rate: Rate used, [0, 1].
        expected_residual, found_residual: Residuals in noise variances; None where the rate was given.
        error: Estimated squared error of the result, in noise variances; None where the rate was given, or
            where neighbouring pixels share their noise and nobody can know.
        structure: Whether structure that the residual holds went back into the image.
        neighbours: Axis along which the planes before and after were looked at as well; None for none.
    """

    channel: int
    noise: NoiseModel
    rate: float
    expected_residual: float | None
    found_residual: float | None
    error: float | None = None
    structure: bool = False
    neighbours: str | None = None

    @property
    def blank(self) -> bool:
        """Whether there was no noise to choose the rate by, so that it says nothing."""
        if self.found_residual is None or self.expected_residual is None:
            return False
        from napari_rdpdenoise.codec.choice import is_blank

        return is_blank(self.found_residual, self.expected_residual)


_NEIGHBOURS = {
    "T": "planes before and after in time used",
    "Z": "planes above and below used",
    "S": "the other colours used",
}


def error_words(error: float | None, structure: bool, neighbours: str | None = None) -> str:
    """What is expected of a result, in words; empty where there is nothing to say.

    Args:
        error: Estimated squared error in noise variances; None, and 0 or less, where it is not known.
        structure: Whether structure that the residual holds goes back into the image.
        neighbours: Axis along which neighbouring planes are looked at; None for none.
    """
    parts = []
    if error is not None and error > 0:
        decibels = -10 * math.log10(error)
        side = "below" if decibels > 0 else "above"
        size = "as large as" if abs(decibels) < 0.5 else f"{abs(decibels):.0f} dB {side}"
        parts.append(f"expected error {size} the noise")
    if neighbours is not None:
        parts.append(_NEIGHBOURS[neighbours])
    if structure:
        parts.append("some structure taken from the input")
    return ", ".join(parts)


def defect_words(count: int, hot_pixels: str) -> str:
    """How many defects of the camera were found, and what became of them.

    Args:
        count: Number of pixels.
        hot_pixels: "replace" or "keep".
    """
    found = "1 hot or cold pixel" if count == 1 else f"{count} hot or cold pixels"
    if hot_pixels == "keep":
        return f"{found}, cosmic rays included: left as found, not used"
    return (
        f"{found}, cosmic rays included: replaced by the surroundings (with hot pixels set to keep they stay)"
    )


def unseen_words(count: int) -> str:
    """How many pixels of regions of one value were found that the sample has nothing like."""
    pixels = "1 pixel lies" if count == 1 else f"{count} pixels lie"
    return (
        f"{pixels} in regions of exactly one value, where noise should be (parts of frames that were lost, "
        "labels): left as found, not used"
    )


@dataclass(frozen=True)
class RunReport:
    """Summary of a finished run.

    Attributes:
        channels: Reports per channel.
        bpp: Bits per pixel over all tiles that were encoded, without their mirror images; NaN for none.
        clipped: Number of output values that did not fit the dtype.
        tiles: Number of tiles of the result.
        cache_hits: Tiles whose latents, those of mirror images as well, were cached.
        encoder_calls: Batches that went through the encoder.
        seconds: Wall time of this run.
        mpps: Megapixels of result per second, without preparation.
        messages: Sentences that the user should know.
        path: Finished file, None for outputs in memory.
        precision: Numbers that the network computed with, "float32" or "bfloat16".
    """

    channels: tuple[ChannelReport, ...]
    bpp: float
    clipped: int
    tiles: int
    cache_hits: int
    encoder_calls: int
    seconds: float
    mpps: float
    messages: tuple[str, ...]
    path: Path | None
    precision: str = "float32"

    @property
    def rate(self) -> float:
        """Rate used, the mean over the channels."""
        return sum(c.rate for c in self.channels) / len(self.channels)

    @property
    def blank(self) -> bool:
        """Whether no channel had noise to choose a rate by."""
        return all(channel.blank for channel in self.channels)


def percent_words(share: float) -> str:
    """A share from 0 to 1 in percent, to two digits or whole."""
    percent = 100 * share
    return f"{percent:.2g} %" if percent < 10 else f"{percent:.0f} %"


def clipped_words(count: int, dtype: object) -> str:
    """A sentence without its end on values that did not fit a number type."""
    values, were = ("value", "was") if count == 1 else ("values", "were")
    return f"{count} {values} did not fit {dtype} and {were} clipped"


@dataclass(frozen=True)
class Counts:
    """What is counted of tiles: sums that are the same in whatever order tiles are done.

    Attributes:
        bits: Bits of the latents, in steps of 1/1024.
        coded_pixels: Pixels that were encoded, halos included.
        clipped: Values that did not fit the output's dtype.
        defects: Hot and cold pixels and cosmic rays.
        cache_hits: Tiles whose latents, those of mirror images as well, were cached.
        unseen: Pixels in regions of one value, the like of which the sample has not.
    """

    bits: float = 0.0
    coded_pixels: int = 0
    clipped: int = 0
    defects: int = 0
    cache_hits: int = 0
    unseen: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "bits", round(self.bits * 1024) / 1024)

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(one + more for one, more in zip(astuple(self), astuple(other), strict=True)))

    @property
    def bpp(self) -> float:
        """Bits per coded pixel; NaN for none."""
        return self.bits / self.coded_pixels if self.coded_pixels else float("nan")

    def found_words(self, hot_pixels: str) -> list[str]:
        """What was found that is not image, and what became of it; ``hot_pixels`` as of `defect_words`."""
        found = [defect_words(self.defects, hot_pixels)] if self.defects else []
        return [*found, unseen_words(self.unseen)] if self.unseen else found

    @property
    def word(self) -> str:
        """The counts as one word."""
        return ",".join(map(repr, astuple(self)))

    @classmethod
    def from_word(cls, word: str) -> Counts:
        """Inverse of `word`; nothing where it is none."""
        try:
            bits, *numbers = word.split(",")
            coded, clipped, defects, hits, unseen = map(int, numbers)
            return cls(float(bits), coded, clipped, defects, hits, unseen)
        except (ValueError, OverflowError):
            return cls()


@dataclass
class Tally:
    """Counters of a running job; belongs to the thread that drains the stream.

    Attributes:
        total: Tiles that are planned.
        done: Tiles that are done, by runs before too.
        pixels: Pixels of the result that this run has made.
        counts: What was counted of the tiles that are done.
        encoder_calls: Batches that went through the encoder.
        messages: All that was told.
        troubles: Those of them that tell how the machine changed the run's ways.
        started: Start of the tiles, seconds of the monotonic clock.
    """

    total: int
    done: int = 0
    pixels: int = 0
    counts: Counts = field(default_factory=Counts)
    encoder_calls: int = 0
    messages: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def restart_clock(self) -> None:
        """Start timing tiles, after the preparation."""
        self.started = time.monotonic()

    @property
    def mpps(self) -> float:
        """Megapixels of result per second so far."""
        return self.pixels / 1e6 / max(time.monotonic() - self.started, 1e-9)

    def progress(self, left_pixels: int, message: str | None = None) -> Progress:
        """A report; ``left_pixels`` are still to be written."""
        if message is not None:
            self.messages.append(message)
        eta = left_pixels / 1e6 / self.mpps if self.pixels else float("nan")
        bpp, hits = self.counts.bpp, self.counts.cache_hits
        return Progress(self.done, self.total, self.mpps, eta, bpp, hits, self.encoder_calls, message)

    def report(self, channels: tuple[ChannelReport, ...], seconds: float, precision: str) -> RunReport:
        """Summary of the run, without the path of its result."""
        return RunReport(
            channels,
            self.counts.bpp,
            self.counts.clipped,
            self.total,
            self.counts.cache_hits,
            self.encoder_calls,
            seconds,
            self.mpps,
            tuple(self.messages),
            None,
            precision,
        )
