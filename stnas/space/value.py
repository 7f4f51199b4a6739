"""The search space: one value that knows its graph, its costs and its genotypes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from importlib import import_module
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnas.config.space import SpaceConfig
from stnas.space import draws, genotype
from stnas.space.canonical import canonical_key, coefficient_dtype, is_distinct
from stnas.space.cells.mixture import Mixture
from stnas.space.cost import AdditiveCost, Cost, additive
from stnas.space.decoding import Decoder, decoder
from stnas.space.description import describe, madds_by_layer
from stnas.space.distribution import MAX_POINTS, CostDistribution
from stnas.space.draws import DROPPING, Prior
from stnas.space.genotype import Genotype, Genotypes
from stnas.space.graph import Arc, Gene, Head, Node
from stnas.space.part import Layer, Part


@dataclass(frozen=True, eq=False, repr=False)
class SearchSpace:
    """Genes, and the graph of nodes and arcs that their choices cut a network out of.

    arcs: in the order of their targets, which is the order of the sums; an arc's source comes
    before its target. parts: by the keys of the arcs, ``a.b`` naming nested modules. recipe: the
    JSON object that the space is built from again. prefix: letters that its texts begin with.
    fingerprint: 8 hexadecimal digits that mark its texts. prior: what draws its architectures.
    reader: reads other texts of genotypes as choices, and returns None for those that it does not
    know. identity: gives a genotype's canonical key in place of the general form. useful: tells
    which genotypes ``[n, genes]`` depend on the image. mixture: what a search by gradients mixes.
    """

    genes: tuple[Gene, ...]
    nodes: tuple[Node, ...]
    arcs: tuple[Arc, ...]
    parts: Mapping[str, Part]
    head: Head
    recipe: Mapping[str, Any]
    fingerprint: str
    prefix: str = "st"
    prior: Prior = DROPPING
    more_costs: tuple[Cost, ...] = field(default=())
    reader: Callable[[str], list[int] | None] | None = None
    identity: Callable[[Genotype], str] | None = None
    useful: Callable[[Genotypes], NDArray[np.bool_]] | None = None
    mixture: Mixture | None = None

    def __post_init__(self) -> None:
        """Count, so that ValueError comes early where the largest network passes 2**62."""
        assert [arc.target for arc in self.arcs] == sorted(arc.target for arc in self.arcs)
        assert all(arc.source < arc.target for arc in self.arcs)
        _ = self.costs

    @classmethod
    def profile(cls, name: str, *, family: str | None = None, **changes: Any) -> "SearchSpace":
        """Build a named space; ``changes`` are fields of its description.

        family: ``topology``, ``nas_bench_macro`` or ``spos``; default: the first that has the name.
        """
        return _families().profile(name, changes, family=family)  # type: ignore[no-any-return]

    @classmethod
    def from_config(
        cls, config: SpaceConfig, *, image_size: int, in_channels: int, num_classes: int
    ) -> "SearchSpace":
        """Build the configured space for images ``[in_channels, image_size, image_size]``."""
        images = {
            "image_size": image_size,
            "in_channels": in_channels,
            "num_classes": num_classes,
        }
        return _families().configured(config, images)  # type: ignore[no-any-return]

    @classmethod
    def from_json(cls, recipe: Any) -> "SearchSpace":
        """Build the space whose ``recipe`` was kept; raise for that of another release."""
        return _families().from_json(recipe)  # type: ignore[no-any-return]

    def __eq__(self, other: object) -> bool:
        """Compare the recipes."""
        return isinstance(other, SearchSpace) and self.recipe == other.recipe

    def __repr__(self) -> str:
        """Return a call that builds the space again, where it has a recipe to be built from."""
        return f"SearchSpace.from_json({dict(self.recipe)!r})"

    def __hash__(self) -> int:
        """Hash the mark of the genes' meaning."""
        return hash((self.fingerprint, self.head))

    def __deepcopy__(self, _: object) -> "SearchSpace":
        """Return the space itself, which nobody changes."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the recipe of a family's space; of another one the fields, without what is cached.

        So a pickled network is little larger than its weights.
        """
        if "factory" not in self.recipe and "built" not in self.recipe:
            return SearchSpace.from_json, (dict(self.recipe),)
        return SearchSpace, tuple(getattr(self, own.name) for own in fields(self))

    @cached_property
    def num_genes(self) -> int:
        """Return the number of genes."""
        return len(self.genes)

    @cached_property
    def joins(self) -> frozenset[str]:
        """Return the ways in which arcs join in the nodes behind the first."""
        return frozenset(node.join for node in self.nodes[1:])

    @cached_property
    def choice_counts(self) -> NDArray[np.int16]:
        """Return how many choices each gene has ``[genes]``."""
        return genotype.choice_counts(self.genes)

    @property
    def num_topologies(self) -> int:
        """Return 2 to the power of the optional genes: what may be left out or not."""
        return 1 << sum(gene.optional for gene in self.genes)

    @property
    def num_architectures(self) -> int:
        """Return the number of genotypes."""
        return prod(len(gene.choices) for gene in self.genes)

    @cached_property
    def costs(self) -> Mapping[str, Cost]:
        """Return the costs by name: ``madds``, ``params``, and what the space was given besides."""
        return {cost.name: cost for cost in (self.madds_cost, self.params_cost, *self.more_costs)}

    @cached_property
    def madds_cost(self) -> AdditiveCost:
        """Return the multiply-adds of convolutions and linear layers."""
        fixed = sum(layer.madds for layer in self.ends.values())
        return additive(self, "madds", "MAdds", fixed=fixed, amount=lambda layer: layer.madds)

    @cached_property
    def params_cost(self) -> AdditiveCost:
        """Return the parameters of the stand-alone networks.

        Weights, SE and classifier biases, and the affine parameters of BN, which the supernet
        lacks and the stand-alone network has.
        """
        fixed = sum(layer.params for layer in self.ends.values())
        fixed += 2 * sum(node.width for node in self.nodes[1:] if node.join == "shadow")
        return additive(
            self, "params", "parameters", fixed=fixed, amount=lambda layer: layer.params
        )

    @cached_property
    def ends(self) -> Mapping[str, Layer]:
        """Return the layers that every network has, by name."""
        return self.head.layers(self.nodes[0], self.nodes[-1])

    def check(self, genotypes: ArrayLike) -> Genotypes:
        """Return ``genotypes`` as C-contiguous int8 ``[n, genes]``, or raise."""
        return genotype.check_genotypes(genotypes, self.genes, self.choice_counts)

    def check_row(self, genotype_row: ArrayLike) -> Genotype:
        """Return one genotype as int8 ``[genes]``, or raise."""
        row = np.asarray(genotype_row)
        if row.ndim != 1:
            raise ValueError(
                f"genotype must be one row [{self.num_genes}], got the shape {list(row.shape)}: "
                "pass genotypes[i]"
            )
        return self.check(row[None]).reshape(-1)

    def arcs_of(self, genotype_row: Genotype) -> tuple[Arc, ...]:
        """List the arcs of one checked genotype ``[genes]``, in order."""
        return self._decode(genotype_row.tolist())

    @cached_property
    def _decode(self) -> Decoder:
        return decoder(self.genes, self.arcs)

    def sample(self, n: int, *, p_drop: float, seed: int) -> Genotypes:
        """Draw ``n`` genotypes ``[n, genes]`` (Guo et al. 2020, equations 2 and 5).

        A function of (p_drop, seed): the first rows do not depend on ``n``.
        """
        return draws.sample(self.genes, n, p_drop=p_drop, seed=seed, prior=self.prior)

    def is_useful(self, genotypes: Genotypes) -> NDArray[np.bool_]:
        """Tell which genotypes ``[n, genes]`` depend on the image: all, in most spaces."""
        return np.ones(len(genotypes), np.bool_) if self.useful is None else self.useful(genotypes)

    def madds(self, genotypes: ArrayLike) -> NDArray[np.int64]:
        """Count the multiply-adds ``[n]`` of convolutions and linear layers."""
        return self.madds_cost(self.check(genotypes))

    def params(self, genotypes: ArrayLike) -> NDArray[np.int64]:
        """Count the parameters ``[n]`` of the stand-alone networks."""
        return self.params_cost(self.check(genotypes))

    def expected_madds(self, p_drop: float) -> float:
        """Return E[MAdds] of ``sample`` at ``p_drop``, in closed form."""
        return self.madds_cost.expected(p_drop)

    def variance_madds(self, p_drop: float) -> float:
        """Return Var[MAdds] of ``sample`` at ``p_drop``, in closed form."""
        return self.madds_cost.variance(p_drop)

    def solve_p_drop(self, madds: float) -> float:
        """Return the p_drop whose expected MAdds are ``madds``; raise outside the range."""
        return self.prior.solve(madds, self.expected_madds)

    def nearest_p_drop(self, madds: float) -> float:
        """Return the p_drop whose expected MAdds are nearest; the usual one if all are."""
        most, least = self.expected_madds(0.0), self.expected_madds(1.0)
        if most == least:
            return self.prior.usual(0.0)
        if not least < madds < most:
            return 1.0 if madds <= least else 0.0
        return self.solve_p_drop(madds)

    def madds_distribution(
        self, p_drop: float, *, max_points: int = MAX_POINTS
    ) -> CostDistribution:
        """Return the distribution of the MAdds of ``sample`` at ``p_drop``."""
        return self.madds_cost.distribution(p_drop, max_points=max_points)

    @cached_property
    def _coefficients(self) -> Any:
        return coefficient_dtype(self)

    @cached_property
    def is_distinct(self) -> bool:
        """Tell whether different genotypes are different networks, for a simple reason."""
        return is_distinct(self)

    def canonical(self, genotypes: ArrayLike) -> NDArray[np.str_]:
        """Return keys ``[n]``: equal if and only if the stand-alone networks are the same."""
        rows = self.check(genotypes)
        if self.identity is not None:
            return np.array([self.identity(row) for row in rows], np.str_)
        return np.array([canonical_key(self, row, self._coefficients) for row in rows], np.str_)

    def format(self, genotype_row: ArrayLike) -> str:
        """Write one genotype ``[genes]`` as ``st1-<fingerprint>-<genes>-<checksum>``."""
        row = self.check(np.asarray(genotype_row)[None])[0]
        return genotype.format_genotype(row, self.fingerprint, prefix=self.prefix)

    def parse(self, text: str) -> Genotype:
        """Read what ``format`` wrote, ``(2, 1, 0, ...)`` or a published text as int8 ``[genes]``.

        Raises ValueError for text of another space.
        """
        if self.reader is not None and isinstance(text, str):
            genes = self.reader(text)
            if genes is not None:
                return self.check_row(genes)
        return genotype.parse_genotype(text, self.genes, self.fingerprint, prefix=self.prefix)

    def parse_digits(self, digits: str) -> Genotype:
        """Read one base-36 digit a gene, as public tables of accuracies have them."""
        return genotype.parse_digits(digits, self.genes)

    def describe(self, genotype_row: ArrayLike) -> list[str]:
        """Return one line per arc that is present: ``v1 -> v2 stem k3e6``."""
        return describe(self, self.check_row(genotype_row))

    def madds_by_layer(self, genotype_row: ArrayLike) -> dict[str, int]:
        """Count the layers of one genotype ``[genes]``, by names such as ``v1->v2 k3e6 expand``."""
        return madds_by_layer(self, self.check_row(genotype_row))


def _families() -> Any:
    """Import what builds spaces, which imports the class they are values of."""
    return import_module("stnas.space.families")
