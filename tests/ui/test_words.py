"""What messages say of the dock is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import napari_rdpdenoise

SOURCE = Path(napari_rdpdenoise.__file__).parent
WITH_WORDS = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def texts(path: Path) -> Iterator[str]:
    """All texts in a file that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = [node for node in ast.walk(tree) if isinstance(node, WITH_WORDS) and node.body]
    said = {id(node.body[0].value) for node in documented if isinstance(node.body[0], ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.value


def test_a_message_that_sends_to_a_part_of_the_dock_names_one_that_is_there():
    boxes = (SOURCE / "ui" / "qt" / "boxes").glob("*.py")
    titles = {
        title for path in boxes for title in re.findall(r'^    title = "(\w+)"', path.read_text(), re.M)
    }
    named = {
        (part, path.name)
        for path in SOURCE.rglob("*.py")
        for text in texts(path)
        for part in re.findall(r"\bunder ([A-Z][a-z]+)\b", text)
    }
    assert {"Check", "Train", "Files", "More"} == titles
    assert len(named) > 5
    assert [where for where in named if where[0] not in titles] == []


JARGON = (
    r"\b(lattices?|latents?|backbones?|trunks?|tiles?|codecs?|critic|residuals?|fidelity|held out|loss)\b"
)
OF_PROGRAMS = r"expected .*found|^\s*[#>]|--|to keep no decoded"  # errors for programmers, code and commands
NAMES = ("fidelity error", "fidelity residual")  # of figures


def test_the_dock_speaks_no_jargon():
    """Sentences of the dock and of fine-tuning, but for those of errors that only a script can make."""
    folders = [SOURCE / "ui", SOURCE / "finetune" / "figures.py", SOURCE / "finetune" / "guard.py"]
    files = [file for place in folders for file in ([place] if place.is_file() else place.rglob("*.py"))]
    said = {
        (text, path.name)
        for path in files
        for text in texts(path)
        if " " in text.strip() and re.search(JARGON, text) and not re.search(OF_PROGRAMS, text)
        if text not in NAMES
    }
    assert said == set()
