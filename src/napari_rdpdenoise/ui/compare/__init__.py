"""Comparing noisy image, result and reference: layers, checks and numbers. No Qt here."""
