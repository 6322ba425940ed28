"""Triton beside a graphics driver that uses LLVM: both bring an LLVM, and loading the second one crashes.

An optimizer of torch imports torch's compiler, and that triton. In a process whose window is drawn by
Mesa through LLVM (no GPU, virtual displays, AMD) that import ended napari with a segmentation fault (seen
with triton of torch 2.15 beside LLVM 15). Nothing here compiles, and torch does without triton where there
is none.
"""

from __future__ import annotations

import sys
from pathlib import Path

_MAPS = Path("/proc/self/maps")


def keep_triton_out(maps: Path = _MAPS) -> bool:
    """Let ``import triton`` fail in this process, as if it were absent, where loading it may crash.

    Args:
        maps: Files that the process has loaded, as Linux lists them; elsewhere there is no triton.

    Returns:
        Whether triton is kept out; not where it is loaded already.
    """
    if "triton" not in sys.modules and _has_llvm(maps):
        sys.modules["triton"] = None  # type: ignore[assignment]  # the import system's own mark for "absent"
    return "triton" in sys.modules and sys.modules["triton"] is None


def _has_llvm(maps: Path) -> bool:
    try:
        return "/libLLVM" in maps.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
