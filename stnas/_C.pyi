"""Loading this library registers the operators ``torch.ops.stnas``."""
