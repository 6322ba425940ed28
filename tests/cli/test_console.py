from __future__ import annotations

import warnings

import pytest
import typer

from napari_rdpdenoise.cli.console import guarded, message_of


@pytest.mark.parametrize(
    ("error", "working", "code"),
    [
        (ValueError("v"), False, 2),
        (TypeError("t"), False, 2),
        (FileNotFoundError("f"), False, 2),
        (FileExistsError("f"), False, 2),
        (ValueError("v"), True, 1),
        (FileNotFoundError("f"), True, 1),
        (RuntimeError("r"), False, 1),
        (MemoryError(), True, 1),
        (ZeroDivisionError("z"), False, 1),
        (KeyboardInterrupt(), True, 130),
        (KeyboardInterrupt(), False, 130),
    ],
)
def test_exit_codes(error, working, code, capsys):
    def command():
        with guarded() as command:
            command.working = working
            raise error

    with pytest.raises(typer.Exit) as end:
        command()
    assert end.value.exit_code == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message_of(error) in err or code == 130


def test_exits_pass_through():
    with pytest.raises(typer.Exit) as end, guarded():
        raise typer.Exit(7)
    assert end.value.exit_code == 7


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("rate: no"), "rate: no"),
        (MemoryError(), "MemoryError"),
        (KeyError("a"), "KeyError: 'a'"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
    ],
)
def test_messages(error, text):
    assert message_of(error) == text


def test_warnings_about_the_image_are_lines_and_those_of_libraries_are_not_shown(capsys):
    before = warnings.showwarning
    with guarded():
        warnings.warn("half the files are missing", UserWarning, stacklevel=1)
        warnings.warn("use torch.compile", FutureWarning, stacklevel=1)
        warnings.warn("old call", DeprecationWarning, stacklevel=1)
        warnings.warn("slow (Triggered internally at x.cpp:1)", UserWarning, stacklevel=1)
        warnings.warn_explicit("noise", UserWarning, "x.py", 1, module="torch.nn")
    assert capsys.readouterr().err == "warning: half the files are missing\n"
    assert warnings.showwarning is before


def test_text_that_looks_like_markup_is_printed_as_it_is(capsys):
    with pytest.raises(typer.Exit), guarded():
        raise ValueError("no file [bold]a[/bold].tif")
    assert "[bold]a[/bold].tif" in capsys.readouterr().err
