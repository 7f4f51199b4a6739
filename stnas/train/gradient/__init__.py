"""Search by gradients: shared weights and architecture parameters are trained in turn."""

from stnas.train.gradient.bilevel import Bilevel
from stnas.train.gradient.making import check_mixed, make

__all__ = ["Bilevel", "check_mixed", "make"]
