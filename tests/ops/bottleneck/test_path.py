"""A whole architecture as one function: equal to its blocks one by one, and to the plain twin."""

import weakref
from typing import Any

import pytest
import torch
from numerics import TOLERANCE, error
from torch import Tensor
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from stnas.ops.bottleneck import reference
from stnas.ops.bottleneck.arguments import Norms, Options
from stnas.ops.bottleneck.block import linear_bottleneck, node_moments
from stnas.ops.bottleneck.path import direct_gradients, linear_bottleneck_path
from stnas.ops.bottleneck.path_plan import Packed, PathEdge, pack, plan
from stnas.ops.bottleneck.reference import BottleneckWeights
from stnas.ops.layers.reference import BatchNorm

CHANNELS = (8, 8, 12, 12, 12)
"""Of each node; the second stage begins at node 2 with half the resolution."""

# source, target, kernel and expansion, or 0, 0 for the identity
GRAPH = [(0, 1, 3, 2), (1, 2, 5, 3), (0, 2, 3, 1), (2, 3, 0, 0), (1, 3, 7, 2), (3, 4, 3, 2),
         (2, 4, 3, 1), (1, 4, 3, 2)]  # fmt: skip
IDENTITIES = [(0, 1, 0, 0), (1, 2, 3, 2), (2, 3, 5, 2), (3, 4, 0, 0), (2, 4, 0, 0)]
SUMS = [(0, 1, 3, 2), (1, 2, 3, 1), (2, 3, 3, 1), (3, 4, 0, 0), (2, 4, 0, 0), (2, 4, 3, 2),
        (3, 4, 0, 0), (3, 4, 3, 3)]  # fmt: skip
MANY = [(0, 1, 0, 0), (0, 1, 0, 0), (1, 2, 3, 2), (2, 3, 0, 0), (2, 3, 0, 0), (3, 4, 3, 2)]
CHAIN = [(0, 1, 0, 0), (1, 2, 3, 2), (2, 3, 0, 0), (0, 4, 3, 1), (3, 4, 5, 1)]


def edge(
    source: int, target: int, kernel: int, expand: int, *, affine: bool, running: bool
) -> PathEdge:
    """Draw one edge of a graph in float64."""
    if not kernel:
        return PathEdge(source, target)
    generator = torch.Generator().manual_seed(10 * source + target)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    c_in, c_out = CHANNELS[source], CHANNELS[target]
    hidden, squeeze = expand * c_in, 2
    weights = BottleneckWeights(
        draw(hidden, c_in, 1, 1), draw(hidden, 1, kernel, kernel), draw(squeeze, hidden),
        draw(squeeze), draw(hidden, squeeze), draw(hidden), draw(c_out, hidden, 1, 1),
    )  # fmt: skip
    norms: Any = tuple(
        BatchNorm(
            *((1 + 0.3 * draw(c), 0.3 * draw(c)) if affine else (None, None)),
            *((draw(c), draw(c).abs()) if running else (None, None)),
        )
        for c in (hidden, hidden, c_out)
    )
    stride = 2 if source < 2 <= target else 1
    residual = stride == 1 and c_in == c_out
    return PathEdge(source, target, weights, norms, Options(stride, "silu", residual), 0.3)


def cast(value: Any, dtype: torch.dtype) -> Any:
    """Copy an edge, its weights and norms in another dtype; parameters need a gradient."""
    if isinstance(value, PathEdge | BatchNorm | BottleneckWeights):
        return type(value)(*(cast(part, dtype) for part in value))
    if type(value) is tuple:
        return tuple(cast(part, dtype) for part in value)
    if isinstance(value, Tensor):
        return value.detach().to(dtype, copy=True)
    return value


def make(graph: list[Any], dtype: torch.dtype, **options: Any) -> tuple[Tensor, list[PathEdge]]:
    """Draw an input of node 0 and the edges of a graph, which need gradients."""
    options = {"affine": True, "running": True, **options}
    edges = [cast(edge(*row, **options), dtype) for row in graph]
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, CHANNELS[0], 9, 7, generator=generator, dtype=torch.float64).to(dtype)
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    for tensor in parameters(edges):
        tensor.requires_grad_()
    return x, edges


