"""OME-Zarr and plain Zarr arrays: metadata, chunks that are decoded once, and what a chunk may claim."""
