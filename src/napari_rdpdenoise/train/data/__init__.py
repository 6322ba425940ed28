"""Training data: folders of images to batches in network units."""
