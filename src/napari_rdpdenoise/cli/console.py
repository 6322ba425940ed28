"""How commands talk: results on standard output; progress, messages and errors on standard error."""

from __future__ import annotations

import logging
import os
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import typer
from rich.console import Console

from napari_rdpdenoise.files import InUseError
from napari_rdpdenoise.names import shown

DEBUG = "RDPDENOISE_DEBUG"
DONE, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130

# What wrong input raises; the same errors in the middle of the work mean that the work failed.
_WRONG_INPUT = (
    ValueError,
    TypeError,
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    InUseError,
)
# Their warnings are about calls among libraries, not about the user's image.
_CHATTY = r"(torch|compressai|torchvision|torch_geometric|torchmetrics|zarr|numcodecs|tifffile)(\.|$)"

stdout = Console(highlight=False)
stderr = Console(stderr=True, highlight=False)


@dataclass
class CommandState:
    """How far a command has come; decides whether an error is wrong use or a failure."""

    working: bool = False


def say(text: str) -> None:
    """A line for the person who waits."""
    stderr.print(shown(text, breaks=False), markup=False, soft_wrap=True)


def result(text: str) -> None:
    """A line of the result; escaped where a person reads it, as it is where a program does."""
    stdout.print(shown(text, breaks=False) if stdout.is_terminal else text, markup=False, soft_wrap=True)


def message_of(error: BaseException) -> str:
    """An error in words, with its kind only where the words alone say little."""
    text = str(error).strip()
    told = isinstance(error, (OSError, ValueError, TypeError, MemoryError, RuntimeError)) and text
    return text if told else f"{type(error).__name__}: {text}".rstrip(": ")


def show_error(error: BaseException, name: str = "") -> None:
    """Print an error, with its traceback only if RDPDENOISE_DEBUG is set."""
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    text = shown(message_of(error), breaks=not _has_lines(error))
    stderr.print(f"error: {shown(name)}{text}", style="bold red", markup=False, soft_wrap=True)


def _has_lines(error: BaseException) -> bool:
    """Whether a message is meant to have several lines: one for each field that does not fit."""
    return any(type(found).__name__ == "ValidationError" for found in (error, error.__context__))


@contextmanager
def guarded() -> Iterator[CommandState]:
    """Turn errors of a command's body into one readable message and an exit code."""
    command = CommandState()
    with _quiet():
        try:
            yield command
        except KeyboardInterrupt:
            say("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            show_error(error)
            wrong_use = isinstance(error, _WRONG_INPUT) and not command.working
            raise typer.Exit(WRONG_USE if wrong_use else FAILED) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Show warnings about the image as one line each, and none that libraries give one another."""
    # what it logs of odd files is told by the reader, in words
    logging.getLogger("tifffile").addHandler(logging.NullHandler())
    with warnings.catch_warnings():
        for category in (FutureWarning, DeprecationWarning, PendingDeprecationWarning):
            warnings.simplefilter("ignore", category)
        warnings.filterwarnings("default", category=UserWarning)
        warnings.filterwarnings("ignore", module=_CHATTY)
        warnings.showwarning = _show_warning  # type: ignore[assignment]
        yield


def _show_warning(message: Warning | str, category: type[Warning], *_where: Any) -> None:
    # torch's compiled part warns in the name of whoever called it
    if not issubclass(category, ResourceWarning) and "Triggered internally" not in str(message):
        say(shown(f"warning: {message}"))
