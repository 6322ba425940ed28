"""Training: settings, data, losses and the trainer (a generator)."""
