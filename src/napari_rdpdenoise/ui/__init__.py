"""The napari dock: `ui.qt` knows Qt, napari and magicgui, everything else does not."""
