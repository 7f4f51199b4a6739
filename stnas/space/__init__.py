"""The topology augmented search space; it imports no torch."""

from stnas.space.distribution import MaddsDistribution
from stnas.space.genotype import Genotype, Genotypes
from stnas.space.graph import Edge, Node, Operation
from stnas.space.sampling import Sampler, make_sampler
from stnas.space.space import SearchSpace
from stnas.space.spec import SpaceSpec

__all__ = [
    "Edge",
    "Genotype",
    "Genotypes",
    "MaddsDistribution",
    "Node",
    "Operation",
    "Sampler",
    "SearchSpace",
    "SpaceSpec",
    "make_sampler",
]
