"""How long all stages of a run will take, told once training has a speed."""

from stnas.config import Config
from stnas.learn.task import Task
from stnas.store.stages import whole_run

RETRAINED, SCORED = 1.6, 12.0
"""Images a second of a network alone, and of a candidate that is scored, over those of the
hyper-network in training: what the quickstarts in README.md took on three processors, rounded."""
MIXED = 6.0
"""Images a second of a network alone over those of a mixture, whose edges compute all candidates:
what networks of ``darts`` took beside mixtures of both levels, rounded."""


def forecast(config: Config, task: Task, images_per_second: float, left: float) -> str:
    """Say how long the stages of a run take at a speed of training.

    left: epochs of training that are still to come.
    """
    return told(work(config, task, left), images_per_second)


def told(counts: dict[str, float], images_per_second: float) -> str:
    """Say how long stages take that work through so many images."""
    seconds = {name: count / images_per_second for name, count in counts.items()}
    parts = ", ".join(f"{name} {duration(value)}" for name, value in seconds.items() if value)
    return f"time: about {duration(sum(seconds.values()))} for a whole run here ({parts})"


def work(config: Config, task: Task, left: float) -> dict[str, float]:
    """Return what each stage works through, in images that the hyper-network trains on."""
    return work_of(config, len(task.dataset.train), len(task.dataset.validation), left)


def work_of(config: Config, train: int, held: int, left: float) -> dict[str, float]:
    """Return the same for so many images to train on and held-out ones."""
    derived = config.search.strategy == "derived"
    choices = 1 if derived else len(config.search.limits or config.search.limit_shares or (0, 0))
    alone = MIXED if config.train.mixes else RETRAINED
    networks = choices * (1 + config.retrain.random_twins + len(config.retrain.baselines))
    own = train + held * config.retrain.with_validation
    each = min(config.search.recalibration_images, train) + held
    drawn = config.sgld.samples if config.search.score == "score_avg" else 1
    candidates = 1 if derived else config.search.population * config.search.generations
    found = {
        "train": left * train / (2 if config.train.mixes else 1),
        "sgld": (config.sgld.samples - 1) * train,
        "search": candidates * each * drawn / SCORED,
        "verdict": choices * verdict_epochs(config) * train / alone,
        "retrain": networks * config.retrain.epochs * own / alone,
    }
    return {stage: found[stage] for stage in whole_run(config) if stage in found}


def verdict_epochs(config: Config) -> float:
    """Return about how many epochs the verdict trains for a limit."""
    options = config.verdict
    if options.epochs is not None:
        return options.epochs * (options.reduction + options.candidates / options.reduction)
    rest = config.train.epochs + config.retrain.epochs
    return options.share / (1 - options.share) * rest


def duration(seconds: float) -> str:
    """Format a time for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
