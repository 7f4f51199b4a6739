"""The scores of a ranking, kept in ``scores.jsonl`` as they are made."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from stnas.learn.evaluation import Evaluation
from stnas.store.files import encode_rows, rows_before_damage, write_whole
from stnas.store.rows import ScoreRow, typed_rows

Statistics = Literal["own", "running"]
"""BN statistics: recalibrated for the architecture alone, or those of running training."""
Key = tuple[str, str, Statistics]
"""Way, weights (such as ``mean`` or ``sample-003``) and BN statistics."""


class Ledger:
    """Accuracies and losses by way, weights and statistics, for ``count`` architectures.

    Lines behind a damaged one are made again; the log says so.
    """

    def __init__(self, file: Path, count: int, *, origin: str, say: Callable[[str], None]) -> None:
        self.file, self.count = file, count
        rows = rows_before_damage(file, origin=origin, say=say)
        self.lines, self.mark = encode_rows(rows, before=origin)
        self.rows = typed_rows(ScoreRow, rows, file)

    def add_(self, key: Key, rows: Sequence[int], results: Sequence[Evaluation]) -> None:
        """Write the scores of some architectures."""
        way, weights, statistics = key
        line: ScoreRow = {
            "way": way,
            "weights": weights,
            "statistics": statistics,
            "rows": list(rows),
            "accuracy": [result.accuracy for result in results],
            "loss": [result.loss for result in results],
        }
        text, self.mark = encode_rows([line], before=self.mark)
        self.lines += text
        self.rows.append(line)
        write_whole(self.file, self.lines)

    def known(self, key: Key) -> list[int]:
        """List the architectures that have a score."""
        return [i for line in self.rows if key_of(line) == key for i in line["rows"]]

    def has(self, key: Key) -> bool:
        """Tell whether all architectures have a score."""
        return len(self.known(key)) == self.count


def key_of(line: ScoreRow) -> Key:
    """Return the key of a line."""
    return line["way"], line["weights"], cast(Statistics, line["statistics"])


def vectors(
    lines: Sequence[ScoreRow], count: int, name: Literal["accuracy", "loss"]
) -> dict[Key, NDArray[Any]]:
    """Collect ``name`` (accuracy or loss) of ``count`` architectures by key; NaN: no score."""
    found: dict[Key, NDArray[Any]] = {}
    for line in lines:
        values = found.setdefault(key_of(line), np.full(count, np.nan))
        values[line["rows"]] = line[name]
    return found
