"""The choice block, an SE linear bottleneck: one, one bound for inference, many as a path."""
