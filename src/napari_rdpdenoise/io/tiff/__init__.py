"""TIFF and what is written as TIFF: OME-TIFF, ImageJ, Micro-Manager, MetaMorph, read lazily, page by page."""
