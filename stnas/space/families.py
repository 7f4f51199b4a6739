"""Where spaces come from: profiles of the families, a user's factory, and recipes kept as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from stnas.config.space import SpaceConfig
from stnas.space import factory, hand_made, macro, quant, spos, topology
from stnas.space.cells import darts, nb201
from stnas.space.value import SearchSpace

FAMILIES = {
    "topology": topology,
    "nas_bench_macro": macro,
    "spos": spos,
    "quant": quant,
    "nb201": nb201,
    "darts": darts,
    "hand_made": hand_made,
}
"""Each has ``PROFILES``, descriptions by name, and ``build``, which makes a space of one."""
CHANNELS = ("widths", "stem_width", "tail_width", "channels")
"""Fields of descriptions that are numbers of channels."""
STEP = 4
"""Scaled channels are multiples of it: vector units are filled, and shuffle units can be halved."""


def profile(name: str, changes: Mapping[str, Any], *, family: str | None = None) -> SearchSpace:
    """Build a named space with ``changes`` to the fields of its description.

    family: the one that the profile is of; default: the first that has it. Raises ValueError for an
    unknown family, profile or field.
    """
    if family is not None and family not in FAMILIES:
        raise ValueError(
            f"space.family must be one of {', '.join(FAMILIES)}, got {family!r}: correct the name"
        )
    asked = FAMILIES if family is None else {family: FAMILIES[family]}
    names = dict.fromkeys(n for own in asked.values() for n in own.PROFILES)
    if name not in names:
        of = "" if family is None else f" with space.family {family}"
        raise ValueError(
            f"space.profile must be one of {', '.join(names)}{of}, got {name!r}: correct the name"
        )
    family, owner = next((key, own) for key, own in asked.items() if name in own.PROFILES)
    spec: Any = owner.PROFILES[name]
    known = [field.name for field in fields(spec)]
    unknown = sorted(set(changes) - set(known))
    if unknown:
        raise ValueError(
            f"changes to space must be among {', '.join(known)} with space.family {family}, got"
            f" {unknown[0]!r}: correct the name, or leave it out with the profile {name}"
        )
    space: SearchSpace = owner.build(replace(spec, **changes))
    return space


def widened(space: SearchSpace, factor: float) -> SearchSpace:
    """Build a space whose channels are ``factor`` times those of another, its genes the same.

    Stem, stages and tail are scaled, each to the nearest multiple of STEP and no less than that. A
    factor of 1 gives the space itself. ValueError: it was built by a user's function.
    """
    if factor == 1:
        return space
    if "factory" in space.recipe or "built" in space.recipe:
        raise ValueError(
            f"width must be 1 for a space that a function builds, got {factor}: let the function "
            "make it with other channels, and name that as space.factory"
        )
    recipe = {
        name: scaled(value, factor) if name in CHANNELS else value
        for name, value in space.recipe.items()
    }
    return from_json(recipe)


def scaled(channels: Any, factor: float) -> Any:
    """Scale a number of channels, or each of several."""
    if isinstance(channels, Sequence):
        return [scaled(own, factor) for own in channels]
    return max(STEP, STEP * int(factor * channels / STEP + 0.5))


def configured(config: SpaceConfig, images: Mapping[str, int]) -> SearchSpace:
    """Build the configured space for images of a size, with channels and classes."""
    if config.factory is not None:
        return factory.build(config.factory, images)
    return profile(config.profile, {**config.overrides(), **images}, family=config.family)


def from_json(recipe: Any) -> SearchSpace:
    """Build the space of a recipe; one without a family is of the topology augmented space."""
    if not isinstance(recipe, Mapping):
        raise TypeError(
            f"space must be a JSON object, got {type(recipe).__name__}: pass what to_json wrote"
        )
    if "factory" in recipe:
        return factory.from_json(recipe)
    if "built" in recipe:
        raise ValueError(
            f"space must come from a profile or a factory, got {recipe['built']!r}, which was built"
            " in Python: name a function that builds it as space.factory"
        )
    own = dict(recipe)
    name = own.pop("family", "topology")
    if name not in FAMILIES:
        raise ValueError(
            f"space.family must be one of {', '.join(FAMILIES)}, got {name!r}: read this file with"
            " the release that wrote it"
        )
    owner: Any = FAMILIES[name]
    space: SearchSpace = owner.build(owner.Spec.from_json(own))
    return space
