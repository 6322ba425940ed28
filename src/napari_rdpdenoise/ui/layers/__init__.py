"""Layers of the viewer in the terms of image files. No Qt, no napari."""
