"""Fine-tuning a model to the user's own images: from the first check to a model folder and its verdict."""
