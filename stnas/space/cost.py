"""Multiply-adds and parameters of every choice, their mean, variance and the p_drop they solve."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stnas.space.graph import Edge, Node, Operation
from stnas.space.spec import SpaceSpec

Table = NDArray[np.int64]
ChoiceCost = Callable[[Edge, Operation, SpaceSpec], int]


def hidden_channels(edge: Edge, operation: Operation) -> int:
    """Return M = expand * C_in, the channels of the depthwise convolution."""
    return operation.expand * edge.in_channels


def se_width(edge: Edge, spec: SpaceSpec) -> int:
    """Return R = max(1, floor(se_ratio * C_in)), the channels between the SE layers."""
    return max(1, int(spec.se_ratio * edge.in_channels))


def layer_madds(edge: Edge, operation: Operation, spec: SpaceSpec) -> dict[str, int]:
    """Count each layer of a bottleneck: ``C_in M h_in^2``, ``M K^2 h_out^2``, ``M R`` twice and
    ``M C_out h_out^2``; empty without a bottleneck.
    """
    if operation.kind != "bottleneck":
        return {}
    hidden, squeeze = hidden_channels(edge, operation), se_width(edge, spec)
    before, after = edge.in_resolution**2, edge.out_resolution**2
    return {
        "expand": edge.in_channels * hidden * before,
        "depthwise": hidden * operation.kernel**2 * after,
        "squeeze": hidden * squeeze,
        "excite": squeeze * hidden,
        "project": hidden * edge.out_channels * after,
    }


def choice_madds(edge: Edge, operation: Operation, spec: SpaceSpec) -> int:
    """Count the multiply-adds of one choice."""
    return sum(layer_madds(edge, operation, spec).values())


def choice_params(edge: Edge, operation: Operation, spec: SpaceSpec) -> int:
    """Count the weights, the SE biases and the affine BN parameters of one choice."""
    if operation.kind != "bottleneck":
        return 0
    hidden, squeeze = hidden_channels(edge, operation), se_width(edge, spec)
    weights = hidden * (edge.in_channels + operation.kernel**2 + 2 * squeeze + edge.out_channels)
    return weights + squeeze + hidden + 2 * (hidden + hidden + edge.out_channels)


def fixed_layers(spec: SpaceSpec, nodes: tuple[Node, ...]) -> dict[str, int]:
    """Count the layers that every network has: the stem and the tail's two."""
    first, last = nodes[0], nodes[-1]
    return {
        "stem": 9 * spec.in_channels * first.width * first.resolution**2,
        "tail": last.width * spec.tail_width * last.resolution**2,
        "classifier": spec.tail_width * spec.num_classes,
    }


def fixed_madds(spec: SpaceSpec, nodes: tuple[Node, ...]) -> int:
    """Count the stem convolution, the tail's 1x1 convolution and the classifier."""
    return sum(fixed_layers(spec, nodes).values())


def fixed_params(spec: SpaceSpec, nodes: tuple[Node, ...]) -> int:
    """Count stem and tail with affine BN, the classifier with bias, the BN of shadow nodes."""
    stem = 9 * spec.in_channels * nodes[0].width + 2 * nodes[0].width
    tail = nodes[-1].width * spec.tail_width + 2 * spec.tail_width
    classifier = (spec.tail_width + 1) * spec.num_classes
    shadow = 2 * sum(node.width for node in nodes[1:]) if spec.merge == "shadow" else 0
    return stem + tail + classifier + shadow


def build_table(edges: tuple[Edge, ...], costs: list[list[int]], *, fixed: int) -> Table:
    """Pad the costs of the choices with zeros to a table ``[genes, max_choices]``."""
    most = fixed + sum(max(row) for row in costs)
    if most >= 2**62:
        raise ValueError(
            f"the largest network must cost less than 2**62, got {most}: reduce space.widths,"
            " space.tail_width or the image size"
        )
    table = np.zeros((len(edges), max(len(row) for row in costs)), np.int64)
    for line, row in zip(table, costs, strict=True):
        line[: len(row)] = row
    return table


def choice_probabilities(edge: Edge, p_drop: float) -> NDArray[np.float64]:
    """Return the probability of each choice (Guo et al. 2020, equations 2 and 5)."""
    if edge.kind == "stem":
        return np.full(len(edge.choices), 1 / len(edge.choices))
    count = len(edge.choices) - 1
    return np.array([p_drop, *[(1 - p_drop) / count] * count])


def edge_moments(
    edges: tuple[Edge, ...], table: Table, p_drop: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and variance ``[genes]`` of the cost of each edge."""
    means, variances = np.zeros(len(edges)), np.zeros(len(edges))
    for edge, row in zip(edges, table, strict=True):
        weight = choice_probabilities(edge, p_drop)
        cost = row[: len(weight)].astype(np.float64)
        means[edge.index] = mean = weight @ cost
        variances[edge.index] = weight @ (cost - mean) ** 2
    return means, variances


def solve_p_drop(madds: float, *, at_zero: float, at_one: float) -> float:
    """Return ``(C(0) - madds) / (C(0) - C(1))``, the p_drop whose expected MAdds are ``madds``.

    at_zero, at_one: expected MAdds at p_drop 0 and 1 (Guo et al. 2020, equation 4, affine in
    p_drop). Raises ValueError outside the reachable range.
    """
    if at_zero == at_one:
        raise ValueError(
            "p_drop must act on branch edges, got a chain space without any: set"
            " space.branch_distances, or give no MAdds target"
        )
    if not at_one <= madds <= at_zero:
        raise ValueError(
            f"madds must lie in the reachable range [{at_one:,.0f}, {at_zero:,.0f}] of expected"
            f" MAdds, got {madds:,.0f}: choose a target inside, or change space.widths"
        )
    return float((at_zero - madds) / (at_zero - at_one))


def check_p_drop(p_drop: float) -> float:
    """Return ``p_drop`` as a float; raise unless it is a number in [0, 1]."""
    if isinstance(p_drop, bool) or not isinstance(p_drop, int | float | np.number):
        raise TypeError(f"p_drop must be a number, got {p_drop!r}: give one in [0, 1]")
    if not 0 <= p_drop <= 1:
        raise ValueError(
            f"p_drop must lie in [0, 1], got {p_drop}: it is the probability that a branch edge is"
            " none"
        )
    return float(p_drop)
