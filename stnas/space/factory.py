"""Spaces of one's own: ``module:function`` names what builds them."""

import importlib
import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from stnas.space.recipe import IMAGES, VERSION, check_version
from stnas.space.value import SearchSpace


def build(name: str, images: Mapping[str, int]) -> SearchSpace:
    """Call a factory and return its space, which remembers the factory.

    name: ``module:function``; the module is found from the working directory, as ``python -m``
    finds it. images: ``image_size``, ``in_channels`` and ``num_classes``, of which the function
    gets those that it has parameters for. Raises ValueError or TypeError for what is no factory, or
    a space for other images.
    """
    function = find(name)
    wanted = arguments(name, function)
    space = function(**{key: value for key, value in images.items() if key in wanted})
    if not isinstance(space, SearchSpace):
        raise TypeError(
            f"space.factory must return a SearchSpace, got {type(space).__name__} from {name}: "
            "return what SpaceBuilder.build gives"
        )
    given = {key: getattr(space.head, key) for key in images}
    if given != dict(images):
        pairs = ", ".join(f"{key} {images[key]}, not {given[key]}" for key in images)
        raise ValueError(
            f"space.factory must build a space for the images, got one from {name} where these "
            f"have {pairs}: give the function the parameters {', '.join(IMAGES)}"
        )
    recipe = {"version": VERSION, "factory": name, **images, "fingerprint": space.fingerprint}
    return replace(space, recipe=recipe)


def from_json(recipe: Mapping[str, Any]) -> SearchSpace:
    """Build the space of a factory's recipe; ValueError where the factory's space has changed."""
    check_version(recipe)
    space = build(recipe["factory"], {name: recipe[name] for name in IMAGES})
    if space.fingerprint != recipe["fingerprint"]:
        raise ValueError(
            f"space.factory {recipe['factory']} must build the space of this run "
            f"({recipe['fingerprint']}), got one with the mark {space.fingerprint}: restore the "
            "module as it was, or begin another run"
        )
    return space


def find(name: str) -> Any:
    """Import the function that ``module:function`` names."""
    module, _, attribute = name.partition(":")
    if not attribute:
        raise ValueError(
            f"space.factory must read module:function, got {name!r}: name the function behind a "
            "colon, such as examples.own_space:chain"
        )
    if module.partition(".")[0] in sys.stdlib_module_names:  # a file may name it, too
        raise ValueError(
            f"space.factory must name a module that is not Python's own, got {module!r}: put the "
            "function into a module of yours"
        )
    here = str(Path.cwd())
    try:
        with searched_first(here):
            found = getattr(importlib.import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise ValueError(
            f"space.factory must name a module, got {module!r}, which is not found from {here}: "
            "start in the folder that holds it, or install it"
        ) from error
    if not callable(found):
        raise ValueError(
            f"space.factory must name a function of {module}, got {attribute!r}: correct the name"
        )
    return found


@contextmanager
def searched_first(folder: str) -> Iterator[None]:
    """Let modules be found in a folder meanwhile, before all others."""
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def arguments(name: str, function: Any) -> list[str]:
    """List the parameters of a factory; TypeError where it needs others than those of images."""
    try:
        parameters = inspect.signature(function).parameters
    except ValueError as error:
        raise TypeError(
            f"space.factory must name a function written in Python, got {name}: wrap it in one"
        ) from error
    asked = [key for key, own in parameters.items() if own.default is own.empty]
    if others := [key for key in asked if key not in IMAGES]:
        raise TypeError(
            f"space.factory must need no arguments but {', '.join(IMAGES)}, got {name}, which asks "
            f"for {', '.join(others)}: give them defaults"
        )
    return list(parameters)
