"""Lazy image input, and output that is complete or absent."""
