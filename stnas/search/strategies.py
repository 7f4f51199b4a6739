"""Search by the configured strategy."""

from stnas.config import SearchConfig
from stnas.search import nsga2
from stnas.search.candidates import Bounds
from stnas.search.exploration import Evaluate, Report, explore
from stnas.search.objectives import Candidate
from stnas.search.spos import EliteEvolution
from stnas.search.windows import windows


def evolve(
    bounds: Bounds,
    config: SearchConfig,
    limits: list[float],
    *,
    p_drop: float,
    seed: int,
    evaluate: Evaluate,
    report: Report,
) -> list[Candidate]:
    """Search for networks under limits; return every one that was evaluated, in order."""
    if config.strategy == "nsga2":
        aims = windows(config, limits)
        return nsga2.evolve(
            bounds, config, aims, p_drop=p_drop, seed=seed, evaluate=evaluate, report=report
        )
    parents = config.elite if config.strategy == "spos" else 0
    explorer = EliteEvolution(bounds, config, limits, p_drop=p_drop, parents=parents)
    return explore(explorer, config.generations, seed=seed, evaluate=evaluate, report=report)
