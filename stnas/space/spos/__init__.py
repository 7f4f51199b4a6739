"""The chain of choice blocks of Single Path One-Shot (Guo et al. 2020)."""

from stnas.space.spos.chain import block, build
from stnas.space.spos.parts import ChoiceBlock, Pass, Shuffle, Xception
from stnas.space.spos.scales import KINDS
from stnas.space.spos.spec import PROFILES, Spec

__all__ = ["KINDS", "PROFILES", "ChoiceBlock", "Pass", "Shuffle", "Spec", "Xception", "block",
           "build"]  # fmt: skip
