"""Make the strategy that a configuration names."""

from stnas.config import Config
from stnas.config.sharing import LEVELS
from stnas.group.device import device_of
from stnas.group.processes import current
from stnas.group.streams import global_stream
from stnas.learn.halves import halved, halves
from stnas.learn.single_path import falling_rate
from stnas.learn.supernet_epoch import steps_per_epoch
from stnas.learn.task import Task, check_batch, shared_space
from stnas.space import SearchSpace
from stnas.supernet import initialise_
from stnas.supernet.mixture import MixedNet
from stnas.train.gradient.betadarts import Penalised
from stnas.train.gradient.bilevel import Bilevel, Method
from stnas.train.gradient.darts import FirstOrder, SecondOrder
from stnas.train.gradient.gdas import GumbelDraw
from stnas.train.gradient.pcdarts import PartiallyConnected

METHODS: dict[str, type[Method]] = {
    "darts1": FirstOrder,
    "darts2": SecondOrder,
    "gdas": GumbelDraw,
    "betadarts": Penalised,
    "pcdarts": PartiallyConnected,
}


def check_mixed(config: Config, task: Task) -> None:
    """Raise ValueError for a space or options that a search by gradients cannot work with."""
    strategy, space = config.train.strategy, task.space
    if not config.train.mixes:
        if config.sharing.level != "none":
            raise ValueError(
                f"sharing.level must be none with train.strategy {strategy}, which mixes nothing, "
                f"got {config.sharing.level}: set --train.strategy darts1, or leave it out"
            )
        return
    if space.mixture is None:
        raise ValueError(
            f"train.strategy {strategy} needs a space of cells, got space.family "
            f"{space.recipe.get('family', 'topology')}: set --space.family nb201"
        )
    check_level(config, space)
    check_parts(config, space)
    if current().size > 1 or config.train.micro_batches > 1:
        raise ValueError(
            f"train.strategy {strategy} works in one process with train.micro_batches 1, got "
            f"{current().size} and {config.train.micro_batches}: start it without torchrun"
        )
    for key, given in (("affine", config.train.affine), ("ema", bool(config.train.ema))):
        if given:
            raise ValueError(
                f"train.{key} must be left out with train.strategy {strategy}, whose mixtures "
                f"have none, got {getattr(config.train, key)}: remove it"
            )
    least = min(map(len, halves(task, config.seed)))
    check_batch("train.batch_size", config.train.batch_size, least)


def check_level(config: Config, space: SearchSpace) -> None:
    """Raise ValueError for a level that the space's candidates do not have."""
    assert space.mixture is not None
    level, levels = config.sharing.level, space.mixture.levels
    if level not in levels:
        raise ValueError(
            f"sharing.level must be one of {', '.join(levels)} with space.family "
            f"{space.recipe.get('family')}, got {level}: its highest is {levels[-1]}"
        )
    assert LEVELS[: len(levels)] == levels


def check_parts(config: Config, space: SearchSpace) -> None:
    """Raise ValueError for channels of which no operation can get the part that pcdarts gives."""
    parts, mixture = config.alpha.parts, space.mixture
    assert mixture is not None
    width = min(space.nodes[edge.source].width for edge in mixture.edges)
    if config.train.strategy == "pcdarts" and width % (2 * parts):
        raise ValueError(
            f"space.channels must be a multiple of {2 * parts}, twice alpha.parts, with "
            f"train.strategy pcdarts, got {width}: set --space.channels "
            f"{-(-width // (2 * parts)) * 2 * parts}"
        )


def make(config: Config, task: Task) -> Bilevel:
    """Make the strategy with the seed's initial weights and halves of the images."""
    half, held = halved(task, config.seed)
    with global_stream(config.seed, "weights"):
        net = MixedNet(
            shared_space(config, task.space),
            level=config.sharing.level,
            normalise=config.sharing.normalises,
            kernels=config.kernels,
        )
        initialise_(net, config.train.initialisation)
        net.to(device_of(config.device))
    steps = steps_per_epoch(len(half.dataset.train), config.train.batch_size)
    rate = falling_rate(config.train, steps)
    method = METHODS[config.train.strategy]()
    return Bilevel(net, method, half, held, config=config, rate=rate, steps=steps)
