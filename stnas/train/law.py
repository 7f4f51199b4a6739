"""What architectures training will draw, told before it starts."""

import numpy as np

from stnas.config import Config
from stnas.learn.task import Task
from stnas.space.warmup import WarmUp

DRAWS, BARS, WIDTH = 2000, 8, 40


def describe_law(config: Config, task: Task) -> str:
    """Say how the costs of the first ``DRAWS`` architectures are spread, as a histogram."""
    sampler, lines = task.sampler, list[str]()
    if isinstance(sampler, WarmUp):
        lines.append(
            f"train: the largest scale alone for {sampler.first:,} steps, then a smaller one more"
            f" every {sampler.every:,.0f}; with all of them:"
        )
        sampler = sampler.sampler
    drawn = np.stack([sampler.genotype(step) for step in range(DRAWS)])
    cost = task.space.costs.get("bitops", task.space.madds_cost)
    costs = np.asarray(cost(drawn))
    lines.append(
        f"train: {config.train.sampling} draws networks of {costs.mean():,.0f} {cost.unit} on "
        f"average, standard deviation {costs.std():,.0f}, {costs.min():,} to {costs.max():,}"
    )
    counts, ends = np.histogram(costs, BARS)
    for count, low, high in zip(counts.tolist(), ends[:-1], ends[1:], strict=True):
        bar = "#" * round(WIDTH * count / max(counts))
        share = f"{100 * count / DRAWS:.1f} %"
        lines.append(f"train: {low:>13,.0f} to {high:>13,.0f} {share:>7} {bar}")
    return "\n".join(lines)
