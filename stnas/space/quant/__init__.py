"""ResNets whose blocks choose the bits of their weights and activations (Guo et al. 2020)."""

from stnas.space.quant.chain import build, uniform
from stnas.space.quant.parts import QuantBlock
from stnas.space.quant.spec import PROFILES, Spec

__all__ = ["PROFILES", "QuantBlock", "Spec", "build", "uniform"]
