"""Which architectures are compared."""

from pathlib import Path

import numpy as np

from stnas.config import Config
from stnas.learn.task import Task
from stnas.rank.table import rows_of
from stnas.space import Cost, Genotypes, SearchSpace

DRAWN = 4096


def architectures(
    config: Config, task: Task, table: dict[bytes, list[float]] | None = None
) -> Genotypes:
    """Return the architectures to compare ``[n, genes]``, by rising size, each network once.

    The same for every seed of the run: those of a file, or a stratified sample: of the table's,
    where there is a table of accuracies, of random ones otherwise.
    """
    space, options = task.space, config.rank
    if table is not None:
        return of_table(space, rows_of(table), options.architectures)
    if options.genotypes is not None:
        return sorted_by_size(space, listed(space, Path(options.genotypes).expanduser()))
    return stratified(space, options.architectures, p_drop=task.p_drop)


def size(space: SearchSpace) -> Cost:
    """Return the cost that networks are spread and ranged by: BitOps where there are any."""
    return space.costs.get("bitops", space.madds_cost)


def sorted_by_size(space: SearchSpace, genotypes: Genotypes) -> Genotypes:
    """Sort rows by size, equal ones by their genes."""
    order = np.lexsort((*genotypes.T[::-1], np.asarray(size(space)(genotypes))))
    return genotypes[order]


def listed(space: SearchSpace, file: Path) -> Genotypes:
    """Read one genotype a line; ValueError for fewer than 4 different networks."""
    if not file.is_file():
        raise FileNotFoundError(
            f"rank.genotypes must be a file with one genotype a line, got {file}, which is none: "
            "correct the path"
        )
    texts = [line.strip() for line in file.read_text().splitlines() if line.strip()]
    rows = np.array([space.parse(text) for text in texts]).reshape(-1, space.num_genes)
    found = distinct(space, rows)
    if len(found) < 4:
        raise ValueError(
            f"rank.genotypes must list 4 different networks or more, got {len(found)} in {file}: "
            "a ranking of fewer says nothing; add some"
        )
    return found


def distinct(space: SearchSpace, genotypes: Genotypes) -> Genotypes:
    """Keep the first genotype of every network, and none that ignores the image."""
    genotypes = genotypes[space.is_useful(genotypes)]
    _, first = np.unique(space.canonical(genotypes), return_index=True)
    return genotypes[np.sort(first)]


def stratified(space: SearchSpace, count: int, *, p_drop: float) -> Genotypes:
    """Draw one architecture from each of ``count`` equally probable ranges of the size.

    The ranges are those of a sample of 4,096 of the sampler's architectures, the first of which
    in a range is taken. ValueError: the space has too few networks.
    """
    drawn = distinct(space, space.sample(DRAWN, p_drop=p_drop, seed=0))
    if len(drawn) < count:
        raise ValueError(
            f"rank.architectures must be at most {len(drawn)}, the different networks among "
            f"{DRAWN:,} random ones, got {count}: ask for fewer"
        )
    return one_a_range(space, drawn, count)


def of_table(space: SearchSpace, rows: Genotypes, count: int) -> Genotypes:
    """Take all networks of a table, or so many, one from each range of equally many by size."""
    rng = np.random.Generator(np.random.Philox(0))
    rows = distinct(space, sorted_by_size(space, rows))
    if len(rows) <= count:
        return rows
    return one_a_range(space, rng.permutation(rows), count)


def one_a_range(space: SearchSpace, drawn: Genotypes, count: int) -> Genotypes:
    """Take the first row of each of ``count`` ranges of the size that hold equally many."""
    order = np.argsort(np.asarray(size(space)(drawn)), kind="stable")
    ranges = np.array_split(order, count)
    return sorted_by_size(space, drawn[[members.min() for members in ranges]])


def repeated(count: int, total: int) -> list[int]:
    """Pick ``count`` of ``total`` positions, evenly spread."""
    count = min(count, total)
    return [int((i + 0.5) * total / count) for i in range(count)]
