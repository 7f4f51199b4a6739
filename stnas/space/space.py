"""The search space: one object that knows its graph, its costs and its genotypes."""

from dataclasses import replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnas._core import count_madds
from stnas.config.space import SpaceConfig
from stnas.space import cost, draws, genotype
from stnas.space.canonical import canonical_key, coefficient_dtype
from stnas.space.distribution import MAX_POINTS, MaddsDistribution, convolve_edges
from stnas.space.graph import Edge, Node, Operation, build_edges, build_nodes
from stnas.space.profiles import profile_spec
from stnas.space.spec import SpaceSpec


class SearchSpace:
    """The topology augmented search space of one description (Guo et al. 2020, section 3.1).

    nodes, edges: the hyper-network's graph. madds_table, params_table: int64
    ``[genes, max_choices]``, zero where an edge has no such choice. fixed_madds, fixed_params: the
    stem convolution, the tail and the classifier. choice_counts: choices of each gene.
    num_topologies: ``2 ** branch edges``.
    """

    def __init__(self, spec: SpaceSpec) -> None:
        """Build graph and tables; raise ValueError where the largest network passes 2**62."""
        self.spec = spec
        self.nodes: tuple[Node, ...] = build_nodes(spec)
        self.edges: tuple[Edge, ...] = build_edges(spec, self.nodes)
        self.num_genes = len(self.edges)
        self.choice_counts = genotype.choice_counts(self.edges)
        self.num_topologies = 2 ** sum(edge.kind == "branch" for edge in self.edges)
        self.num_architectures = prod(len(edge.choices) for edge in self.edges)
        self.fixed_madds = cost.fixed_madds(spec, self.nodes)
        self.fixed_params = cost.fixed_params(spec, self.nodes)
        self.madds_table = self._table(cost.choice_madds, self.fixed_madds)
        self.params_table = self._table(cost.choice_params, self.fixed_params)

    @classmethod
    def profile(cls, name: str, **changes: Any) -> "SearchSpace":
        """Build a named space; ``changes`` are fields of SpaceSpec."""
        return cls(profile_spec(name, changes))

    @classmethod
    def from_config(
        cls, config: SpaceConfig, *, image_size: int, in_channels: int, num_classes: int
    ) -> "SearchSpace":
        """Build the configured space for images ``[in_channels, image_size, image_size]``."""
        spec = profile_spec(config.profile, config.overrides())
        return cls(
            replace(spec, image_size=image_size, in_channels=in_channels, num_classes=num_classes)
        )

    def __eq__(self, other: object) -> bool:
        """Compare the descriptions."""
        return isinstance(other, SearchSpace) and self.spec == other.spec

    def __hash__(self) -> int:
        """Hash the description."""
        return hash(self.spec)

    def __repr__(self) -> str:
        """Return the constructor call."""
        return f"SearchSpace({self.spec!r})"

    @cached_property
    def fingerprint(self) -> str:
        """Return the 8 digits that mark the texts of this space's genotypes."""
        return self.spec.fingerprint

    @cached_property
    def _coefficients(self) -> Any:
        return coefficient_dtype(self.edges, self.spec)

    def hidden_channels(self, edge: Edge, operation: Operation) -> int:
        """Return M = expand * C_in, the channels of the depthwise convolution."""
        return cost.hidden_channels(edge, operation)

    def se_width(self, edge: Edge) -> int:
        """Return R = max(1, floor(se_ratio * C_in)), the channels between the SE layers."""
        return cost.se_width(edge, self.spec)

    def check(self, genotypes: ArrayLike) -> NDArray[np.int8]:
        """Return ``genotypes`` as C-contiguous int8 ``[n, genes]``, or raise."""
        return genotype.check_genotypes(genotypes, self.edges, self.choice_counts)

    def sample(self, n: int, *, p_drop: float, seed: int) -> NDArray[np.int8]:
        """Draw ``n`` genotypes ``[n, genes]`` (Guo et al. 2020, equations 2 and 5).

        A function of (p_drop, seed): the first rows do not depend on ``n``.
        """
        return draws.sample(self.edges, n, p_drop=p_drop, seed=seed)

    def madds(self, genotypes: ArrayLike) -> NDArray[np.int64]:
        """Count the multiply-adds ``[n]`` of convolutions and linear layers."""
        return count_madds(self.check(genotypes), self.madds_table) + self.fixed_madds

    def params(self, genotypes: ArrayLike) -> NDArray[np.int64]:
        """Count the parameters ``[n]`` of the stand-alone networks.

        Weights, SE and classifier biases, and the affine parameters of BN, which the supernet
        lacks and the stand-alone network has.
        """
        return count_madds(self.check(genotypes), self.params_table) + self.fixed_params

    def expected_madds(self, p_drop: float) -> float:
        """Return E[MAdds] of ``sample`` at ``p_drop``, in closed form."""
        means, _ = cost.edge_moments(self.edges, self.madds_table, cost.check_p_drop(p_drop))
        return float(means.sum()) + self.fixed_madds

    def variance_madds(self, p_drop: float) -> float:
        """Return Var[MAdds] of ``sample`` at ``p_drop``, in closed form."""
        _, parts = cost.edge_moments(self.edges, self.madds_table, cost.check_p_drop(p_drop))
        return float(parts.sum())

    def solve_p_drop(self, madds: float) -> float:
        """Return the p_drop whose expected MAdds are ``madds``; raise outside the range."""
        ends = {"at_zero": self.expected_madds(0.0), "at_one": self.expected_madds(1.0)}
        return cost.solve_p_drop(madds, **ends)

    def nearest_p_drop(self, madds: float) -> float:
        """Return the p_drop whose expected MAdds are nearest to ``madds``; 0 in a chain space."""
        most, least = self.expected_madds(0.0), self.expected_madds(1.0)
        return 0.0 if most == least else self.solve_p_drop(min(max(madds, least), most))

    def madds_distribution(
        self, p_drop: float, *, max_points: int = MAX_POINTS
    ) -> MaddsDistribution:
        """Return the distribution of the MAdds of ``sample`` at ``p_drop``.

        Exact on the grid of the greatest common divisor of all costs; where that grid has more
        than ``max_points`` points, the costs are rounded to a wider one, which keeps the mean.
        """
        return convolve_edges(
            self.edges,
            self.madds_table,
            fixed=self.fixed_madds,
            p_drop=cost.check_p_drop(p_drop),
            max_points=max_points,
        )

    def canonical(self, genotypes: ArrayLike) -> NDArray[np.str_]:
        """Return keys ``[n]``: equal if and only if the stand-alone networks are the same."""
        coefficients, rows = self._coefficients, self.check(genotypes)
        keys = [canonical_key(row, self.edges, self.spec, coefficients) for row in rows]
        return np.array(keys, np.str_)

    def format(self, genotype_row: ArrayLike) -> str:
        """Write one genotype ``[genes]`` as ``st1-<fingerprint>-<genes>-<checksum>``."""
        row = self.check(np.asarray(genotype_row)[None])[0]
        return genotype.format_genotype(row, self.fingerprint)

    def parse(self, text: str) -> NDArray[np.int8]:
        """Read what ``format`` wrote as int8 ``[genes]``; raise for text of another space."""
        return genotype.parse_genotype(text, self.edges, self.fingerprint)

    def describe(self, genotype_row: ArrayLike) -> list[str]:
        """Return one line per edge that is present: ``v1 -> v2 stem k3e6``."""
        row = self.check(np.asarray(genotype_row)[None])[0]
        return genotype.describe_genotype(row, self.nodes, self.edges)

    def madds_by_layer(self, genotype_row: ArrayLike) -> dict[str, int]:
        """Count the layers of one genotype ``[genes]``, by names such as ``v1->v2 k3e6 expand``."""
        row = self.check(np.asarray(genotype_row)[None])[0]
        layers = {}
        for edge, gene in zip(self.edges, row.tolist(), strict=True):
            operation = edge.choices[gene]
            for layer, madds in cost.layer_madds(edge, operation, self.spec).items():
                layers[f"{edge.name} {operation.name} {layer}"] = madds
        fixed = cost.fixed_layers(self.spec, self.nodes)
        return {"stem": fixed.pop("stem"), **layers, **fixed}

    def _table(self, choice_cost: cost.ChoiceCost, fixed: int) -> NDArray[np.int64]:
        costs = [[choice_cost(e, op, self.spec) for op in e.choices] for e in self.edges]
        return cost.build_table(self.edges, costs, fixed=fixed)
