"""What all tests share: few threads, a display where there can be one, and the folder of real images."""

from __future__ import annotations

import gc
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as effort

if TYPE_CHECKING:
    from napari_rdpdenoise.codec import Codec

# Before numpy and torch are imported: the suite must not take a whole machine, in one process or in several.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")

# Libraries that tests compare with load torch's compiler, and that triton, whose LLVM beside that of a
# graphics driver ends a process that has opened windows. None is what import takes for "there is none".
sys.modules.setdefault("triton", None)  # type: ignore[arg-type]

# Figures are compared digit by digit, on whatever machine; what a machine would choose is a test of its own.
# RDPDENOISE_PRECISION=bfloat16 runs all of it as a machine that multiplies these faster would.
os.environ.setdefault("RDPDENOISE_PRECISION", "float32")

# How long an example takes says more about what else the machine does, another process of tests included.
effort.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
effort.load_profile("any-machine")

_SERVER = pytest.StashKey["subprocess.Popen | None"]()
_QT_PROBE = "from qtpy.QtWidgets import QApplication; QApplication([])"
# Their pytest plugins import Qt, or napari for every test; no test without a window needs them.
_PLUGINS_OF_WINDOWS = ("pytestqt.plugin", "npe2._pytest_plugin", "napari.utils._testsupport")


def pytest_configure(config: pytest.Config) -> None:
    """A process of tests that dies ends the run: pytest-xdist was seen to wait forever for its successor."""
    if getattr(config.option, "maxworkerrestart", "") is None:
        config.option.maxworkerrestart = "0"


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Module | pytest.Class, name: str, obj: object) -> None:
    """Make the display, and load what tests of windows need, before the first of them is collected."""
    own = [mark.name for mark in getattr(obj, "pytestmark", [])]
    if name.startswith("test") and ("display" in own or collector.get_closest_marker("display")):
        _prepare_windows(collector.config)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Refuse tests of windows that do not say so: nothing would be loaded for them if they run alone."""
    if "qtbot" in getattr(item, "fixturenames", ()) and item.get_closest_marker("display") is None:
        raise pytest.UsageError(f"{item.nodeid} uses qtbot: mark it with pytest.mark.display")


def _prepare_windows(config: pytest.Config) -> None:
    """Start a display where there is none, and load pytest-qt and napari's fixtures; once in a session."""
    if _SERVER in config.stash:
        return
    config.stash[_SERVER] = None
    if _can_import_qt():
        config.stash[_SERVER] = _start_xvfb()
        for plugin in _PLUGINS_OF_WINDOWS:
            config.pluginmanager.import_plugin(plugin)


