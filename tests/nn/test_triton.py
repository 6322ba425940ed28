"""Where a graphics driver has loaded LLVM, triton is not loaded beside it: that crashed napari."""

from __future__ import annotations

import subprocess
import sys

import pytest

from napari_rdpdenoise.nn._triton import keep_triton_out

LLVM = "7f0000000000-7f0000001000 r--p 00000000 08:01 1 /usr/lib/x86_64-linux-gnu/libLLVM-15.so.1\n"
OTHER = "7f0000000000-7f0000001000 r--p 00000000 08:01 1 /usr/lib/x86_64-linux-gnu/libc.so.6\n"


@pytest.fixture
def maps(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "triton", raising=False)

    def write(text):
        (tmp_path / "maps").write_text(text)
        return tmp_path / "maps"

    yield write
    sys.modules.pop("triton", None)  # before monkeypatch puts back what was loaded


def test_triton_is_absent_beside_llvm(maps):
    assert keep_triton_out(maps(LLVM))
    with pytest.raises(ImportError):
        __import__("triton")


def test_triton_is_left_alone_elsewhere(maps, tmp_path, monkeypatch):
    assert not keep_triton_out(maps(OTHER))
    assert not keep_triton_out(tmp_path / "no such file")
    assert "triton" not in sys.modules
    monkeypatch.setitem(sys.modules, "triton", sys)
    assert not keep_triton_out(maps(LLVM))


def test_codec_and_optimizer_do_without_triton(tmp_path):
    (tmp_path / "maps").write_text(LLVM)
    code = (
        "import sys; from pathlib import Path; from napari_rdpdenoise.nn._triton import keep_triton_out\n"
        "assert keep_triton_out(Path(sys.argv[1]))\n"
        "import napari_rdpdenoise.codec, torch\n"
        "torch.optim.Adam([torch.zeros(1, requires_grad=True)])\n"
        "assert sys.modules['triton'] is None"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "maps")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
