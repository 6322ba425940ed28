"""Small pieces that the boxes of the dock are made of."""
