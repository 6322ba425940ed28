"""The napari dock: `ui.qt` knows Qt and napari, everything else does not."""
