"""The command line: thin commands over the engine that the dock and Python share.

Importing it, and any ``--help``, loads neither torch nor zarr: commands import what they need when they run.
"""

from napari_rdpdenoise.cli.app import app, main

__all__ = ["app", "main"]
