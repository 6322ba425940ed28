"""The one tile loop that command line, dock, Python and dask share."""

from napari_rdpdenoise.stream.pipeline import denoise_stream
from napari_rdpdenoise.stream.prepare import Plan, Work, make_plan, output_spec, sample_windows
from napari_rdpdenoise.stream.report import ChannelReport, Progress, RunReport

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
