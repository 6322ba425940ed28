"""Showing a running stream: a bar on a terminal, now and then a line in a log file."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from contextlib import closing
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from napari_rdpdenoise.cli.console import say, stderr

if TYPE_CHECKING:
    from napari_rdpdenoise import stream

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


def follow(running: Generator[stream.Progress, None, stream.RunReport], name: str) -> stream.RunReport:
    """Run a stream to its end and return its report; an interruption closes it cleanly.

    Args:
        running: from `denoise_stream`.
        name: of the image, for the messages.
    """
    shown: set[str] = set()
    last_line = time.monotonic()
    with closing(running), bar("tiles") as progress:
        task = progress.add_task(name, total=None, state="")
        while True:
            try:
                state = next(running)
            except StopIteration as end:
                report: stream.RunReport = end.value
                break
            if state.message:
                shown.add(state.message)
                say(f"{name}: {state.message}")
            progress.update(task, completed=state.done, total=state.total or None, state=describe(state))
            if not stderr.is_terminal and time.monotonic() - last_line > _LINE_SECONDS:
                last_line = time.monotonic()
                say(f"{name}: {state.done} of {state.total} tiles {describe(state)}")
    for message in report.messages:
        if message not in shown:
            say(f"{name}: {message}")
    return report


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
    """What a finished run has to tell, line by line.

    Args:
        report: of the run.
        dtype: of the output, for the clipped values.
    """
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
        lines.append(line)
    bits = f"{report.bpp:.3f} bpp" if math.isfinite(report.bpp) else "nothing left to do"
    lines.append(
        f"{report.tiles} tiles in {duration(report.seconds)}, {report.mpps:.2f} MP/s, {bits}, "
        f"{report.cache_hits} from the cache, {report.encoder_calls} encoder calls"
    )
    if report.clipped:
        lines.append(
            f"{report.clipped} values did not fit {dtype} and were clipped; --dtype float32 keeps them"
        )
    return lines
