"""What all calls have in common: settings from what was given by name, and warnings at the end."""

from __future__ import annotations

import math
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_rdpdenoise.api.options import ArrayOptions, StoreOptions
from napari_rdpdenoise.jobs.job import Outcome
from napari_rdpdenoise.settings import RunSettings

if TYPE_CHECKING:
    from napari_rdpdenoise.codec import Codec

_CLIPPED_SHARE = 1e-3  # of all values; fewer clipped ones are not worth a warning


def mask_among(options: Any) -> tuple[Any, Any]:
    """The mask of what is not image, or None, and the options with a word in its place."""
    given = options.get("invalid")
    if given is None or isinstance(given, float | int | str):
        return None, options
    return given, {**options, "invalid": "auto"}


def settings_of(known: type, model: str | Path | Codec, options: Any, **given: Any) -> RunSettings:
    """Settings of a call, from options that a TypedDict lists and from what has parameters of its own."""
    names = known.__annotations__
    if unknown := sorted(set(options) - set(names)):
        call = {ArrayOptions: "denoise", StoreOptions: "create_store"}.get(known, "denoise_file")
        raise TypeError(
            f"{call}: expected options among {', '.join(names)}, found {', '.join(unknown)}; "
            "files are written by denoise_file, the ending of whose output says the format"
        )
    name = str(model) if isinstance(model, str | Path) else model.card.name
    return RunSettings(model=name, **given, **options)


def to_the_end(running: Generator[Any, None, Outcome]) -> Outcome:
    """Run to the end, and warn the caller of the caller of what is doubtful."""
    from napari_rdpdenoise.stream.report import clipped_words

    while True:
        try:
            next(running)
        except StopIteration as end:
            outcome: Outcome = end.value
            break
    report, spec = outcome.report, outcome.spec
    messages = list(report.messages)
    if report.clipped > _CLIPPED_SHARE * math.prod(spec.shape):
        messages.append(f"{clipped_words(report.clipped, spec.dtype)}; dtype='float32' keeps them")
    for message in messages:
        warnings.warn(message, UserWarning, stacklevel=3)
    return outcome
