"""Putting the parts of a job together: the result and its record. Loads no torch, but for stores."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_rdpdenoise.io.output import parts
from napari_rdpdenoise.jobs.job import Job, Outcome
from napari_rdpdenoise.jobs.lines import said
from napari_rdpdenoise.jobs.opening import Opening, opening
from napari_rdpdenoise.jobs.record import record_path, record_text
from napari_rdpdenoise.jobs.results import model_words
from napari_rdpdenoise.stream.parts import PartReport, as_words, together
from napari_rdpdenoise.stream.report import Progress

if TYPE_CHECKING:
    from napari_rdpdenoise.codec import Codec

__all__ = ["finish_parts"]


def finish_parts(job: Job, *, codec: Codec | None = None) -> Generator[Progress, None, Outcome]:
    """Put the parts of a job together, all of them done; the result is the return value.

    It appears as that of `runner.run` does. A second call finds it finished. Neither model nor
    torch is loaded, but for a store: whoever finishes needs no GPU, even where the parts were done on some.

    Raises:
        FileNotFoundError: If no part was begun.
        ValueError: If parts are missing, which the message names, or were begun with another image, model or
            settings, or as `runner.run` does.
        InUseError: If another process is finishing it.
        Exception: As `runner.run` does.
    """
    with opening(job, codec) as asked:
        finished = asked.finished()
        if finished is not None:
            yield said("The job was finished before.")
            return finished
        shared = asked.plan_there()
        if shared is None:
            return _finished_meanwhile(asked)
        count = shared.asked.parts
        asked.check(shared, count)
        with parts.finishing(asked.target) as there:  # before that, others may take the parts away
            if there:
                _check_done(asked.target, count)
                yield said(f"putting {count} parts together" if count > 1 else "finishing the one part")
                with parts.collected(asked.output, count) as sink:
                    notes = sink.notes()
                    for words in (*notes, *model_words(sink)):
                        yield said(words)
                    reports = [
                        PartReport.from_text(parts.read_part(asked.target, k + 1)) for k in range(count)
                    ]
                    report = together(reports).report(shared, job.settings.hot_pixels, notes)
                    path = sink.finish(lambda: record_text(asked.job, asked.model, asked.spec, report))
                    return Outcome(replace(report, path=path), asked.spec, path, record_path(path))
        return asked.finished_elsewhere()


def _finished_meanwhile(asked: Opening) -> Outcome:
    """The result, where there are no parts: another process has just finished them, or none was begun."""
    finished = asked.finished()
    if finished is None:
        raise FileNotFoundError(
            f"part: expected parts of {asked.target}, found none; run each with --part NUMBER/PARTS, or "
            "denoise_file(..., part=(NUMBER, PARTS)), before --finish"
        )
    return finished


def _check_done(target: Path, count: int) -> None:
    left = parts.missing(target, count)
    if not left:
        return
    busy = [number for number in left if parts.under_way(target, number)]
    working = f" (at work: {as_words(busy)})" if busy else ""
    raise ValueError(
        f"finish: expected all {count} parts of {target.name} to be done, found {as_words(left)} missing"
        f"{working}; run --part NUMBER/{count} for {'each' if len(left) > 1 else 'it'}, then --finish again"
    )
