"""The table of bad inputs: each a named error or the right result, nothing half written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import warnings

import pytest

from napari_rdpdenoise.io import open_image
from tests.support.bad_inputs import DANGEROUS, ROWS, attempt

SECONDS, BYTES = 60, 2_000_000_000
HARMLESS = {name: row for name, row in ROWS.items() if not name.startswith("dangerous")}
_WATCHED = """
import json, os, resource, sys, time
from pathlib import Path
from napari_rdpdenoise.codec import load_model
from tests.support.bad_inputs import DANGEROUS, attempt
for number, (name, row) in enumerate(DANGEROUS.items()):
    folder = Path(sys.argv[2], str(number))
    folder.mkdir()
    if (child := os.fork()) == 0:  # of a process that has computed nothing: threads do not live on in a child
        image, codec = row.make(folder), load_model(sys.argv[1], "cpu")
        began = time.monotonic()
        said, left = attempt(row, folder, codec, image)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps([name, said, left, time.monotonic() - began, peak]), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.fixture(scope="module")
def watched(tiny_model, tmp_path_factory):
    """What came of the dangerous rows, each in a process of its own, and the folders they are in."""
    folder = tmp_path_factory.mktemp("dangerous")
    command = [sys.executable, "-W", "ignore", "-c", _WATCHED, str(tiny_model), str(folder)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS * len(DANGEROUS))
    assert answer.returncode == 0, answer.stderr
    answers = [json.loads(line) for line in answer.stdout.splitlines() if line.startswith("[")]
    return {name: rest for name, *rest in answers}, folder


def test_there_are_a_hundred():
    assert len(ROWS) >= 100


@pytest.mark.parametrize("name", HARMLESS)
def test_bad_inputs(name, tmp_path, tiny_codec):
    row, began = HARMLESS[name], time.monotonic()
    check(row, *attempt(row, tmp_path, tiny_codec), tmp_path)
    assert time.monotonic() - began < SECONDS


@pytest.mark.skipif(sys.platform == "win32", reason="memory and pipes are those of POSIX")
@pytest.mark.parametrize("name", DANGEROUS)
def test_dangerous_inputs_are_answered_in_little_memory_and_time(name, watched):
    answers, folder = watched
    said, left, seconds, peak = answers[name]
    check(DANGEROUS[name], said, left, folder / str(list(DANGEROUS).index(name)))
    assert seconds < SECONDS
    assert peak < BYTES


def check(row, said, left, folder):
    """A named error and nothing written, or a result that is whole."""
    if row.words is not None:
        assert said is not None, "expected an error, found a result"
        assert re.match(row.words, said), said
        assert left == []
        return
    assert said is None, said
    result = folder / "out" / row.output
    assert sorted(left) == sorted([result.name, f"{result.name}.job.json"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        open_image(result).close()
