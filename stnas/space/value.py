"""The search space: one value that knows its graph, its costs and its genotypes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from itertools import groupby
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnas.config.space import SpaceConfig
from stnas.space import draws, genotype
from stnas.space.canonical import canonical_key, coefficient_dtype, is_distinct
from stnas.space.cost import AdditiveCost, Cost, additive
from stnas.space.distribution import MAX_POINTS, CostDistribution
from stnas.space.draws import DROPPING, Prior
from stnas.space.genotype import Genotype, Genotypes
from stnas.space.graph import Arc, Gene, Head, Node, owner
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
    which genotypes ``[n, genes]`` depend on the image.
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
        fixed = sum(layer.madds for layer in self._ends.values())
        return self._additive("madds", "MAdds", fixed, lambda layer: layer.madds)

    @cached_property
    def params_cost(self) -> AdditiveCost:
        """Return the parameters of the stand-alone networks.

        Weights, SE and classifier biases, and the affine parameters of BN, which the supernet
        lacks and the stand-alone network has.
        """
        fixed = sum(layer.params for layer in self._ends.values())
        fixed += 2 * sum(node.width for node in self.nodes[1:] if node.join == "shadow")
        return self._additive("params", "parameters", fixed, lambda layer: layer.params)

    def _additive(
        self, name: str, unit: str, fixed: int, amount: Callable[[Layer], int]
    ) -> AdditiveCost:
        return additive(
            name,
            unit,
            genes=self.genes,
            arcs=self.arcs,
            parts=self.parts,
            fixed=fixed,
            amount=amount,
            prior=self.prior,
        )

    @cached_property
    def _ends(self) -> Mapping[str, Layer]:
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
        genes = genotype_row.tolist()
        return tuple(
            arc for gene, ways in self._runs for arc in ways(genes if gene is None else genes[gene])
        )

    @cached_property
    def _runs(self) -> list[tuple[int | None, Any]]:
        """Index the arcs: for each run that one gene decides, its arcs by the gene's choice."""
        runs: list[tuple[int | None, Any]] = []
        for own, members in groupby(self.arcs, key=owner):
            arcs = tuple(members)
            if len(arcs[0].when) == 1:
                choices = range(len(self.genes[own[0]].choices))
                table = [tuple(a for a in arcs if a.when[0][1] == choice) for choice in choices]
                runs.append((own[0], table.__getitem__))
            else:
                runs.append((None, lambda genes, arcs=arcs: [a for a in arcs if holds(a, genes)]))
        return runs

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
        """Return the p_drop whose expected MAdds are nearest to ``madds``; 0 in a chain space."""
        most, least = self.expected_madds(0.0), self.expected_madds(1.0)
        if most == least:
            return 0.0
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
        row = self.check(np.asarray(genotype_row)[None])[0]
        return [
            f"{self.nodes[arc.source].name} -> {self.nodes[arc.target].name} {self.kind_of(arc)} "
            f"{self.label(arc)}"
            for arc in self.arcs_of(row)
        ]

    def kind_of(self, arc: Arc) -> str:
        """Return ``branch`` for an arc that may be left out, ``stem`` for all others."""
        return "branch" if any(self.genes[gene].optional for gene, _ in arc.when) else "stem"

    def label(self, arc: Arc) -> str:
        """Return the names of the choices that an arc stands for; without any, its part's key."""
        names = [self.genes[gene].choices[choice] for gene, choice in arc.when]
        return " ".join(names) or arc.part or "identity"

    def madds_by_layer(self, genotype_row: ArrayLike) -> dict[str, int]:
        """Count the layers of one genotype ``[genes]``, by names such as ``v1->v2 k3e6 expand``."""
        row = self.check(np.asarray(genotype_row)[None])[0]
        layers = {
            f"{self.nodes[arc.source].name}->{self.nodes[arc.target].name} {self.label(arc)} "
            f"{name}": layer.madds
            for arc in self.arcs_of(row)
            if arc.part is not None
            for name, layer in self.parts[arc.part].layers(arc.option).items()
        }
        ends = {name: layer.madds for name, layer in self._ends.items()}
        return {"stem": ends.pop("stem"), **layers, **ends}

    def arc_names(self, arcs: tuple[Arc, ...]) -> Iterator[tuple[Arc, str]]:
        """Yield the arcs of an architecture that carry a part with their names: ``v1_v3``.

        A further part between the same nodes has a number behind: ``v1_v3_2``.
        """
        seen: dict[str, int] = {}
        for arc in arcs:
            if arc.part is not None:
                name = f"{self.nodes[arc.source].name}_{self.nodes[arc.target].name}"
                seen[name] = seen.get(name, 0) + 1
                yield arc, name if seen[name] == 1 else f"{name}_{seen[name]}"


def holds(arc: Arc, genes: list[int]) -> bool:
    """Tell whether all conditions of an arc hold for a genotype."""
    return all(genes[gene] == choice for gene, choice in arc.when)


def _families() -> Any:
    """Import what builds spaces, which imports the class they are values of."""
    return import_module("stnas.space.families")
