"""What one file of tests loads: a small one must start at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent


HEAVY = {"PyQt6", "dask", "napari", "npe2", "pytestqt", "qtpy", "torch", "zarr"}


def pytest_run(file: Path) -> subprocess.CompletedProcess:
    """Run one file, in or out of the tree, in its own process; stderr has a line per module imported."""
    command = [sys.executable, "-X", "importtime", "-m", "pytest", "-s", "-p", "no:cacheprovider"]
    command += ["-c", str(TESTS.parent / "pyproject.toml"), "-p", "conftest", str(file)]
    environment = {**os.environ, "PYTEST_ADDOPTS": "", "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)


def test_a_file_without_windows_loads_no_qt_no_napari_and_no_torch():
    done = pytest_run(TESTS / "ui" / "layers" / "test_axes.py")
    assert done.returncode == 0, done.stdout + done.stderr
    loaded = {line.rsplit("|")[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "napari_rdpdenoise" in loaded
    assert loaded & HEAVY == set()
    assert "display:" not in done.stdout


def test_a_test_of_windows_has_to_say_so(tmp_path):
    file = tmp_path / "test_window.py"
    file.write_text("def test_window(qtbot):\n    pass\n", encoding="utf-8")
    done = pytest_run(file)
    assert done.returncode != 0
    assert "test_window uses qtbot: mark it with pytest.mark.display" in done.stdout + done.stderr
