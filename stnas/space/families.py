"""Where spaces come from: profiles of the families, a user's factory, and recipes kept as JSON."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from stnas.config.space import SpaceConfig
from stnas.space import factory, hand_made, macro, topology
from stnas.space.value import SearchSpace

FAMILIES = {"topology": topology, "nas_bench_macro": macro, "hand_made": hand_made}
"""Each has ``PROFILES``, descriptions by name, and ``build``, which makes a space of one."""


def profile(name: str, changes: Mapping[str, Any]) -> SearchSpace:
    """Build a named space with ``changes`` to the fields of its description.

    Raises ValueError for an unknown profile or field.
    """
    owners = {n: family for family in FAMILIES.values() for n in family.PROFILES}
    if name not in owners:
        raise ValueError(
            f"space.profile must be one of {', '.join(owners)}, got {name!r}: correct the name"
        )
    family = owners[name]
    spec: Any = family.PROFILES[name]
    known = [field.name for field in fields(spec)]
    unknown = sorted(set(changes) - set(known))
    if unknown:
        raise ValueError(
            f"changes to space must be among {', '.join(known)}, got {unknown[0]!r}: correct the"
            f" name, or leave it out with the profile {name}"
        )
    space: SearchSpace = family.build(replace(spec, **changes))
    return space


def configured(config: SpaceConfig, images: Mapping[str, int]) -> SearchSpace:
    """Build the configured space for images of a size, with channels and classes."""
    if config.factory is not None:
        return factory.build(config.factory, images)
    return profile(config.profile, {**config.overrides(), **images})


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
    family: Any = FAMILIES[name]
    space: SearchSpace = family.build(family.Spec.from_json(own))
    return space
