"""MS-SSIM of crops: what its libraries load, and what they leave alone."""

from __future__ import annotations

import subprocess
import sys

_LOADS = """
import sys
import numpy as np
import torch

loaded = "triton" in sys.modules
from napari_rdpdenoise.train.data.similarity import ms_ssim

image = np.random.default_rng(0).normal(100, 10, (64, 64))
assert ms_ssim(image, image, (50.0, 150.0)) > 0.999
assert "torchvision" in sys.modules, "the library that would load the compiler"
print(loaded or "triton" not in sys.modules)
"""


def test_the_compiler_is_not_loaded_beside_a_graphics_driver():
    """Its LLVM ended processes with windows; a process of its own, because ours has none to begin with."""
    found = subprocess.run([sys.executable, "-W", "ignore", "-c", _LOADS], capture_output=True, text=True)
    assert found.stdout.strip() == "True", found.stderr
