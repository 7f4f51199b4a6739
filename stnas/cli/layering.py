"""The values of a configuration by name, the lowest first: defaults, recipe, run folder, options.

The lowest are the defaults, then the recipe of ``quickstart``, what is proposed for the images of a
quickstart, ``config.yaml`` of the run folder, the files of ``--config`` in their order, and the
other options.
"""

import os
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

from stnas.cli.words import Option, Words
from stnas.config import Config
from stnas.config.keys import Key, keys
from stnas.config.values import UsageError, Word, value_of
from stnas.config.words import shown, suggestion
from stnas.store.names import CONFIG as CONFIG_OF_STAGE
from stnas.store.names import SETTINGS
from stnas.store.origin import ABSENT
from stnas.store.settings import read_file, stored_values
from stnas.store.stages import BY_NAME

RECIPES = Path(__file__).parent / "recipes"
MICRO_BATCHES = ("train.micro_batches", "retrain.micro_batches")


def fitted(words: Words) -> dict[str, object]:
    """Return what is proposed for the images of a quickstart that has not begun, by name."""
    given, recipe = above(words), recipe_of("quickstart")
    if given.get("data.path", "embedded") in ("auto", "embedded") or begun(run_of(given, recipe)):
        return {}
    found = import_module("stnas.init").proposed(recipe, given)
    return {own.name: own.value for own in found}


def above(words: Words) -> dict[str, object]:
    """Return the values that files and options give by name."""
    files: dict[str, object] = {}
    for option in words.options:
        if option.name == "config":
            files |= read_file(config_file(option.value))
    return files | typed((option for option in words.options if option.name in keys()), keys())


def run_of(given: Mapping[str, object], base: Mapping[str, object]) -> Path:
    """Return the run folder that is given, or that of a recipe."""
    run = str(given.get("run", base.get("run", Config.run)))
    return Path(os.path.expanduser(run))


def layered(
    command: str, words: Words, *, over_recipe: Mapping[str, object] = MappingProxyType({})
) -> dict[str, object]:
    """Return the values that a command line gives by name, the higher layers over the lower."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    base = {**dict.fromkeys(MICRO_BATCHES, processes), **recipe_of(command), **over_recipe}
    given = above(words)
    return {**base, **run_settings(run_of(given, base)), **given}


def begun(folder: Path) -> bool:
    """Tell whether a stage of a run has begun."""
    return any((folder / stage / CONFIG_OF_STAGE).exists() for stage in BY_NAME)


def run_settings(folder: Path) -> dict[str, object]:
    """Return the values that a run folder was made with; the folder is where it is found.

    An option that did not exist when the run was begun has what its absence means.
    """
    file = folder / SETTINGS
    found = stored_values(file) if file.is_file() else {}
    absent = ABSENT if begun(folder) and found else {}
    return {name: value for name, value in {**absent, **found}.items() if name != "run"}


def recipe_of(command: str) -> dict[str, object]:
    """Return the values of a command's own recipe, the run folder's name included."""
    file = RECIPES / f"{command}.yaml"
    return read_file(file) if command == "quickstart" else {}


def typed(options: Iterable[Option], known: Mapping[str, Key]) -> dict[str, object]:
    """Return the values of options by name, the last of each."""
    return {
        option.name: value_of(option.name, known[option.name].kind, Word(option.value))
        for option in options
    }


def recipes() -> list[str]:
    """List the names of the recipes that come with the package."""
    return sorted(file.stem for file in RECIPES.glob("*.yaml"))


def config_file(word: str) -> Path:
    """Return the file that a word behind ``--config`` names, a recipe of the package or another."""
    if word in recipes():
        return RECIPES / f"{word}.yaml"
    file = Path(os.path.expanduser(word))
    if not file.exists():
        repair = suggestion(word, recipes()) or "correct the name"
        raise UsageError(
            f"config must be a YAML file or a recipe ({', '.join(recipes())}), got {shown(word)}, "
            f"which is neither: {repair}"
        )
    return file
