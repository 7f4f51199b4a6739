"""Operators: the fused ones of the extension and their plain-PyTorch twins."""
