import subprocess
import sys

import pytest

_FAULTS = """
import resource, sys
import numpy as np
from napari_rdpdenoise.cli.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
np.ones(2**23)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(2**23)  # 64 MiB each
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="settings of the C library of Linux")
def test_a_block_that_was_freed_is_used_again():
    faults = {}
    for how in ("keep", "leave"):
        command = [sys.executable, "-c", _FAULTS, how]
        faults[how] = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert faults["keep"] < faults["leave"] / 10
