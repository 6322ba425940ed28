"""The boxes of the dock, one a file."""
