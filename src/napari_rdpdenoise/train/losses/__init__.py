"""Losses of the training, and the scale on which pictures are compared."""
