"""Leading slices of tensors: what a form of a shared part uses of its weights."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

from torch import Tensor

Slice = tuple[slice, ...]
"""What is used of a tensor, from its first axis on."""
WHOLE: Mapping[int, Slice] = MappingProxyType({})
"""Slices by the numbers of tensors, all of which are used whole."""
Kept = TypeVar("Kept", Tensor, Tensor | None)


def cut(tensor: Kept, used: Slice | None) -> Kept:
    """Return the part of a tensor that is used, as a view; with None, and of None, itself."""
    return tensor if tensor is None or used is None else tensor[used]