def parameters(edges: list[PathEdge]) -> list[Tensor]:
    """List what needs a gradient."""
    blocks = [e for e in edges if e.weights is not None]
    return [
        tensor
        for e in blocks
        for tensor in (*e.weights, *(v for n in e.norms for v in n[:2]))  # type: ignore[misc]
        if tensor is not None
    ]


def running(edges: list[PathEdge]) -> list[Tensor]:
    """List the running statistics."""
    return [v for e in edges for n in e.norms for v in n[2:] if v is not None]


def one_by_one(form: Any, x: Tensor, edges: list[PathEdge], *, mean: bool = False) -> Tensor:
    """Compute the nodes from single blocks and torch's own sums."""
    values = {edges[0].source: x}
    for target in sorted({e.target for e in edges}):
        entering = [e for e in edges if e.target == target]
        total = None
        for e in entering:
            value = values[e.source]
            if e.weights is not None:
                state = {"training": True, "momentum": e.momentum, **e.options._asdict()}
                value = form(value, e.weights, e.norms, **state)
            total = value if total is None else total + value
        values[target] = total / len(entering) if mean else total  # type: ignore[operator]
    return values[edges[-1].target]


def outcome(form: Any, graph: list[Any], dtype: torch.dtype, **options: Any) -> list[Tensor]:
    """Return the value, all gradients and the moved running statistics."""
    mean = options.pop("mean", False)
    x, edges = make(graph, dtype, **options)
    out = form(x, edges, mean=mean)
    direction = torch.linspace(-1, 2, out.numel(), dtype=torch.float64).to(dtype).view_as(out)
    grads = torch.autograd.grad(out, [x, *parameters(edges)], direction)
    return [out.detach(), *grads, *running(edges)]


def by_blocks(x: Tensor, edges: list[PathEdge], *, mean: bool) -> Tensor:
    return one_by_one(linear_bottleneck, x, edges, mean=mean)


def by_twins(x: Tensor, edges: list[PathEdge], *, mean: bool) -> Tensor:
    return one_by_one(reference.linear_bottleneck, x, edges, mean=mean)


@pytest.mark.parametrize("options", [{}, {"mean": True}, {"affine": False, "running": False}],
                         ids=str)  # fmt: skip
