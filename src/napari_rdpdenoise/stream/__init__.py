"""The one tile loop that command line, dock, Python and dask share.

The names below are loaded on first use: a plan of integers needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_rdpdenoise.stream.output import output_spec
    from napari_rdpdenoise.stream.pipeline import denoise_stream
    from napari_rdpdenoise.stream.plan import Plan, Work
    from napari_rdpdenoise.stream.prepare import make_plan
    from napari_rdpdenoise.stream.report import ChannelReport, Progress, RunReport
    from napari_rdpdenoise.stream.sample import sample_windows

__all__ = [
    "ChannelReport",
    "Plan",
    "Progress",
    "RunReport",
    "Work",
    "denoise_stream",
    "make_plan",
    "output_spec",
    "sample_windows",
]

_HOME = {
    "ChannelReport": "report",
    "Plan": "plan",
    "Progress": "report",
    "RunReport": "report",
    "Work": "plan",
    "denoise_stream": "pipeline",
    "make_plan": "prepare",
    "output_spec": "output",
    "sample_windows": "sample",
}


def __getattr__(name: str) -> object:
    """Load a name from its module on first use."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
