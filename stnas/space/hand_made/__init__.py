"""Networks that people drew, as spaces of one network each, scaled to a number of MAdds."""

from stnas.space.hand_made.chain import CLOSE, KINDS, PROFILES, Spec, build, scaled
from stnas.space.hand_made.parts import Separable, ShuffleUnit

__all__ = ["CLOSE", "KINDS", "PROFILES", "Separable", "ShuffleUnit", "Spec", "build", "scaled"]