@pytest.mark.parametrize("graph", [GRAPH, CHAIN, IDENTITIES, SUMS, MANY], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_path_equals_its_blocks_bit_for_bit_and_the_twin(
    graph: list[Any], dtype: torch.dtype, options: dict[str, Any]
) -> None:
    ours = outcome(linear_bottleneck_path, graph, dtype, **options)
    blocks = outcome(by_blocks, graph, dtype, **options)
    twin = outcome(by_twins, graph, torch.float64, **options)
    assert len(ours) == len(blocks) == len(twin)
    assert torch.equal(ours[0], blocks[0])
    for index, (own, block, expected) in enumerate(zip(ours, blocks, twin, strict=True)):
        assert_close(own, block, rtol=1e-5, atol=1e-5 * float(block.abs().max()))
        assert error(own, expected) <= TOLERANCE["path"][dtype], f"tensor {index}"


def test_gradcheck() -> None:
    x, edges = make([(0, 1, 0, 0), (1, 2, 3, 1), (0, 2, 3, 1), (2, 3, 3, 1), (2, 4, 3, 1),
                     (3, 4, 0, 0)], torch.float64, running=False)  # fmt: skip
    x = x.detach()[:2, :, :3, :3].requires_grad_()
    tensors = [t.detach() for t in parameters(edges)]

    def call(x: Tensor, depthwise: Tensor, project: Tensor) -> Tensor:
        first = edges[1].weights
        assert first is not None
        changed = first._replace(depthwise=depthwise, project=project)
        return linear_bottleneck_path(x, [edges[0], edges[1]._replace(weights=changed), *edges[2:]])

    inputs = (x, tensors[1].requires_grad_(), tensors[6].requires_grad_())
    assert torch.autograd.gradcheck(call, inputs, atol=1e-6)


def test_result_does_not_depend_on_threads() -> None:
    threads = torch.get_num_threads()
    try:
        results = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(outcome(linear_bottleneck_path, GRAPH, torch.float32))
        for other in results[1:]:
            assert all(torch.equal(a, b) for a, b in zip(other, results[0], strict=True))
    finally:
        torch.set_num_threads(threads)


def test_without_gradient_nothing_is_kept_and_statistics_move_alike() -> None:
    x, edges = make(GRAPH, torch.float32)
    versions = [tensor._version for tensor in running(edges)]
    with torch.no_grad():
        out = linear_bottleneck_path(x, edges)
    assert all(t._version > v for t, v in zip(running(edges), versions, strict=True))
    kept = outcome(linear_bottleneck_path, GRAPH, torch.float32)
    assert torch.equal(out, kept[0])
    moved = kept[-len(versions) :]
    assert all(torch.equal(a, b) for a, b in zip(running(edges), moved, strict=True))


def test_a_graph_serves_once_unless_it_is_retained() -> None:
    x, edges = make(GRAPH, torch.float32)
    out = linear_bottleneck_path(x, edges).sum()
    first = torch.autograd.grad(out, x, retain_graph=True)[0]
    assert torch.equal(first, torch.autograd.grad(out, x)[0])
    with pytest.raises(RuntimeError, match="a second time"):
        torch.autograd.grad(out, x)


def test_the_incoming_gradient_is_left_alone() -> None:
    x, edges = make([(0, 1, 3, 2), (1, 2, 3, 1), (2, 3, 3, 1), (2, 4, 0, 0), (3, 4, 3, 1)],
                    torch.float32)  # fmt: skip
    out = linear_bottleneck_path(x, edges)
    grad = torch.ones_like(out)
    torch.autograd.grad(out, x, grad)
    assert torch.equal(grad, torch.ones_like(out))


def test_changed_weights_are_noticed_before_the_gradient() -> None:
    x, edges = make(GRAPH, torch.float32)
    out = linear_bottleneck_path(x, edges).sum()
    with torch.no_grad():
        parameters(edges)[0].add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.backward()


def test_a_node_without_a_way_to_the_last_has_no_gradient() -> None:
    x, edges = make([(0, 1, 3, 1), (0, 2, 3, 1)], torch.float32)
    grads = torch.autograd.grad(
        linear_bottleneck_path(x, edges).sum(), parameters(edges), allow_unused=True
    )
    half = len(grads) // 2
    assert all(grad is None for grad in grads[:half])
    assert all(grad is not None for grad in grads[half:])


@pytest.mark.parametrize("options", [{}, {"affine": False, "running": False}], ids=str)
def test_direct_gradients_are_autograds(options: dict[str, Any]) -> None:
    expected = outcome(linear_bottleneck_path, GRAPH, torch.float32, **options)
    x, edges = make(GRAPH, torch.float32, **options)
    with direct_gradients():
        out = linear_bottleneck_path(x, edges)
    direction = torch.linspace(-1, 2, out.numel(), dtype=torch.float64).float().view_as(out)
    for times in (1, 2):
        out.backward(direction, retain_graph=True)
        found = [value.grad for value in (x, *parameters(edges))]
        assert all(
            grad is not None and torch.equal(grad, times * own)
            for grad, own in zip(found, expected[1 : 1 + len(found)], strict=True)
        )


def test_direct_gradients_leave_the_others_alone() -> None:
    x, edges = make([(0, 1, 3, 1), (0, 2, 3, 1), (0, 3, 3, 1), (2, 3, 3, 1)], torch.float32)
    frozen = parameters(edges[1:2])[0].requires_grad_(requires_grad=False)
    with direct_gradients():
        out = linear_bottleneck_path(x, edges).sum()
    out.backward()
    assert all(value.grad is None for value in (frozen, *parameters(edges[:1])))
    assert all(value.grad is not None for value in parameters(edges[2:]))
    with pytest.raises(RuntimeError, match="a second time"):
        out.backward()


def test_direct_gradients_are_for_leaves_below_a_gradient() -> None:
    x, edges = make(GRAPH, torch.float32)
    doubled = [e._replace(weights=BottleneckWeights(*(2 * w for w in e.weights)))
               if e.weights else e for e in edges]  # fmt: skip
    for image, given in ((x.detach(), edges), (x, doubled)):
        with direct_gradients():
            out = linear_bottleneck_path(image, given).sum()
        grads = torch.autograd.grad(out, parameters(edges), allow_unused=True)
        assert all(grad is not None for grad in grads[:7])


def test_values_are_let_go_with_the_graph() -> None:
    x, edges = make(GRAPH, torch.float32)
    out = linear_bottleneck_path(x, edges)
    held = weakref.ref(out.grad_fn)
    out.sum().backward()
    del out
    assert held() is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_moments_are_mean_and_covariance(dtype: torch.dtype) -> None:
    for size in [(3, 5, 9, 7), (40, 16, 4, 4), (2, 17, 45, 50), (1, 3, 1, 1)]:
        x = torch.randn(size, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 50
        rows = x.to(dtype).double().transpose(0, 1).flatten(1)
        expected = torch.cat((rows.mean(1)[None], torch.cov(rows, correction=0).view(-1, size[1])))
        moments = node_moments(x.to(dtype))
        assert_close(moments.double(), expected, rtol=1e-4, atol=1e-5)


def test_opcheck() -> None:
    x, (first,) = make([(0, 1, 3, 2)], torch.float64)
    x, first = x.detach(), cast(first, torch.float64)
    torch.library.opcheck(torch.ops.stnas.node_moments.default, (x,))
    affine = [value for norm in first.norms for value in norm[:2]]
    tensors = (x, node_moments(x), list(first.weights), affine)
    state = (running([first]), 0.1, torch.ones_like(x), True, *first.options, True)
    torch.library.opcheck(torch.ops.stnas.linear_bottleneck_add_.default, (*tensors, *state))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("affine", [True, False], ids=["affine", "plain"])
def test_opcheck_of_a_path(dtype: torch.dtype, affine: bool) -> None:
    x, path, last = packed_path(SUMS, dtype, affine=affine)
    forward = torch.ops.stnas.linear_bottleneck_path.default
    torch.library.opcheck(forward, (x, *path[:6], False))
    # Nothing is written between the parts of what is kept, so that two calls need not agree there.
    torch.library.opcheck(
        forward, (x, *path[:6], True), test_utils=("test_schema", "test_faketensor")
    )
    values, kept, _ = forward(x, *path[:6], True)
    assert torch.equal(values[-1], last)
    given = (values[-1], x, values[:-1], *path[:2], kept, path.plan, path.activation)
    torch.library.opcheck(torch.ops.stnas.linear_bottleneck_path_backward.default, given)


def packed_path(
    graph: list[Any], dtype: torch.dtype, **options: Any
) -> tuple[Tensor, Packed, Tensor]:
    """Return an input, the operator's arguments, with no gradients, and the last value."""
    wide = torch.float32 if dtype == torch.bfloat16 else dtype
    x, edges = make(graph, wide, **options)
    path = pack(plan([cast(e, wide) for e in edges], mean=True))
    x = x.detach().to(dtype)
    with torch.no_grad():
        return x, path, linear_bottleneck_path(x, edges, mean=True)


def test_flops_are_those_of_the_blocks() -> None:
    counts = []
    for form in (linear_bottleneck_path, by_blocks):
        x, edges = make([*GRAPH, (0, 4, 3, 1)], torch.float32)
        with FlopCounterMode(display=False) as counter:
            form(x, edges, mean=False).sum().backward()
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0


BAD_PLANS: list[tuple[dict[int, int], str]] = [
    ({0: 1}, "plan must read values that are there, got 1 at a step to 1"),
    ({0: -1}, "plan must read values that are there, got -1 at a step to 1"),
    ({1: 2}, "plan must number values as they come, got a step to 2 after 0"),
    ({2: 3}, "stride must be 1, 2 or 4, got 3"),
    ({2: 0}, "plan must keep statistics of blocks alone"),
    ({2: 0, 4: 0}, r"weights must hold 7 for each of 2 blocks, got 21"),
    ({4: 0}, r"running must hold 6 for each of 2 blocks, got 18"),
    ({5: 0}, "plan must divide by 1 or more, got 0"),
    ({6: -1}, "plan must list what a step adds, got 14 of -1"),
    ({6: 15}, "plan must list what a step adds, got 14 of 15"),
    ({8: 1}, "plan must read values that are there, got 1 at a step to 1"),
    ({15: 1}, "plan must complete a value before it is read, got a step to 1 after that"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_PLANS, ids=str)
def test_wrong_plans_are_refused(changes: dict[int, int], message: str) -> None:
    x, path, _ = packed_path([(0, 1, 3, 1), (1, 2, 3, 1), (2, 3, 3, 1)], torch.float32)
    numbers = list(path.plan)
    for place, value in changes.items():
        numbers[place] = value
    with pytest.raises(ValueError, match=message):
        torch.ops.stnas.linear_bottleneck_path(x, *path[:4], numbers, path.activation, True)


@pytest.mark.parametrize(("count", "message"), [(0, "end with a step"), (20, "7 numbers .* got 6")])
def test_a_short_plan_is_refused(count: int, message: str) -> None:
    x, path, _ = packed_path([(0, 1, 3, 1), (1, 2, 3, 1), (2, 3, 3, 1)], torch.float32)
    cut = path.plan[:count]
    with pytest.raises(ValueError, match=f"plan must .*{message}"):
        torch.ops.stnas.linear_bottleneck_path(x, *path[:4], cut, path.activation, True)


@pytest.mark.parametrize("name", ["values", "weights", "affine", "kept"])
def test_a_gradient_counts_what_it_is_given(name: str) -> None:
    x, path, last = packed_path(GRAPH, torch.float32)
    values, kept, _ = torch.ops.stnas.linear_bottleneck_path(x, *path[:6], True)
    given = {"values": values[:-1], "weights": path.weights, "affine": path.affine, "kept": kept}
    given[name] = given[name][1:]
    with pytest.raises(ValueError, match=f"{name} must hold"):
        torch.ops.stnas.linear_bottleneck_path_backward(
            last, x, *given.values(), path.plan, path.activation
        )


def test_a_gradient_refuses_what_another_path_kept() -> None:
    x, path, last = packed_path(GRAPH, torch.float32)
    values, kept, _ = torch.ops.stnas.linear_bottleneck_path(x, *path[:6], True)
    kept[0] = kept[0][1:]
    with pytest.raises(ValueError, match="kept must have shape"):
        torch.ops.stnas.linear_bottleneck_path_backward(
            last, x, values[:-1], *path[:2], kept, path.plan, path.activation
        )


def test_edges_of_two_activations_are_refused() -> None:
    x, edges = make([(0, 1, 3, 1), (1, 2, 3, 1)], torch.float32)
    edges[1] = edges[1]._replace(options=edges[1].options._replace(activation="relu"))
    with pytest.raises(ValueError, match="edges must have one activation, got relu, silu"):
        linear_bottleneck_path(x, edges)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ([(0, 1, 0, 0)], "at least one block, got 1 identity"),
        ([(0, 1, 3, 1), (2, 3, 3, 1)], "got node 2 without one at an edge to node 3"),
        ([(0, 1, 3, 1), (0, 2, 3, 1), (0, 1, 3, 1)], "got node 1 a second time"),
    ],
)
def test_wrong_graphs_are_refused(graph: list[Any], message: str) -> None:
    x, edges = make(graph, torch.float32)
    with pytest.raises(ValueError, match=message):
        linear_bottleneck_path(x, edges)


def test_wrong_tensors_are_refused() -> None:
    x, (first,) = make([(0, 1, 3, 1)], torch.float32)
    with pytest.raises(TypeError, match="x must have the dtype"):
        linear_bottleneck_path(x.double(), [first])
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        linear_bottleneck_path(x[:1, :, :1, :1], [first])
    norms: Norms = (*first.norms[:2], BatchNorm(torch.ones(3)))
    with pytest.raises(ValueError, match=r"affine must have shape \[8\]"):
        linear_bottleneck_path(x, [first._replace(norms=norms)])
