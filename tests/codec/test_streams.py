"""Streams that were coded once: every machine reads the same symbols, and writes the same bytes.

Those of layout 3, ``by_kind``, are only read. What was encoded elsewhere, or in bfloat16, is decoded in
float32 to the same symbols and nearly the same image. ``README.md`` beside the streams says who wrote them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_rdpdenoise.codec import load_model

FOLDER = Path(__file__).parents[1] / "support" / "streams"
TRAINED = FOLDER.parent / "fluo-light-1"
ENCODED = sorted(path.stem for path in FOLDER.glob("*.npz") if path.stem not in ("streams", "by_kind"))
COUNT = 6
# Instructions of the processors that a machine can pretend to have.
MACHINES = {
    "without vectors": {"ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
}


def kept(name):
    with np.load(FOLDER / f"{name}.npz") as file:
        return dict(file)


def read_all():
    """Read all streams, and write again those of the layout that is written."""
    codec = load_model(FOLDER, "cpu")
    for name, version in (("streams", 4), ("by_kind", 3)):
        file = kept(name)
        for number in range(COUNT):
            data = file[f"{number}.bytes"].tobytes()
            assert data[4] == version
            latents = codec.decompress(data)
            for kind, part in zip("yzd", latents.symbols, strict=True):
                np.testing.assert_array_equal(part, file[f"{number}.{kind}"])
            np.testing.assert_array_equal(latents.means, file[f"{number}.means"])
            if name == "streams":
                assert codec.compress(latents) == data
    for name in ENCODED:
        read_images(name)


def read_images(name):
    """Read what was encoded, in float32 whatever it was encoded in; the images differ by rounding alone."""
    codec, file = load_model(TRAINED, "cpu").at("float32"), kept(name)
    keys = [key.removesuffix(".bytes") for key in file if key.endswith(".bytes")]
    assert {key.partition(".")[0] for key in keys} == {"float32", "bfloat16"}
    for key in keys:
        data = file[f"{key}.bytes"].tobytes()
        latents = codec.decompress(data)
        for kind, part in zip(codec._network.hyperprior.kinds, latents.symbols, strict=True):
            np.testing.assert_array_equal(part, file[f"{key}.{kind}"])
        assert codec.compress(latents) == data
        decode, noise = codec.decode([latents])[0].first, latents.normalization.noise
        off = np.abs(decode - file[f"{key}.decode"]) / np.sqrt(noise.variance(decode))
        assert off.max() < 1e-3


@pytest.mark.parametrize("threads", [1, 2])
def test_streams_are_read_alike_here(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        read_all()
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("machine", MACHINES)
def test_streams_are_read_alike_by_other_machines(machine):
    if machine == torch.backends.cpu.get_cpu_capability():
        pytest.skip(f"this machine is of the kind {machine}: the test before has read them here")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **MACHINES[machine]},
    )
    assert done.stdout.strip().endswith("read"), done.stderr


def test_a_stream_in_bfloat16_is_another():
    """Else it would say nothing."""
    for name in ENCODED:
        file = kept(name)
        assert file["float32.1.bytes"].tobytes() != file["bfloat16.1.bytes"].tobytes()


@pytest.mark.parametrize("name", ["streams", "by_kind"])
def test_the_streams_use_most_rows_of_the_tables(name):
    coder = load_model(FOLDER, "cpu")._network.hyperprior._prepared()
    file = kept(name)
    z = [torch.from_numpy(file[f"{number}.z"].astype(np.int64))[None] for number in range(COUNT)]
    if name == "streams":
        rows = {int(row) for part in z for row in np.unique(coder._live(part).rows)}
    else:
        rows = {int(row) for part in z for found in coder._old_rows(part) for row in found.unique()}
    assert len(rows) > 45


if __name__ == "__main__":
    read_all()
    print("read")
