"""Search spaces as values; it imports no torch."""

from stnas.space.builder import SpaceBuilder
from stnas.space.cost import AdditiveCost, Cost
from stnas.space.distribution import CostDistribution
from stnas.space.genotype import Genotype, Genotypes
from stnas.space.graph import Arc, Gene, Head, Node
from stnas.space.part import Layer, Part
from stnas.space.sampling import Sampler, make_sampler
from stnas.space.value import SearchSpace

__all__ = [
    "AdditiveCost",
    "Arc",
    "Cost",
    "CostDistribution",
    "Gene",
    "Genotype",
    "Genotypes",
    "Head",
    "Layer",
    "Node",
    "Part",
    "Sampler",
    "SearchSpace",
    "SpaceBuilder",
    "make_sampler",
]
