"""A run in Python: its stages as methods, and what they left as typed values."""

from pathlib import Path
from typing import Self, cast

import torch
from plotly.graph_objects import Figure

from stnas.classifier import Classifier, load, networks_of
from stnas.config import Config
from stnas.config.keys import build
from stnas.group.torchrun import joined
from stnas.learn.comparison import Lead, leads
from stnas.pipeline.configuration import (
    QUICKSTART,
    configured,
    of_files,
    of_options,
    run_settings,
)
from stnas.pipeline.stages import STAGES, run_stages
from stnas.pipeline.tables import run_html
from stnas.report import write_report
from stnas.report.charts import charts
from stnas.report.decision import decision
from stnas.report.load import Record, load_record
from stnas.store.console import say
from stnas.store.names import REPORT, RESULT
from stnas.store.rows import CandidateRow, ChoiceRow, NetworkRow

WHOLE = "run"


def run(*sources: str | Path | Config, stage: str = WHOLE, **options: object) -> "Run":
    """Run all stages that a run needs, or one, and return the run; complete ones are skipped.

    sources, options: as ``configure`` takes them, or a configuration. It is what ``stnas run``,
    ``stnas quickstart`` (the source ``quickstart``) and ``stnas STAGE`` do.
    """
    first = sources[0] if sources else None
    if isinstance(first, Config):
        if len(sources) > 1 or options:
            raise ValueError(
                "sources must be one configuration alone, or names of recipes and files, got a "
                "configuration with more beside it: give all of them to stnas.configure"
            )
        return Run(first).go(stage)
    words = [str(source) for source in sources]
    command = QUICKSTART if QUICKSTART in words else WHOLE
    config, said = configured(command, {**of_files(command, words), **of_options(options)})
    if said is not None:
        say(said)
    return Run(config).go(stage)


class Run:
    """A run folder: what lies in it, read when it is asked for, and stages to run on it.

    A stage that has not run raises FileNotFoundError, which names the command, where its results
    are asked for.
    """

    def __init__(self, run: str | Path | Config) -> None:
        """Name a run by its folder, whose configuration counts, or by a configuration."""
        given = {} if isinstance(run, Config) else {"run": str(run)}
        folder = run.folder if isinstance(run, Config) else Path(run).expanduser()
        self.config: Config = (
            run if isinstance(run, Config) else build({**run_settings(folder), **given})
        )

    @property
    def folder(self) -> Path:
        """Return the run folder."""
        return self.config.folder

    @property
    def complete(self) -> list[str]:
        """List the stages that are complete."""
        files = {name: self.folder / name / RESULT for name in STAGES}
        files["report"] = self.folder / REPORT
        return [name for name, file in files.items() if file.exists()]

    def go(self, stage: str = WHOLE) -> Self:
        """Run a stage, or all that the run needs; return the run."""
        if stage not in (*STAGES, WHOLE):
            raise ValueError(
                f"stage must be one of {', '.join((*STAGES, WHOLE))}, got {stage!r}: correct it"
            )
        if self.config.threads is not None:
            torch.set_num_threads(self.config.threads)
        with joined(self.config.timeout) as group:
            run_stages(stage, self.config, group)
        return self

    def train(self) -> Self:
        """Train the hyper-network."""
        return self.go("train")

    def sgld(self) -> Self:
        """Draw samples of the shared weights."""
        return self.go("sgld")

    def search(self) -> Self:
        """Search architectures."""
        return self.go("search")

    def verdict(self) -> Self:
        """Train candidates near each limit and decide between them."""
        return self.go("verdict")

    def rank(self) -> Self:
        """Measure how far shared weights rank as training from scratch does."""
        return self.go("rank")

    def retrain(self) -> Self:
        """Train the choices from scratch, beside networks of their size."""
        return self.go("retrain")

    def report(self) -> Path:
        """Write the page and return its file."""
        return write_report(self.folder, config=self.config)

    @property
    def record(self) -> Record:
        """Return everything that the stages left: results, archive, metrics, ranking."""
        return load_record(self.folder)

    @property
    def front(self) -> list[CandidateRow]:
        """Return the front of the search."""
        return self.record.front

    @property
    def choices(self) -> list[ChoiceRow]:
        """Return what was chosen under each limit: by the verdict, or by a later search alone."""
        results = self.record.results
        decided, searched = (
            cast(list[ChoiceRow], results.get(stage, {}).get("choices", []))
            for stage in ("verdict", "search")
        )
        alike = {row["limit"] for row in decided} == {row["limit"] for row in searched}
        return decided if alike else searched

    @property
    def networks(self) -> list[NetworkRow]:
        """Return the networks that were trained from scratch."""
        return self.record.networks

    @property
    def leads(self) -> list[Lead]:
        """Return how far each chosen network leads random and hand-made ones of its size."""
        return leads(self.networks)

    @property
    def figures(self) -> dict[str, Figure]:
        """Return the charts of the page by name, as Plotly figures."""
        return charts(self.record)

    def load(self, name: str | None = None) -> Classifier:
        """Load a network by its name, such as A; the largest chosen one without."""
        return load(
            networks_of(self.folder)[-1] if name is None else self.folder / "retrain" / name
        )

    def __repr__(self) -> str:
        """Say where the run lies and what is complete."""
        return f"Run({str(self.folder)!r}): {', '.join(self.complete) or 'nothing'} complete"

    def _repr_html_(self) -> str:
        """Show in a notebook what was found, networks and leads."""
        if "retrain" not in self.complete:
            return run_html([repr(self)], [], [])
        record = self.record
        told = decision(record)
        lines = [repr(self), *told["found"], told["verdict"]]
        return run_html(lines, record.networks, leads(record.networks))
