"""Searches that are cut off behind a generation, and gone on with."""

from collections.abc import Iterator

import pytest

from stnas import search
from stnas.config import Config
from stnas.search.evaluator import Evaluator


class CutOffError(Exception):
    """The search is cut off."""


def archives_of_cut_searches(config: Config, *names: str) -> Iterator[list[bytes]]:
    """Yield files of a whole search, then those of one that was cut off behind each generation."""
    stage, evaluate = config.folder / "search", Evaluator.evaluate

    def files() -> list[bytes]:
        return [(stage / name).read_bytes() for name in names]

    search.run(config)
    yield files()
    for last in range(config.search.generations):
        stage.rename(config.folder / f"whole{last}")

        def cut(self, genotypes, generation, last=last):
            found = evaluate(self, genotypes, generation)
            if generation == last:
                raise CutOffError
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Evaluator, "evaluate", cut)
            with pytest.raises(CutOffError):
                search.run(config)
        search.run(config)
        yield files()
