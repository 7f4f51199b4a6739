"""The mutants of the kernels: how they are made, and what the committed run says."""

import json
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def mutants(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield import_module("mutants")
    for name in ("mutants", "record"):
        sys.modules.pop(name, None)


def test_every_place_of_a_line_is_changed(mutants):
    line = "  if (a < 3 && b[i] <= c) x = y * z + 1;  // a < b"
    found = {changed.strip() for changed in mutants.changes(line)}
    assert found == {
        "if (a <= 3 && b[i] <= c) x = y * z + 1;",
        "if (a < 3 && b[i] < c) x = y * z + 1;",
        "if (a < 3 && b[i] <= c) x = y * z - 1;",
        "if (a < 3 && b[i] <= c) x = y + z + 1;",
        "if (a < 3 || b[i] <= c) x = y * z + 1;",
        "if (a < 4 && b[i] <= c) x = y * z + 1;",
        "if (a < 3 && b[i] <= c) x = y * z + 2;",
    }
    assert not list(mutants.changes("// a < b")) + list(mutants.changes("template <int N + 1>"))


def test_mutants_have_names_of_their_own_and_a_draw_holds_the_smaller_ones(mutants):
    every = [mutant for file in mutants.files() for mutant in mutants.mutants(file)]
    assert len({mutant.key for mutant in every}) == len(every)
    few, more = ({mutant.key for mutant in mutants.drawn(most)} for most in (3, 12))
    assert few < more
    assert max(Counter(key[0] for key in few).values()) == 3


def test_every_survivor_has_a_reason(mutants):
    rows = import_module("record").load("mutation")
    assert all(row["reason"] for row in rows if row["caught_by"] == "none")
    head = (ROOT / "benchmarks/results/mutation.csv").read_text().splitlines()[0]
    total = json.loads(head.removeprefix("# "))["mutants_in_all"]
    page = (ROOT / "docs/cuda.md").read_text()
    assert mutants.summary(rows, total) in page
