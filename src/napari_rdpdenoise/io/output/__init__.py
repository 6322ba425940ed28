"""Results: from blocks of values to a file that is complete or absent, in one process or in parts."""
