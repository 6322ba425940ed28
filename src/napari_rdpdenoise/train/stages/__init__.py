"""Stages of a training run, one loop each."""
