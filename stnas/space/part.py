"""What computes something on the way from one node to another, told without torch."""

from collections.abc import Mapping, Set
from typing import NamedTuple, Protocol, runtime_checkable


class Layer(NamedTuple):
    """What one layer costs: multiply-adds of an image, and parameters.

    Parameters are those of the stand-alone network: weights, biases, affine BN.
    """

    madds: int
    params: int = 0


@runtime_checkable
class Part(Protocol):
    """A piece of a network with weights of its own; a frozen dataclass.

    in_channels, out_channels: of its input and its result. stride: its result has
    ``ceil(h / stride)`` pixels a side. A part that adds its input to its result has a true
    attribute ``residual``; forms that share the weights are told apart by ``option``.
    """

    @property
    def in_channels(self) -> int: ...
    @property
    def out_channels(self) -> int: ...
    @property
    def stride(self) -> int: ...

    def layers(self, option: int = 0) -> Mapping[str, Layer]:
        """List the layers of one form by their names."""
        ...


def adds_input(part: Part) -> bool:
    """Tell whether a part's result contains its input as a summand."""
    return bool(getattr(part, "residual", False))


def form_of(part: Part, options: Set[int]) -> Part:
    """Return the part that a network which uses these forms alone has weights for.

    One with ``form(option)`` says what it is where a single form is used; any other is itself.
    """
    form = getattr(part, "form", None)
    if form is None or len(options) != 1:
        return part
    made: Part = form(*options)
    return made


def signature_of(part: Part, option: int) -> tuple[object, ...]:
    """Return what makes two parts the same function but for their weights, to sort and compare."""
    own = getattr(part, "signature", None)
    return tuple(own) if own is not None else (type(part).__qualname__, repr(part), option)
