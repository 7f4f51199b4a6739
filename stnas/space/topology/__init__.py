"""The topology augmented search space (Guo et al. 2020)."""

from stnas.space.topology.bottleneck import Bottleneck
from stnas.space.topology.graph import Edge, Operation, build, edges_of, spec_of
from stnas.space.topology.profiles import PROFILES
from stnas.space.topology.spec import SpaceSpec
from stnas.space.topology.spec import SpaceSpec as Spec

__all__ = [
    "PROFILES",
    "Bottleneck",
    "Edge",
    "Operation",
    "SpaceSpec",
    "Spec",
    "build",
    "edges_of",
    "spec_of",
]
