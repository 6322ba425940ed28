"""Measurements of speed, memory and quality, beside peers; see ``run.py``."""
