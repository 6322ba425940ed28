"""``napari-rdpdenoise doctor``: what may keep this machine from working, each with a remedy."""

from __future__ import annotations

from collections.abc import Iterable

import typer
from rich.table import Table
from rich.text import Text

from napari_rdpdenoise.cli import checks
from napari_rdpdenoise.cli.console import FAILED, guarded, say, stdout

_SIGNS = {"ok": ("ok", "green"), "note": ("note", "yellow"), "broken": ("BROKEN", "bold red")}


def doctor() -> None:
    """Check versions, devices, display, cache and models; say what to do where something is wrong."""
    with guarded() as command:
        command.working = True
        say("looking (loading the models takes some seconds)")
        found = list(checks.all_checks())
        stdout.print(_table(found))
        for check in found:
            if check.remedy:
                stdout.print(f"{check.name}: {check.remedy}", markup=False, soft_wrap=True)
        broken = [check.name for check in found if check.state == "broken"]
        if broken:
            say(f"broken: {', '.join(broken)}")
            raise typer.Exit(FAILED)
        say("everything that is needed works")


def _table(found: Iterable[checks.Check]) -> Table:
    table = Table("", "what", "found")
    for check in found:
        sign, style = _SIGNS[check.state]
        table.add_row(Text(sign, style=style), Text(check.name), Text(check.found, overflow="fold"))
    return table
