"""What a genotype says of the nodes and edges."""

import numpy as np

from stnas.space import Edge, Genotype, SearchSpace


def checked_row(space: SearchSpace, genotype: Genotype) -> Genotype:
    """Return the genotype ``[genes]`` after the space has checked it."""
    row = np.asarray(genotype)
    if row.ndim != 1:
        raise ValueError(
            f"genotype must be one row [{space.num_genes}], got the shape {list(row.shape)}: "
            "pass genotypes[i]"
        )
    space.check(row[None])
    return row


def in_degrees(space: SearchSpace, genotype: Genotype) -> list[int]:
    """Count the present edges that enter v2, v3, ..., in order."""
    counts = [0] * len(space.nodes)
    for edge, gene in zip(space.edges, genotype, strict=True):
        counts[edge.target] += edge.choices[gene].kind != "none"
    return counts[1:]


def bottlenecks(space: SearchSpace, genotype: Genotype) -> list[tuple[Edge, int]]:
    """List the edges that carry a choice block, each with its gene."""
    genes = zip(space.edges, genotype.tolist(), strict=True)
    return [(edge, gene) for edge, gene in genes if edge.choices[gene].kind == "bottleneck"]


def key(edge: Edge) -> str:
    """Name an edge's module, such as ``v1_v3``."""
    return f"v{edge.source + 1}_v{edge.target + 1}"
