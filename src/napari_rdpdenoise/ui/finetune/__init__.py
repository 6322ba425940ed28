"""Fine-tuning for the dock: events, crops, curves and words."""
