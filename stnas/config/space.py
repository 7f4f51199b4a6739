"""The ``space:`` section: which search space is built."""

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from stnas.config import rules
from stnas.config.bits import check_pairs

Profile = Literal[
    "imagenet",
    "parity",
    "small",
    "micro",
    "nano",
    "nas_bench_macro",
    "nas_bench_macro_half",
    "paper",
    "paper_large",
    "resnet18",
    "resnet34",
    "resnet20",
    "resnet14",
]
Family = Literal["topology", "nas_bench_macro", "spos", "nb201", "darts", "quant"]
Activation = Literal["relu6", "relu", "hardswish", "silu"]
Residual = Literal["stem", "none", "all"]
Merge = Literal["sum", "mean", "shadow"]

MAX_BOTTLENECKS = 34
"""Most linear bottlenecks a choice block may offer: a gene is one base-36 digit."""


@dataclass(frozen=True)
class SpaceConfig:
    """Choose a profile and override what differs; None keeps the profile's value."""

    profile: Profile = "micro"
    """Named space: of the topology augmented ones imagenet (224x224), parity, small, micro, nano
    (32x32); nas_bench_macro (32x32), the chain of the public table, and that at half its width. The
    first five also name spaces of the family spos; paper, small and micro such of nb201 and darts,
    where paper_large is the published network; the ResNets of the family quant are resnet18 and
    resnet34 (224x224), resnet20 (32x32) and resnet14 (28x28)."""
    family: Family | None = None
    """Family of the profile: the `topology` augmented spaces, the chain of `nas_bench_macro`, the
    choice blocks of `spos` (Single Path One-Shot), the cells of NAS-Bench-201, `nb201`, those of
    DARTS, `darts`, or ResNets whose blocks choose their bits, `quant`. Default: the first that has
    the profile."""
    factory: str | None = None
    """A space of your own in place of a profile: `module:function`, found from the working
    directory; the function returns what SpaceBuilder.build gives."""
    stages: tuple[int, ...] | None = None
    """Nodes in each stage; every stage after the first halves the resolution."""
    widths: tuple[int, ...] | None = None
    """Channels of the nodes of each stage, as many as there are stages."""
    kernels: tuple[int, ...] | None = None
    """Depthwise kernel sizes of the linear bottlenecks, odd."""
    expands: tuple[int, ...] | None = None
    """Expansion ratios of the linear bottlenecks."""
    scales: tuple[int, ...] | None = None
    """Tenths of the channels inside a block that are searched beside its kind, such as
    (6,8,10,12,14,16), in the family spos. Default: 10 tenths alone."""
    bits: tuple[str, ...] | None = None
    """Pairs that blocks choose from in the family quant: w2a4 has weights of 2 bits and activations
    of 4. Default: w1a2, w2a2, w1a4, w2a4, w3a4, w4a4."""
    branch_distances: tuple[int, ...] | None = None
    """Distances j - i of the branch edges, each at least 2; empty for a chain space."""
    channels: int | None = None
    """Channels of the first cells, in the families of cells."""
    cells: int | None = None
    """Cells of a stage in the family nb201, of a network in darts."""
    stem_width: int | None = None
    """Channels of the first convolution, in families whose first stage has others."""
    stem_stride: int | None = None
    """Stride of the first 3x3 convolution."""
    tail_width: int | None = None
    """Channels of the last 1x1 convolution, before the classifier."""
    activation: Activation | None = None
    """Activation function of every block."""
    residual: Residual | None = None
    """Which stride-1 bottlenecks with equal channels add their input: stem edges, none or all."""
    merge: Merge | None = None
    """How the edges that enter a node are joined: sum, mean, or sum with one BN per in-degree."""
    se_ratio: float | None = None
    """Squeeze-and-excitation width over input channels, in (0, 1]."""
    dropout: float | None = None
    """Dropout probability before the classifier, in [0, 1)."""

    def __post_init__(self) -> None:
        """Check each field by itself; raise ValueError or TypeError that names the key."""
        rules.one_of("space.profile", self.profile, get_args(Profile))
        for name in ("stages", "widths", "kernels", "expands", "scales", "branch_distances"):
            _check_tuple(name, getattr(self, name))
        if self.bits is not None:
            check_pairs(self.bits)
        if self.family is not None:
            rules.one_of("space.family", self.family, get_args(Family))
        for name in ("channels", "cells", "stem_width", "stem_stride", "tail_width"):
            _check_integer(name, getattr(self, name), least=1)
        for name, kind in (("activation", Activation), ("residual", Residual), ("merge", Merge)):
            if getattr(self, name) is not None:
                rules.one_of(f"space.{name}", getattr(self, name), get_args(kind))
        _check_number("se_ratio", self.se_ratio, "(0, 1]", lambda value: 0 < value <= 1)
        _check_number("dropout", self.dropout, "[0, 1)", lambda value: 0 <= value < 1)
        self._check_blocks()
        self._check_factory()

    def _check_factory(self) -> None:
        if self.factory is None:
            return
        if ":" not in self.factory:
            raise ValueError(
                f"space.factory must read module:function, got {self.factory!r}: name the function"
                " behind a colon, such as examples.own_space:chain"
            )
        if self.overrides():
            raise ValueError(
                "space.factory must stand alone, since it says everything, got"
                f" space.{', space.'.join(self.overrides())} beside it: leave these out"
            )

    def _check_blocks(self) -> None:
        for kernel in self.kernels or ():
            if kernel % 2 == 0:
                raise ValueError(
                    f"space.kernels must be odd, got {kernel}: an even kernel has no padding that"
                    f" keeps the resolution; use {kernel + 1}"
                )
        count = len(self.kernels or (0,)) * len(self.expands or (0,))
        if count > MAX_BOTTLENECKS:
            raise ValueError(
                f"space.kernels x space.expands must give at most {MAX_BOTTLENECKS} bottlenecks,"
                f" got {count}: remove kernels or expansion ratios"
            )

    def overrides(self) -> dict[str, Any]:
        """Return the fields that are set, without what names the space."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        del named["profile"], named["family"], named["factory"]
        return {name: value for name, value in named.items() if value is not None}


def _check_integer(name: str, value: object, *, least: int) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"space.{name} must hold integers, got {value!r}: write a whole number")
    if value < least:
        raise ValueError(f"space.{name} must be at least {least}, got {value}: use {least} or more")


def _check_tuple(name: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, tuple):
        raise TypeError(
            f"space.{name} must be a tuple of integers, got {value!r}: write (2, 3) or, in YAML,"
            " [2, 3]"
        )
    branch = name == "branch_distances"
    if not value and not branch:
        raise ValueError(f"space.{name} must not be empty, got (): give at least one integer")
    for item in value:
        _check_integer(name, item, least=2 if branch else 1)
    ordered = branch or name in ("kernels", "expands", "scales")
    if ordered and list(value) != sorted(set(value)):
        raise ValueError(
            f"space.{name} must rise without repeats, got {value}: write"
            f" {tuple(sorted(set(value)))}"
        )


def _check_number(name: str, value: object, interval: str, inside: Any) -> None:
    if value is None:
        return
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"space.{name} must be a number, got {value!r}: write one in {interval}")
    if not inside(value):
        raise ValueError(f"space.{name} must lie in {interval}, got {value}: choose a value inside")
