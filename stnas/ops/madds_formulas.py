"""What an operator of PyTorch costs in multiply-adds, where its own counter does not say."""

import re
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils import flop_counter

ATEN = torch.ops.aten

PRODUCT_WORDS = re.compile(
    r"\w*(mm|mv|dot|matmul|attention)|(tri)?linear|conv(\dd|olution)?|depthwise\dd|transformer"
    r"|fft|rnn|lstm|gru|cdist|pdist|euclidean|cholesky|\w*solve|linalg|lu|geqrf|ormqr"
)
"""Words in the names of operators that multiply matrices, those of a later PyTorch included."""

FREE = re.compile(
    r"linalg_(vector_norm|cross|check_errors|_powsum)|fft_r?fftfreq|thnn_fused_\w+_cell"
)
"""Names with such a word in which nothing is counted: norms, constants, gates beside a product."""


def madds_of(operator: Any, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> int | None:
    """Return the multiply-adds of a call of an operator, or None where nobody says.

    The formulas of PyTorch's counter, in which ``register_flop_formula`` enters others, stand
    before those of this module. An operator in place costs what its twin does.
    """
    for packet in _twins(operator):
        if packet in flop_counter.flop_registry:
            flops: int = flop_counter.flop_registry[packet](*args, **kwargs, out_val=out)
            return flops // 2
        if packet in FORMULAS:
            return FORMULAS[packet](*args, **kwargs)
    namespace, name = operator._overloadpacket._qualified_op_name.split("::")
    return 0 if namespace in PLAIN and not multiplies(name) else None


def is_priced(operator: Any) -> bool:
    """Tell whether there is a formula for the operator as a whole."""
    return any(own in flop_counter.flop_registry or own in FORMULAS for own in _twins(operator))


def _twins(operator: Any) -> tuple[Any, ...]:
    packet = operator._overloadpacket
    namespace, name = packet._qualified_op_name.split("::")
    twin = getattr(ATEN, name.removesuffix("_"), None) if namespace == "aten" else None
    return packet, twin


PLAIN = ("aten", "prim", "prims", "profiler", "stnas")
"""Namespaces whose operators are known; those of other libraries may do anything."""


def multiplies(name: str) -> bool:
    """Tell whether an operator multiplies matrices, by its name without the namespace."""
    if FREE.fullmatch(name.strip("_")):
        return False
    return any(PRODUCT_WORDS.fullmatch(word) for word in name.split("_"))


def _matrix_vector(matrix: Tensor, vector: Tensor, **_: Any) -> int:
    return matrix.numel()


def _added_matrix_vector(own: Tensor, matrix: Tensor, vector: Tensor, **_: Any) -> int:
    return matrix.numel()


def _dot(left: Tensor, right: Tensor, **_: Any) -> int:
    return left.numel()


def _summed_matrices(own: Tensor, left: Tensor, right: Tensor, **_: Any) -> int:
    return left.numel() * right.shape[-1]


def _trilinear(
    first: Tensor,
    second: Tensor,
    third: Tensor,
    expand1: Sequence[int],
    expand2: Sequence[int],
    expand3: Sequence[int],
    *_: Any,
    **__: Any,
) -> int:
    sizes = []
    for tensor, expanded in ((first, expand1), (second, expand2), (third, expand3)):
        size = list(tensor.shape)
        for place in sorted(expanded):
            size.insert(place, 1)
        sizes.append(size)
    return prod(max(along) for along in zip(*sizes, strict=True))


def _recurrent_layer(x: Tensor, of_input: Tensor, of_state: Tensor, *_: Any, **__: Any) -> int:
    return prod(x.shape[:-1]) * (of_input.numel() + of_state.numel())


def _attention(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    *heads, targets, _width = query.shape
    return prod(heads) * targets * key.shape[-2] * (query.shape[-1] + value.shape[-1])


FORMULAS: Mapping[Any, Callable[..., int]] = {
    ATEN.mv: _matrix_vector,
    ATEN.addmv: _added_matrix_vector,
    ATEN.dot: _dot,
    ATEN.vdot: _dot,
    ATEN.addbmm: _summed_matrices,
    ATEN._trilinear: _trilinear,
    ATEN.mkldnn_rnn_layer: _recurrent_layer,
    ATEN._scaled_dot_product_flash_attention_for_cpu: _attention,
    ATEN._scaled_dot_product_fused_attention_overrideable: _attention,
}
"""Multiply-adds from the arguments of an operator, by its overload packet."""
