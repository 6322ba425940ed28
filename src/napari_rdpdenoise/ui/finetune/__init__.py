"""Fine-tuning for the dock: events, crops, curves and words. No Qt here."""
