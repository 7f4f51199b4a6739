"""The page about rankings says what the committed study says."""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import ranking_study
    import ranking_text
    import record

    yield ranking_study, ranking_text, record
    for name in ("ranking_study", "ranking_text", "record"):
        del sys.modules[name]


def test_the_tables_of_the_page_are_those_of_the_study(study):
    _, text, record = study
    rows, calibration = record.load("ranking"), record.load("ranking_calibration")
    tables = {"skips": text.skip_table(record.load("skip_blocks"))}
    for name in ("fashion", "cifar"):
        own = [row for row in rows if row["set"] == name]
        tables[f"tau {name}"] = text.tau_table(own)
        tables[f"variants {name}"] = text.variant_table(own)
        stated = [row for row in calibration if row["set"] == name]
        tables[f"calibration {name}"] = text.calibration_table(stated)
    page = text.PAGE.read_text()
    assert text.filled(page, tables) == page
    with pytest.raises(ValueError, match="one place for the table nowhere, got 0"):
        text.filled(page, {"nowhere": ""})


@pytest.mark.parametrize("way", [("none", "parameters"), ("posterior", "scores")], ids="-".join)
def test_the_figures_of_the_study_are_those_of_its_scores(study, way):
    """The baseline and a rival are computed again from the committed scores and trainings."""
    measured, _, record = study
    rows = record.load("ranking")
    for found in measured.studies():
        assert len(found.truth) >= 36
        assert len(found.lines) >= 5
        key = (*way, "own", "accuracy")
        again = found.row(key, found.resampled(measured.REFERENCE))
        names = ("set", "way", "form", "statistics", "measure")
        (saved,) = [r for r in rows if tuple(r[n] for n in names) == (found.name, *key)]
        assert {k: str(v) for k, v in again.items()} == {
            k: v for k, v in saved.items() if k in again
        }
