"""Running the program inside the tests' interpreter, and as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

CODE = "import sys; from napari_rdpdenoise.cli import main; sys.argv[0] = 'napari-rdpdenoise'; main()"

Run = Callable[..., Any]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call the program with arguments; a terminal wide enough that no line is broken."""
    from napari_rdpdenoise.cli import app, console

    monkeypatch.setenv("COLUMNS", "250")
    for terminal in (console.stdout, console.stderr):  # made with the width that some test before had set
        monkeypatch.setattr(terminal, "width", 250)
    monkeypatch.delenv("RDPDENOISE_DEBUG", raising=False)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def _empty_cache(_own_cache: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache per test: what one test denoised must not change what another is told."""
    monkeypatch.setenv("RDPDENOISE_CACHE", str(tmp_path / "cache-of-this-test"))


@pytest.fixture
def quick(tiny_model: Path) -> tuple[str, ...]:
    """Options for a quick run: the tiny model, on the CPU, at a given rate."""
    return ("--model", str(tiny_model), "--device", "cpu", "--rate", "0.5")


@pytest.fixture
def denoise(run: Run, quick: tuple[str, ...]) -> Run:
    """`denoise` with the quick options."""
    return lambda *arguments: run("denoise", *arguments, *quick)


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the program as a process; it is killed at the end of the test if it still runs."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str | Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", CODE, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "250"},
            # a shell that runs the tests in the background has switched this signal off
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def write_stack() -> Callable[..., Path]:
    """Write a noisy stack of one blob as ImageJ TIFF, uint16: ``write_stack(path, shape, seed)``."""

    def write(path: Path, shape: tuple[int, ...] = (3, 70, 90), seed: int = 0) -> Path:
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[: shape[-2], : shape[-1]]
        clean = 200 + 300 * np.exp(-((y - 30) ** 2 + (x - 40) ** 2) / 300)
        noisy = rng.poisson(np.broadcast_to(clean, shape)) + rng.normal(0, 4, shape)
        path.parent.mkdir(parents=True, exist_ok=True)
        axes = {"axes": "TYX"[-len(shape) :], "unit": "um", "finterval": 2.5}
        pixels = noisy.clip(0, 65535).astype(np.uint16)
        tifffile.imwrite(path, pixels, imagej=True, resolution=(5.0, 5.0), metadata=axes)
        return path

    return write


@pytest.fixture
def stack(tmp_path: Path, write_stack: Callable[..., Path]) -> Path:
    """A small noisy TYX stack."""
    return write_stack(tmp_path / "cells.tif")
