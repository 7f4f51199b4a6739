"""The topology augmented search space; it imports no torch."""

from stnas.space.graph import Edge, Node, Operation
from stnas.space.space import SearchSpace
from stnas.space.spec import SpaceSpec

__all__ = ["Edge", "Node", "Operation", "SearchSpace", "SpaceSpec"]
