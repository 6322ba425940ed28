"""Showing a running stream: a bar on a terminal, now and then a line in a log file."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from contextlib import closing
from typing import TypeAlias, TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from napari_rdpdenoise import stream
from napari_rdpdenoise.cli.console import CommandState, result, say, show_error, stderr
from napari_rdpdenoise.jobs.batch import Ended, Started
from napari_rdpdenoise.jobs.job import Opened, Outcome

Event: TypeAlias = "Started | Opened | stream.Progress | Ended"
Answer = TypeVar("Answer")

_LINE_SECONDS = 30.0  # between lines where there is no terminal


def bar(unit: str) -> Progress:
    """A progress bar that vanishes when done; ``unit`` names what is counted."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{unit} {{task.fields[state]}}", markup=False),
        console=stderr,
        transient=True,
        disable=not stderr.is_terminal,
    )


def follow(
    running: Generator[Event, None, Answer], name: str = "", command: CommandState | None = None
) -> Answer:
    """Run a job or a batch of them to its end, tell what happens, and return its value.

    An interruption closes ``running``, the generator of `jobs.runner.run` or `jobs.batch.run_batch`, cleanly.
    From the first opened output on ``command`` works. ``name`` is that of a single job's image.
    """
    display = _Display(name, command or CommandState())
    with closing(running), closing(display):
        try:
            while True:
                display.take(next(running))
        except StopIteration as end:
            answer: Answer = end.value
        except KeyboardInterrupt:
            display.interrupted()
            raise
    if isinstance(answer, Outcome):
        display.tell(answer)
    return answer


class _Display:
    """A bar that vanishes when done, and lines of text about the image of a name."""

    def __init__(self, name: str, command: CommandState) -> None:
        self._command = command
        self._last_line = time.monotonic()
        self._turn_to(name)

    def _turn_to(self, name: str) -> None:
        self._name, self._writing = name, False
        self._shown: set[str] = set()
        self._bar = bar("tiles")
        self._task = self._bar.add_task(name, total=None, state="")

    def close(self) -> None:
        """Take the bar away: nothing for standard output may pass through it."""
        self._bar.stop()

    def take(self, event: Event) -> None:
        """Show one event of a run or a batch."""
        if isinstance(event, Started):
            self._begin(event)
        elif isinstance(event, Opened):
            self._writing = self._command.working = True
        elif isinstance(event, Ended):
            self._end(event)
        else:
            self._go_on(event)

    def tell(self, outcome: Outcome) -> None:
        """Tell what came of a job, but for what was told before."""
        for message in outcome.report.messages:
            if message not in self._shown:
                self._say(message)
        for line in summary(outcome.report, outcome.spec.dtype.name):
            self._say(line)

    def interrupted(self) -> None:
        """Tell that nothing is lost."""
        if self._writing:
            self._say("what is done is kept, the same command goes on there")

    def _begin(self, event: Started) -> None:
        self.close()
        self._turn_to(event.job.name)
        self._command.working = True
        say(f"[{event.number}/{event.total}] {event.job.name}")

    def _end(self, event: Ended) -> None:
        self.close()
        if event.error is not None:
            show_error(event.error, f"{event.job.name}: ")
            return
        if event.outcome is None:
            self._say("done before with the same settings, kept")
        else:
            self.tell(event.outcome)
        if event.outcome is None or event.outcome.path is not None:
            result(str(event.job.target))

    def _go_on(self, state: stream.Progress) -> None:
        if state.message:
            self._shown.add(state.message)
            self._say(state.message)
        words = describe(state)
        done, total = state.done, state.total or None
        self._bar.start()
        self._bar.update(self._task, completed=done, total=total, state=words)
        if state.total and not stderr.is_terminal and time.monotonic() - self._last_line > _LINE_SECONDS:
            self._last_line = time.monotonic()
            self._say(f"{state.done} of {state.total} tiles {words}")

    def _say(self, text: str) -> None:
        say(f"{self._name}: {text}" if self._name else text)


def describe(state: stream.Progress) -> str:
    """Speed, time left, bits per pixel and cache hits of a running stream."""
    if not state.mpps:
        return ""
    parts = [f"{state.mpps:.2f} MP/s"]
    if math.isfinite(state.eta_s):
        parts.append(f"{duration(state.eta_s)} left")
    if math.isfinite(state.bpp):
        parts.append(f"{state.bpp:.3f} bpp")
    if state.cache_hits:
        parts.append(f"{state.cache_hits} from the cache")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Seconds as a person reads them: ``"0.4 s"``, ``"42 s"``, ``"3:05 min"``, ``"2:10 h"``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"


def summary(report: stream.RunReport, dtype: str) -> list[str]:
    """What a finished run with an output of that type has to tell, line by line."""
    from napari_rdpdenoise.stream.report import clipped_words, error_words

    lines = []
    for channel in report.channels:
        noise = channel.noise
        line = (
            f"channel {channel.channel}: rate {channel.rate:.2f}, noise gain {noise.gain:.4g}, "
            f"offset {noise.offset:.4g}, read noise {noise.read_noise:.4g} counts"
        )
        if channel.found_residual is not None and channel.expected_residual is not None:
            line += (
                f", residual {channel.found_residual:.3f} found, {channel.expected_residual:.3f} expected "
                "(noise variances)"
            )
        if expected := error_words(channel.error, channel.structure, channel.neighbours):
            line += f", {expected}"
        lines.append(line)
    bits = f"{report.bpp:.3f} bpp" if math.isfinite(report.bpp) else "nothing to encode"
    numbers = "" if report.precision == "float32" else f", in {report.precision}"
    lines.append(
        f"{report.tiles} tiles in {duration(report.seconds)}, {report.mpps:.2f} MP/s, {bits}, "
        f"{report.cache_hits} from the cache, {report.encoder_calls} encoder calls{numbers}"
    )
    if report.clipped:
        lines.append(f"{clipped_words(report.clipped, dtype)}; --dtype float32 keeps them")
    return lines
