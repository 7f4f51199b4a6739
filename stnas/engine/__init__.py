"""Loops, checkpoints and the run folder that the stages share."""
