"""Streams that were coded once: every machine reads the same symbols, and writes the same bytes.

Those of layout 3, ``by_kind``, are only read.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "support" / "streams"
KINDS = ("y", "z", "d")
CODE = """
import sys, numpy as np
from napari_rdpdenoise.codec import load_model
codec = load_model(sys.argv[1], "cpu")
for name, version in (("streams", 4), ("by_kind", 3)):
    kept = np.load(f"{sys.argv[1]}/{name}.npz")
    for number in range(6):
        data = kept[f"{number}.bytes"].tobytes()
        assert data[4] == version
        latents = codec.decompress(data)
        for kind, part in zip("yzd", latents.symbols, strict=True):
            np.testing.assert_array_equal(part, kept[f"{number}.{kind}"])
        np.testing.assert_array_equal(latents.means, kept[f"{number}.means"])
        if name == "streams":
            assert codec.compress(latents) == data
print("read")
"""
# Instructions and threads of the processors that a machine can pretend to have.
MACHINES = {
    "as it is": {},
    "without vectors": {"ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "two threads": {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"},
}


@pytest.mark.parametrize("machine", MACHINES)
def test_streams_are_read_alike_everywhere(machine):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE, str(FOLDER)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **MACHINES[machine]},
    )
    assert done.stdout.strip().endswith("read"), done.stderr


@pytest.mark.parametrize("name", ["streams", "by_kind"])
def test_the_streams_use_most_rows_of_the_tables(name):
    import torch

    from napari_rdpdenoise.codec import load_model

    coder = load_model(FOLDER, "cpu")._network.hyperprior._prepared()
    with np.load(FOLDER / f"{name}.npz") as kept:
        z = [torch.from_numpy(kept[f"{number}.z"].astype(np.int64))[None] for number in range(6)]
    if name == "streams":
        rows = {int(row) for part in z for row in np.unique(coder._live(part).rows)}
    else:
        rows = {int(row) for part in z for found in coder._old_rows(part) for row in found.unique()}
    assert len(rows) > 45
