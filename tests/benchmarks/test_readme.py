"""What the pages say is what was measured, and where they point there is something."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import readme
from benchmarks.common import RESULTS, load
from benchmarks.run import write_tables

ROOT = readme.ROOT
FOLDERS = (".", ".github", "benchmarks/results", "examples", "models")
PAGES = sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("*.md"))


def _ignored() -> set[Path]:
    """Files here that git leaves out; none where there is no checkout, which does not have them either."""
    command = ("git", "ls-files", "--others", "--ignored", "--exclude-standard", "-z", "--", *FOLDERS[1:])
    if not shutil.which(command[0]):
        return set()
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    return {(ROOT / name).resolve() for name in names.split("\0") if name}


IGNORED = _ignored()


def test_pages_show_what_was_measured():
    pages = readme.pages()
    assert {path.relative_to(ROOT).as_posix() for path in pages} >= {
        "README.md",
        "benchmarks/results/speed.md",
    }
    for path, text in pages.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run python -m benchmarks.readme"


def test_all_tables_show_what_was_measured(tmp_path):
    for record in RESULTS.glob("*.json"):
        shutil.copy(record, tmp_path)
    assert write_tables(tmp_path).read_text("utf-8") == (RESULTS / "tables.md").read_text("utf-8")


def test_the_cards_show_what_was_measured():
    shown = [
        yaml.safe_load(card.read_text(encoding="utf-8"))["measured"]
        for card in (readme.CARD, readme.PHOTO_CARD)
    ]
    assert readme.measured(load(RESULTS / "quality.json")).items() <= shown[0].items()
    assert readme.measured_photo(load(RESULTS / "photo.json")).items() <= shown[1].items()


def test_a_page_without_the_place_of_a_table_is_refused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- measured:speed -->\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"page\.md: expected <!-- measured:speed --> and its end"):
        readme._fill(page, {"speed": "fast"})


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not link.startswith("http"):
            assert target.exists(), link
            assert target not in IGNORED, f"{link}: git ignores this file, so nobody else has it"
            assert not heading or f"# {heading.replace('-', ' ')}" in target.read_text("utf-8").lower(), link


def test_files_that_contributors_are_sent_to_are_there():
    text = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = {name for name in re.findall(r"`([\w/]+\.(?:py|yaml))`", text) if name == name.lower()}
    files = [path.as_posix() for folder in ("src", "tests") for path in (ROOT / folder).rglob("*.py")]
    files += [path.as_posix() for path in (*ROOT.glob("*.yaml"), *ROOT.glob("models/*/*.yaml"))]
    assert len(named) > 20
    assert {name for name in named if not any(path.endswith(f"/{name}") for path in files)} == set()