@cache
def _can_import_qt() -> bool:
    """Whether a Qt binding is installed and finds its system libraries."""
    if importlib.util.find_spec("pytestqt") is None or importlib.util.find_spec("qtpy") is None:
        return False
    code = "import qtpy.QtWidgets, qtpy.QtTest, qtpy.QtGui"
    return subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def _display_named() -> bool:
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _start_xvfb() -> subprocess.Popen | None:
    """Start a virtual display and point DISPLAY at it; None where it is not needed or not installed."""
    program = shutil.which("Xvfb")
    if not sys.platform.startswith("linux") or _display_named() or program is None:
        return None
    read_end, write_end = os.pipe()
    command = [program, "-displayfd", str(write_end), "-screen", "0", "1600x1000x24", "-nolisten", "tcp"]
    server = subprocess.Popen(
        command, pass_fds=[write_end], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(write_end)
    with os.fdopen(read_end) as answer:
        number = answer.readline().strip()  # empty if the server ends at once
    if number:
        os.environ["DISPLAY"] = f":{number}"
        os.environ.setdefault("QT_QPA_PLATFORM", "xcb")
    return server


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the virtual display that was started here."""
    server = config.stash.get(_SERVER, None)
    if server is not None:
        server.terminate()
        server.wait(timeout=10)


@cache
def _why_no_display() -> str | None:
    if not _can_import_qt():
        return "no Qt binding can be loaded (on Linux, .ci/run lists the system packages)"
    if os.environ.get("QT_QPA_PLATFORM") in {"offscreen", "minimal"}:
        return "QT_QPA_PLATFORM asks for no display, and the viewer needs one"
    if sys.platform.startswith("linux") and not _display_named():
        return "there is no display and no Xvfb to make one"
    probe = subprocess.run([sys.executable, "-c", _QT_PROBE], capture_output=True, text=True, timeout=120)
    if probe.returncode == 0:
        return None
    words = probe.stderr.strip().splitlines() or [f"exit status {probe.returncode}"]
    return f"Qt opens no window here: {words[-1]}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests of windows where no window can be opened."""
    if item.get_closest_marker("display") is not None and (reason := _why_no_display()):
        pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Collect what is left of a window in the thread that made it.

    The collector runs in whatever thread happens to make the next object. Widgets of a closed viewer that
    wait in circles for it would be destroyed there, which Qt answers with a crash, often in a later test.
    """
    if item.get_closest_marker("display") is None:
        return (yield)
    if not gc.get_freeze_count():  # what was imported stays, and need not be looked at after every test
        gc.collect()
        gc.freeze()
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.enable()


def pytest_report_header() -> str:
    """Say which tests on real images the run will leave out."""
    return f"images: {_data_folder() or 'none, tests on real images skip'}"


def pytest_report_collectionfinish(config: pytest.Config) -> str | None:
    """Say whether windows can be opened, where tests of windows were collected."""
    return f"display: {_why_no_display() or 'yes'}" if _SERVER in config.stash else None


def _data_folder() -> Path | None:
    given = os.environ.get("RDPDENOISE_DATA")
    folder = Path(given) if given else Path(__file__).parents[2] / "shared"
    return folder if (folder / "data").is_dir() else None


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder with `data/` (real images) and `weights/` (published metric backbones)."""
    folder = _data_folder()
    if folder is None:
        pytest.skip("no folder of real images: set RDPDENOISE_DATA to the folder that holds data/")
    return folder


@pytest.fixture(autouse=True)
def _one_torch_thread(_one_torch_thread_from_the_start: None) -> None:
    """Keep torch, where a test has loaded it, to one thread.

    The networks here are tiny: more threads gain nothing, and on a busy machine each of thousands of small
    convolutions waits for a thread that is not scheduled (measured: a hundred times the time).
    """
    _take_one_thread()


@pytest.fixture(scope="module", autouse=True)
def _one_torch_thread_from_the_start() -> None:
    """One torch thread for a module's own fixtures too, which come before those of its tests.

    Asking for a number of threads, even the one that there is, changes how MKL adds up: a run trained before
    and one trained after would differ by a rounding.
    """
    _take_one_thread()


def _take_one_thread() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() > 1:
        torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never read or fill the user's own latent cache."""
    monkeypatch.setenv("RDPDENOISE_CACHE", str(tmp_path_factory.getbasetemp() / "latent-cache"))


@pytest.fixture(autouse=True)
def _own_models(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never list or fill the user's own folder of models; every test has an empty one."""
    folder = tmp_path_factory.getbasetemp() / "own-models" / str(next(_TESTS))
    monkeypatch.setenv("RDPDENOISE_MODELS", str(folder))


_TESTS = count()


@pytest.fixture
def in_place_of_shipped(monkeypatch: pytest.MonkeyPatch) -> Callable[[Codec], None]:
    """Puts a codec in the place of every model that is asked for by name, until the test ends."""
    # first of all: what imports the function while another is in its place keeps that one for ever
    from napari_rdpdenoise import lazy
    from napari_rdpdenoise.codec import device

    def put(codec: Codec) -> None:
        for module in (device, lazy):
            monkeypatch.setattr(module, "shared_codec", lambda model, device: codec)

    return put


def make_tiny_model(folder: Path, *, realism: bool = False, flow: bool = False, **sizes: int) -> Path:
    """Write a small model with random weights to a new folder: not good, but fast and always the same."""
    import hashlib

    import torch
    import yaml
    from safetensors.torch import save

    from napari_rdpdenoise.codec.card import ModelCard
    from napari_rdpdenoise.codec.models import network_tensors
    from napari_rdpdenoise.nn.config import NetworkConfig
    from napari_rdpdenoise.nn.network import RdpNetwork

    torch.set_num_threads(1)
    small = {"quarter_channels": 32, "eighth_channels": 32, "latent_channels": 16, "hyper_channels": 16}
    config = NetworkConfig(**small, **sizes, encoder_blocks=(1, 1), decoder_blocks=(1, 1), realism=realism)
    config = config.model_copy(update={"grain_channels": 2 if realism else 0, "flow": flow})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        network = RdpNetwork(config)
        for name, parameter in network.named_parameters():
            if ".grain." in name or name.startswith(("flow.leave.", "flow.spread.1.w")):  # 0 before training
                torch.nn.init.normal_(parameter, std=0.02)
        weights = save(network_tensors(network))
    card = ModelCard(
        name=folder.name,
        description="random weights, for tests",
        licence="BSD-3-Clause",
        format_version=config.format,
        sha256=hashlib.sha256(weights).hexdigest(),
        network=config,
        intervals={"coverage": 0.9, "expected": (0.05, 0.5), "factor": (2.0, 1.6)} if flow else None,
    )
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "card.yaml").write_text(yaml.safe_dump(card.model_dump(mode="json")), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small model with random weights, without a realism decoder."""
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tiny_realism_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small model with random weights and both decoders."""
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny-realism", realism=True)


@pytest.fixture(scope="session")
def tiny_flow_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small model of the third format with random weights: details and all decoders."""
    folder = tmp_path_factory.mktemp("models") / "tiny-flow"
    return make_tiny_model(folder, realism=True, flow=True, detail_channels=8)


@pytest.fixture(scope="session")
def tiny_series_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small model of the second format with random weights: three planes, details, a decoder."""
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny-series", planes=3, detail_channels=8)


@pytest.fixture
def tiny_series_codec(tiny_series_model: Path) -> Codec:
    """A freshly loaded `tiny_series_model` on the CPU."""
    from napari_rdpdenoise.codec import load_model

    return load_model(tiny_series_model, "cpu")


@pytest.fixture
def tiny_codec(tiny_model: Path) -> Codec:
    """A freshly loaded `tiny_model` on the CPU."""
    from napari_rdpdenoise.codec import load_model

    return load_model(tiny_model, "cpu")


@pytest.fixture
def tiny_realism_codec(tiny_realism_model: Path) -> Codec:
    """A freshly loaded `tiny_realism_model` on the CPU."""
    from napari_rdpdenoise.codec import load_model

    return load_model(tiny_realism_model, "cpu")
