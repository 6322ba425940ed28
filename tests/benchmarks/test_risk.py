"""The plot of expected and true errors, and what its table says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.risk import MARKS, PHOTONS, draw, table


def rows():
    """Two images of every kind and light, one of them 1 dB worse than expected, the other not known."""
    found = []
    for kind in MARKS:
        real = "real" in kind or "test" in kind
        for photons in (None,) if real else PHOTONS:
            for told in (False,) if real else (False, True):
                row = {"kind": kind, "name": "a", "photons": photons, "told": told, "true": 9.0}
                row |= {"shared": False, "doubt": 0.0, "expected": 10.0}
                found += [row, row | {"expected": None, "shared": True, "doubt": 0.5}]
    return found


def test_the_table_tells_how_far_off_and_what_is_not_known():
    text = table({"result": {"rows": rows()}})
    lines = [line for line in text.splitlines() if line.startswith("| W2S, held out |")]
    assert len(lines) == 2 * len(PHOTONS)
    assert "| W2S, held out | 10 | measured | 2 | 10.0 | 9.0 | +1.0 | +1.0 | 1 |" in lines
    assert "with the camera told 100% of 12 images (median difference +1.0 dB)" in text
    unknown = table({"result": {"rows": [row | {"expected": None} for row in rows()]}})
    assert "| W2S, held out | 10 | measured | 2 |  |  |  |  | 2 |" in unknown


def test_the_plot_is_small_whatever_is_known(tmp_path):
    pytest.importorskip("matplotlib", reason="the extra bench is not installed")
    from PIL import Image

    for name, drawn in (("all", rows()), ("none", [row | {"expected": None} for row in rows()])):
        file = tmp_path / f"{name}.png"
        draw(drawn * 9, file, "tiny (00000000)")
        assert file.stat().st_size < 150_000
        with Image.open(file) as image:
            assert min(image.size) > 400
