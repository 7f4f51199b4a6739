"""The stages of a run, in order: what each depends on, and what may change later."""

from dataclasses import dataclass

from stnas.config import Config

BASE = ("seed", "kernels", "space", "data", "train", "sharing", "alpha")


@dataclass(frozen=True)
class Stage:
    """A stage, whose name is its command, its package, its section and its folder in a run.

    purpose: what ``--help`` says. sections: of the configuration, that determine its result.
    reads: the stages that it reads from. remade: keys that may change later: what the stage has
    kept holds, and its result is made anew from it. beside: keys that may change later, too: what
    is made then comes beside what there is. stands: keys that may change later while the result
    stands. alone: ``stnas run`` leaves it out.
    """

    name: str
    purpose: str
    sections: tuple[str, ...]
    reads: tuple[str, ...] = ()
    remade: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    stands: tuple[str, ...] = ()
    alone: bool = False


STAGES = (
    Stage("train", "train the hyper-network, one architecture a step", BASE),
    Stage(
        "sgld",
        "draw samples of the shared weights and average them",
        (*BASE, "sgld"),
        reads=("train",),
    ),
    Stage(
        "search",
        "search architectures of few multiply-adds and high accuracy",
        (*BASE, "sgld", "search"),
        reads=("train", "sgld"),
        remade=("search.limits", "search.limit_shares"),
    ),
    Stage(
        "verdict",
        "train the best candidates near each limit, and choose who wins",
        (*BASE, "sgld", "search", "verdict", "retrain"),
        reads=("train", "sgld", "search"),
        remade=(
            "search.limits",
            "search.limit_shares",
            "retrain.random_twins",
            "retrain.baselines",
            "retrain.with_validation",
        ),
        stands=("retrain",),
    ),
    Stage(
        "rank",
        "measure how far a ranking by shared weights can be trusted",
        (*BASE, "sgld", "search", "rank", "retrain"),
        reads=("train",),
        remade=(
            "retrain",
            "search.limits",
            "search.limit_shares",
            "rank.truth",
            "rank.truth_epochs",
            "rank.truth_seeds",
            "rank.repeated",
            "rank.ways",
            "rank.bands",
            "rank.resamples",
        ),
        alone=True,
    ),
    Stage(
        "retrain",
        "train the chosen networks from scratch, beside random ones of their size",
        (*BASE, "sgld", "search", "verdict", "retrain"),
        reads=("train", "sgld", "search", "verdict"),
        remade=("search.limits", "search.limit_shares", "retrain.widths"),
        beside=("retrain",),
    ),
    Stage(
        "report",
        "write one HTML page about the run",
        (),
        reads=("train",),
    ),
)
"""Every stage, in the order of the work."""
BY_NAME = {stage.name: stage for stage in STAGES}


def needed(name: str, config: Config) -> bool:
    """Tell whether a run needs a stage: ``search.score single`` takes no samples, for one.

    A derived cell of NAS-Bench-201 is not retrained: public tables have its accuracy.
    """
    samples, candidates = config.search.score != "single", config.verdict.candidates > 0
    by_table = config.search.strategy == "derived" and config.space.family == "nb201"
    return {"sgld": samples, "verdict": candidates, "retrain": not by_table}.get(name, True)


def whole_run(config: Config) -> list[str]:
    """List the stages that ``stnas run`` goes through."""
    return [stage.name for stage in STAGES if not stage.alone and needed(stage.name, config)]


def sections_of(name: str, config: Config) -> tuple[str, ...]:
    """List the sections of a configuration that determine a stage's result."""
    stage = BY_NAME[name]
    unread = [name for name in stage.reads if not needed(name, config)]
    return tuple(part for part in stage.sections if part not in unread)


def reads(name: str, config: Config) -> tuple[str, ...]:
    """List the stages that a stage reads from."""
    return tuple(stage for stage in BY_NAME[name].reads if needed(stage, config))
