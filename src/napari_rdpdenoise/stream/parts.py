"""A job in parts: what every part has to know, which tiles are its own, and what the parts tell together.

One plan is made of the whole series and written once: noise, rates, neighbours and structure are the same for
all parts, whoever does them. A part owns whole shards, so that no two write to one file. Loads no torch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter, ValidationError

from napari_rdpdenoise._version import __version__
from napari_rdpdenoise.codec.normalization import Normalization
from napari_rdpdenoise.io import SelectedSource
from napari_rdpdenoise.noise.invalid import InvalidRule
from napari_rdpdenoise.noise.trend import Trend
from napari_rdpdenoise.settings import RESULT, RunSettings
from napari_rdpdenoise.stream.plan import ChannelPlan, Plan, in_series, plan_works
from napari_rdpdenoise.stream.report import Counts, RunReport, Tally

if TYPE_CHECKING:
    from napari_rdpdenoise.stream.plan import Work

__all__ = ["Asked", "Part", "PartReport", "SharedPlan", "as_words", "together"]

_FORMAT = 1


@dataclass(frozen=True)
class Part:
    """One part of a job.

    Attributes:
        number: Which one, from 1.
        of: How many there are.

    Raises:
        ValueError: If there is no such part.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise ValueError(
                f"part: expected a number from 1 to the number of parts, found {self}; for the second of "
                "four give 2/4 (--part 2/4, or part=(2, 4) in Python)"
            )

    @classmethod
    def parse(cls, text: str) -> Part:
        """``"2/4"`` as the second part of four.

        Raises:
            ValueError: If it is anything else.
        """
        found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
        if found is None:
            raise ValueError(f"part: expected NUMBER/PARTS, found {text!r}; give for example 2/4")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def share(self, works: Sequence[Work], shard_of: Callable[[Work], Hashable]) -> tuple[Work, ...]:
        """The works of this part, in their order: each work belongs to one part, and so does each shard.

        Args:
            works: All works; shards count in the order in which they come first.
            shard_of: Function that names the shard of a work.
        """
        shards: dict[Hashable, int] = {}
        for work in works:
            shards.setdefault(shard_of(work), len(shards))
        first, last = (len(shards) * number // self.of for number in (self.number - 1, self.number))
        return tuple(work for work in works if first <= shards[shard_of(work)] < last)


@dataclass(frozen=True)
class Asked:
    """What decides the result of a job, as one command asks for it.

    Attributes:
        version: Version of this package.
        settings: Settings that decide the result, by name.
        image: Identity of the image's content.
        model: Digest of the model's weights.
        parts: Number of parts.
    """

    version: str
    settings: dict[str, Any]
    image: str
    model: str
    parts: int

    @classmethod
    def of(cls, settings: RunSettings, image: str, model: str, parts: int, **further: Any) -> Asked:
        """What some settings, whose model is named as in the library, ask for, and ``further`` ones."""
        deciding = settings.deciding(*RESULT).model_dump(mode="json")
        return cls(__version__, {**deciding, **further}, image, model, parts)

    def check(self, other: Asked, where: str) -> None:
        """Refuse a command that asks for something else than this, which others are doing.

        Args:
            other: What is asked for.
            where: Place of what is being done, for the refusal.

        Raises:
            ValueError: If it differs.
        """
        found = [
            f"{name} {self.settings.get(name)!r} there, {other.settings.get(name)!r} here"
            for name in sorted({*self.settings, *other.settings})
            if self.settings.get(name) != other.settings.get(name)
        ]
        if self.parts != other.parts:
            found.append(f"{self.parts} parts there, {other.parts} here")
        if self.image != other.image:
            found.append("another image, or one that has changed since the first part began")
        if self.model != other.model:
            found.append("a model with other weights")
        if self.version != other.version:
            found.append(f"version {self.version} there, {other.version} here")
        if found:
            raise ValueError(
                f"part: expected the job that is done in parts in {where}, found {'; '.join(found)}; give "
                "every part and --finish the same image, model and settings, or remove that folder to begin "
                "anew"
            )


@dataclass(frozen=True)
class SharedPlan:
    """What all parts of a job share.

    Attributes:
        asked: What the job was asked for.
        precision: Numbers that the network computes with, on whatever machine.
        channels: Plans of the channels.
        messages: What is to be told of the series.
    """

    asked: Asked
    precision: Literal["float32", "bfloat16"]
    channels: dict[int, ChannelPlan]
    messages: tuple[str, ...]

    def to_text(self) -> str:
        """The plan as JSON; numbers are kept to the last digit."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=1)

    @classmethod
    def from_text(cls, text: str, where: str) -> SharedPlan:
        """Inverse of `to_text`.

        Raises:
            ValueError: If it is something else; the message names ``where`` it lies.
        """
        try:
            content = json.loads(text)
            if content.pop("format") != _FORMAT:
                raise ValueError("another format")
            channels = {int(number): _channel(one) for number, one in content.pop("channels").items()}
            asked = TypeAdapter(Asked).validate_python(content.pop("asked"))
            return cls(asked=asked, channels=channels, **{**content, "messages": tuple(content["messages"])})
        except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
            raise ValueError(
                f"part: expected the plan of a job in {where}, found another ({type(error).__name__}); "
                "remove that folder to begin anew"
            ) from None

    def plan(
        self, chosen: SelectedSource, settings: RunSettings, part: Part, shard_of: Callable[[Work], Hashable]
    ) -> Plan:
        """The plan with the works of one part.

        Args:
            chosen: What is denoised of the image.
            settings: Settings of the job.
            part: Part that is done.
            shard_of: Function that names the shard of a work.
        """
        axes, channels = chosen.metadata.axes, self.channels
        works = plan_works(chosen, settings, lambda all_works: in_series(all_works, axes, channels))
        return Plan(part.share(works, shard_of), channels, self.messages)


def _channel(content: dict[str, Any]) -> ChannelPlan:
    from napari_rdpdenoise.codec.choice import RateChoice

    kinds: dict[str, Any] = {
        "normalization": Normalization,
        "rate": float,
        "choice": RateChoice | None,
        "structure": bool,
        "neighbours": str | None,
        "invalid": InvalidRule,
        "hot_pixels": str,
        "trend": Trend | None,
    }
    return ChannelPlan(**{name: TypeAdapter(kinds[name]).validate_python(content[name]) for name in content})


@dataclass(frozen=True)
class PartReport:
    """What was counted of a part, or of several.

    Attributes:
        counts: What was counted of the tiles.
        tiles: Number of the tiles.
        pixels: Pixels of the result that the last run of the part made.
        encoder_calls: Batches that went through the encoder then.
        seconds: Time of that run.
        computing: Time of its tiles, seconds.
        troubles: How machines changed its ways, in words.
    """

    counts: Counts = field(default_factory=Counts)
    tiles: int = 0
    pixels: int = 0
    encoder_calls: int = 0
    seconds: float = 0.0
    computing: float = 0.0
    troubles: tuple[str, ...] = ()

    @classmethod
    def of(cls, tally: Tally, seconds: float, computing: float) -> PartReport:
        """What a run of a part counted."""
        return cls(
            tally.counts, tally.total, tally.pixels, tally.encoder_calls, seconds, computing,
            tuple(tally.troubles),
        )  # fmt: skip

    def to_text(self) -> str:
        """The report as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> PartReport:
        """Inverse of `to_text`.

        Raises:
            ValueError: If it is something else.
        """
        return TypeAdapter(cls).validate_python(json.loads(text))

    def report(self, shared: SharedPlan, hot_pixels: str, notes: Iterable[str] = ()) -> RunReport:
        """Report of a run, as one in one piece makes it.

        Args:
            shared: Plan of the job.
            hot_pixels: What became of hot pixels, "replace" or "keep".
            notes: What the output has to say of its tiles.
        """
        counts = self.counts
        return RunReport(
            Plan((), shared.channels, ()).reports(),
            counts.bpp,
            counts.clipped,
            self.tiles,
            counts.cache_hits,
            self.encoder_calls,
            self.seconds,
            self.pixels / 1e6 / max(self.computing, 1e-9),
            (*shared.messages, *self.troubles, *notes, *counts.found_words(hot_pixels)),
            None,
            shared.precision,
        )


def together(reports: Iterable[PartReport]) -> PartReport:
    """Sum of the reports of several parts; times are those of all machines together."""
    whole = PartReport()
    for one in reports:
        whole = replace(
            whole,
            counts=whole.counts + one.counts,
            tiles=whole.tiles + one.tiles,
            pixels=whole.pixels + one.pixels,
            encoder_calls=whole.encoder_calls + one.encoder_calls,
            seconds=whole.seconds + one.seconds,
            computing=whole.computing + one.computing,
            troubles=tuple(dict.fromkeys((*whole.troubles, *one.troubles))),
        )
    return whole


def as_words(numbers: Sequence[int]) -> str:
    """Ascending numbers in words: ``[1, 2, 3, 7]`` gives ``"1-3 and 7"``; of very many the first ones."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    texts = [str(a) if a == b else f"{a} and {b}" if b == a + 1 else f"{a}-{b}" for a, b in runs[:10]]
    if len(runs) > 10:
        return f"{', '.join(texts)} and others"
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
