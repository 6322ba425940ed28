"""Runs over a whole layer, and the text that does the same without the dock. No Qt here."""
