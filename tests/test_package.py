from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from npe2 import PluginManifest

import napari_rdpdenoise

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "compressai", "zarr", "dask", "numpy", "pydantic", "qtpy", "PyQt6", "PySide6", "napari")

PROBE = """
import json, sys, time
begin = time.perf_counter()
import {module}
seconds = time.perf_counter() - begin
print(json.dumps([seconds, [name for name in {names!r} if name in sys.modules]]))
"""


def import_fresh(module: str) -> tuple[float, list[str]]:
    """Import in a new interpreter; seconds of the import alone, and the heavy packages it loaded."""
    code = PROBE.format(module=module, names=HEAVY)
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, loaded = json.loads(answer.stdout)
    return seconds, loaded


def test_import_loads_nothing_heavy_and_is_fast():
    runs = [import_fresh("napari_rdpdenoise") for _ in range(3)]
    assert all(loaded == [] for _, loaded in runs)
    assert min(seconds for seconds, _ in runs) < 0.1


def test_the_probe_sees_a_heavy_import():
    _, loaded = import_fresh("napari_rdpdenoise.settings")
    assert loaded == ["pydantic"]


@pytest.mark.parametrize(
    "module", ["ui.state", "ui.run.runs", "ui.preview.decoded_tiles", "codec.decoded", "stream.plan"]
)
def test_plans_and_the_docks_logic_need_neither_qt_nor_torch(module):
    _, loaded = import_fresh(f"napari_rdpdenoise.{module}")
    assert not {"torch", "qtpy", "PyQt6", "PySide6", "napari"} & set(loaded)


def test_all_public_names_exist():
    assert {name for name in napari_rdpdenoise.__all__ if not hasattr(napari_rdpdenoise, name)} == set()
    assert set(napari_rdpdenoise.__all__) <= set(dir(napari_rdpdenoise))


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = napari_rdpdenoise.nothing


def test_version_is_the_installed_one():
    assert importlib.metadata.version("napari-rdpdenoise") == napari_rdpdenoise.__version__


def test_base_install_brings_no_viewer():
    requirements = importlib.metadata.requires("napari-rdpdenoise") or []
    base = [line.lower() for line in requirements if "extra ==" not in line]
    assert base
    assert not [line for line in base if re.match("napari|pyqt[0-9]|pyside", line)]


def test_manifest_is_found_and_valid():
    manifest = PluginManifest.from_distribution("napari-rdpdenoise")
    manifest.validate_imports()
    assert [widget.display_name for widget in manifest.contributions.widgets] == ["RDP Denoise"]
    assert [sample.key for sample in manifest.contributions.sample_data] == ["timelapse"]
    assert "napari/layers/filter" in manifest.contributions.menus


def test_manifest_and_models_lie_in_the_package():
    package = Path(napari_rdpdenoise.__file__).parent
    assert (package / "napari.yaml").is_file()
    assert (package / "models").is_dir()


def test_the_workflow_runs_the_whole_check_with_every_python_that_is_named():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    job = workflow["jobs"]["check"]
    classifiers = importlib.metadata.metadata("napari-rdpdenoise").get_all("Classifier") or []
    named = [line.rsplit(" ", 1)[1] for line in classifiers if re.search(r":: 3\.\d+$", line)]
    assert job["strategy"]["matrix"]["python"] == named
    assert job["steps"][-1]["run"] == ".ci/run"
