"""``stnas count``: multiply-adds and parameters of a genotype or a published network."""

import importlib
import os.path
import re
from pathlib import Path
from typing import Any

from rich.table import Table
from torch import nn

from stnas.cli.parser import CountOptions
from stnas.config import rules
from stnas.ops.flops import madds_by_layer
from stnas.space import SearchSpace
from stnas.space.cells.sharing import explained
from stnas.space.families import widened
from stnas.store.complete import read_result
from stnas.store.console import ANSWERS, folding_table
from stnas.store.names import RESULT

LIBRARIES = ("torchvision.models", "timm")
GENOTYPE = re.compile(r"[a-z]{2}\d+-[0-9a-f]{8}-|\s*(Genotype\(|[(\[|])")
PUBLISHED = {
    **dict.fromkeys(("|", "nb"), ("nb201", "paper")),
    **dict.fromkeys(("Genotype(", "da"), ("darts", "paper_large")),
}
"""Family and profile of genotypes that begin so, where none is named."""


def count(options: CountOptions) -> None:
    """Print the counts of ``options.network``, with ``options.explain`` layer by layer."""
    mixed: list[str] = []
    if GENOTYPE.match(options.network):
        space = genotype_space(options)
        genotype = space.parse(options.network)
        rules.width("width", options.width)
        space = widened(space, options.width)
        layers, params = space.madds_by_layer(genotype), int(space.params(genotype[None])[0])
        mixed = mixed_edge(space)
    else:
        if options.width != 1:
            raise ValueError(
                f"width must be 1 for a published network, got {options.width:g}: leave it out, or "
                "count a genotype"
            )
        module, shape = published(options)
        layers = madds_by_layer(module, shape)
        params = sum(parameter.numel() for parameter in module.parameters())
    if options.explain:
        ANSWERS.print(layer_table(layers))
        for line in mixed:
            ANSWERS.print(line, soft_wrap=True, markup=False)
    ANSWERS.print(f"MAdds: {sum(layers.values()):,}")
    ANSWERS.print(f"parameters: {params:,}")


def mixed_edge(space: SearchSpace) -> list[str]:
    """Write what an edge of the hyper-network computes at every level of sharing."""
    if space.mixture is None:
        return []
    mixture, lines = space.mixture, list[str]()
    for level in mixture.levels:
        formulas = explained(mixture.edges[0], mixture.choices, level)
        lines += [f"a mixed edge at sharing.level {level}: y ="]
        lines += [f"  {'+ ' * (number > 0)}{own}" for number, own in enumerate(formulas)]
    return lines


def layer_table(layers: dict[str, int]) -> Table:
    """Tabulate the multiply-adds of the layers and their shares."""
    total = max(sum(layers.values()), 1)
    table = folding_table("layer", "MAdds", "share")
    for name, madds in layers.items():
        table.add_row(name or "(whole)", f"{madds:,}", f"{100 * madds / total:.1f} %")
    return table


def genotype_space(options: CountOptions) -> SearchSpace:
    """Build the space that a genotype belongs to: a run's, or a profile's."""
    if options.run is not None:
        file = Path(os.path.expanduser(options.run)) / "train" / RESULT
        if not file.exists():
            raise FileNotFoundError(
                f"run must be the folder of a run that is trained, got {options.run}: correct "
                "--run, or name the space with --profile"
            )
        found = read_result(file.parents[1], "train", files=False)
        return SearchSpace.from_json(found["space"])
    text = options.network.strip()
    usual = next((own for begin, own in PUBLISHED.items() if text.startswith(begin)), None)
    family, profile = usual or (None, "micro")
    family, profile = options.family or family, options.profile or profile
    changes = sizes(options)
    if options.scales is not None:
        changes["scales"] = options.scales
    return SearchSpace.profile(profile, family=family, **changes)


def sizes(options: CountOptions) -> dict[str, Any]:
    """Collect the sizes that were given."""
    names = ("image_size", "in_channels", "num_classes")
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def published(options: CountOptions) -> tuple[nn.Module, tuple[int, ...]]:
    """Build a network that torchvision or timm publishes, and the shape of its images."""
    given = sizes(options)
    classes: dict[str, Any] = {"num_classes": given.get("num_classes", 1000)}
    shape = (given.get("in_channels", 3), *[given.get("image_size", 224)] * 2)
    tried = []
    for name in LIBRARIES:
        try:
            library = importlib.import_module(name)
        except (ImportError, RuntimeError) as error:
            tried.append(f"{name} does not import ({error})")
            continue
        known = library.list_models()
        if options.network in known:
            build = library.get_model if name != "timm" else library.create_model
            module: nn.Module = build(options.network, **classes)
            return module, shape
        tried.append(f"{name} has {len(known)} models, but not this one")
    raise ValueError(
        "network must be a genotype (st1-..., (2, 1, 0, ...)) or a model of torchvision or timm, "
        f"got {options.network!r}: {'; '.join(tried)}: correct the name or pip install the library"
    )
