"""The values of a configuration by name, the lowest first: defaults, recipe, run folder, options.

The lowest are the defaults, then the recipe of ``quickstart``, what is proposed for its images,
what ``train.strategy`` brings along, ``config.yaml`` of the run folder, and what is given: files in
their order, then options.
"""

import os
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

from stnas.config import Config
from stnas.config.implied import implied
from stnas.config.keys import build, keys, sections
from stnas.config.values import Found, UsageError, Word, value_of
from stnas.config.words import shown, suggestion
from stnas.store.names import CONFIG as CONFIG_OF_STAGE
from stnas.store.names import SETTINGS
from stnas.store.origin import ABSENT, plain
from stnas.store.settings import read_file, stored_values
from stnas.store.stages import BY_NAME

RECIPES = Path(__file__).parent / "recipes"
MICRO_BATCHES = ("train.micro_batches", "retrain.micro_batches")
QUICKSTART = "quickstart"


def configured(command: str, given: Mapping[str, object]) -> tuple[Config, str | None]:
    """Return the configuration of a command with values by name, and what is to be said of it."""
    values, said = layered(command, given), None
    if command == QUICKSTART and (for_images := fitted(given)):
        values = layered(command, given, over_recipe=for_images)
        listed = ", ".join(f"{name} {plain(value)}" for name, value in for_images.items())
        said = f"stnas: for these images: {listed} (stnas init tells why)"
    return build(values), said


def configure(*sources: str | Path, **options: object) -> Config:
    """Return the configuration that recipes or YAML files, and options above them, give.

    sources: names of recipes, or of files, the later ones count most; ``quickstart`` proposes what
    its images need, as the command does. options: keys, and sections as mappings: ``seed=1``,
    ``data={"path": "photos"}``. What a run folder was made with stands below all of these.
    UsageError, a ValueError, names a key or value that is wrong.
    """
    command = QUICKSTART if QUICKSTART in map(str, sources) else "run"
    return configured(command, {**of_files(command, map(str, sources)), **of_options(options)})[0]


def of_files(command: str, words: Iterable[str]) -> dict[str, object]:
    """Return the values of recipes and files by name, the last of each.

    The command's own recipe is not among them: it lies below all that is given.
    """
    found: dict[str, object] = {}
    for word in words:
        if not command == word == QUICKSTART:
            found |= read_file(config_file(word))
    return found


def of_options(options: Mapping[str, object]) -> dict[str, object]:
    """Return Python's values by name; a section may be a mapping of its keys."""
    flat: dict[str, object] = {}
    for name, value in options.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{key}": inner for key, inner in value.items()}
        else:
            flat[name] = value
    for name in flat:
        if name not in keys():
            repair = suggestion(name, [*keys(), *sections()]) or "stnas run --help lists all keys"
            raise UsageError(f"unknown key {shown(name)}: {repair}")
    return {name: value_of(name, keys()[name].kind, words(value)) for name, value in flat.items()}


def words(value: Any) -> Found:
    """Return the words that would stand for a value in a file."""
    if isinstance(value, list | tuple):
        return [Word(str(item), plain=not isinstance(item, str)) for item in value]
    if value is None or isinstance(value, bool):
        return Word({None: "null", True: "true", False: "false"}[value])
    return Word(str(value), plain=not isinstance(value, str | Path))


def run_of(given: Mapping[str, object], base: Mapping[str, object]) -> Path:
    """Return the run folder that is given, or that of a recipe."""
    run = str(given.get("run", base.get("run", Config.run)))
    return Path(os.path.expanduser(run))


def layered(
    command: str,
    given: Mapping[str, object],
    *,
    over_recipe: Mapping[str, object] = MappingProxyType({}),
) -> dict[str, object]:
    """Return the values of a command by name, the higher layers over the lower."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    base = {**dict.fromkeys(MICRO_BATCHES, processes), **recipe_of(command), **over_recipe}
    given = {**run_settings(run_of(given, base)), **given}
    return {**base, **implied({**base, **given}), **given}


def fitted(given: Mapping[str, object]) -> dict[str, object]:
    """Return what is proposed for the images of a quickstart that has not begun, by name."""
    recipe = recipe_of(QUICKSTART)
    if given.get("data.path", "embedded") in ("auto", "embedded") or begun(run_of(given, recipe)):
        return {}
    found = import_module("stnas.init").proposed(recipe, given)
    return {own.name: own.value for own in found}


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
    return read_file(file) if command == QUICKSTART else {}


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
