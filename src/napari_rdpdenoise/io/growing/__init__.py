"""Series that a microscope is still writing: what is complete is read, what is not is waited for."""
