"""Files of a run: whole or absent, sealed, and marked with what they were made from."""
