"""Numbers of few bits with straight-through gradients: DoReFa's weights, PACT's activations."""

from stnas.ops.quantisation.quantise import MOST_BITS, dorefa, pact

__all__ = ["MOST_BITS", "dorefa", "pact"]
