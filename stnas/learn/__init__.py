"""Loops over batches, and scores: what the stages learn with."""
