"""The chain space of NAS-Bench-Macro (Su et al. 2021, "Prioritized architecture sampling")."""

from stnas.space.macro.chain import PROFILES, Spec, build
from stnas.space.macro.parts import InvertedResidual, Projection

__all__ = ["PROFILES", "InvertedResidual", "Projection", "Spec", "build"]
