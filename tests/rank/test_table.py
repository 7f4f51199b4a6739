"""A public table of accuracies as the ground truth: forms that are read, and what is refused."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stnas import rank, train
from stnas.config import RankConfig
from stnas.learn.task import prepare
from stnas.rank.architectures import of_table
from stnas.rank.table import read_table, rows_of
from stnas.space import SearchSpace
from stnas.store.files import read_json

SPACE = SearchSpace.profile("nas_bench_macro", stages=(2, 2), widths=(8, 12), stem_width=4)
DIGITS = ("0000", "1111", "2222", "0121", "2010")


def write(path, value):
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def entries(value):
    return {digits: value for digits in DIGITS}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.5, [0.5]),
        (93.0, [0.93]),
        ([90.0, 91.5], [0.9, 0.915]),
        ({"test_acc": [90.0, 91.5], "mean_acc": 90.75, "std": 1.0, "flops": 10**8}, [0.9, 0.915]),
        ({"mean_acc": 90.75, "params": 5}, [0.9075]),
        ({"accuracy": 1}, [1.0]),
    ],
)
def test_forms_of_an_entry(value, expected, tmp_path):
    table = read_table(write(tmp_path / "table.json", entries(value)), SPACE)
    assert list(table.values()) == [pytest.approx(expected)] * len(DIGITS)
    assert {"".join(map(str, row)) for row in rows_of(table)} == set(DIGITS)


def test_keys_may_be_texts_of_genotypes(tmp_path):
    texts = {SPACE.format(SPACE.parse_digits(d)): i / 10 for i, d in enumerate(DIGITS)}
    table = read_table(write(tmp_path / "table.json", texts), SPACE)
    assert table[SPACE.parse_digits("2010").tobytes()] == [0.4]


@pytest.mark.parametrize("shape", [(5,), (5, 3)])
def test_npz(shape, tmp_path):
    accuracies = np.random.default_rng(0).uniform(0.5, 0.9, shape)
    np.savez(tmp_path / "table.npz", keys=np.array(DIGITS), accuracies=accuracies)
    table = read_table(tmp_path / "table.npz", SPACE)
    assert table[SPACE.parse_digits("1111").tobytes()] == accuracies[1].reshape(-1).tolist()


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


@pytest.mark.parametrize("suffix", [".json", ".npz", ".pkl"])
def test_pickles_are_refused_and_never_run(suffix, tmp_path):
    mark, file = tmp_path / "mark", tmp_path / f"table{suffix}"
    file.write_bytes(pickle.dumps(Trap(mark)))
    with pytest.raises(ValueError, match="pickled"):
        read_table(file, SPACE)
    objects = np.array([Trap(mark)] * 5, object)
    np.savez(tmp_path / "objects.npz", keys=np.array(DIGITS), accuracies=objects)
    with pytest.raises(ValueError, match="pickled ones are not read"):
        read_table(tmp_path / "objects.npz", SPACE)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "must hold a JSON object.*got a list"),
        (entries(101.0), "from 0 to 100 %, got none such for '0000'"),
        (entries(-0.1), "got none such for '0000'"),
        (entries([]), "got none such for '0000'"),
        (entries("high"), "got none such for '0000'"),
        (entries([0.5, None]), "got none such for '0000'"),
        (entries(True), "got none such for '0000'"),
        (entries({"flops": 3}), "got none such for '0000'"),
        ('{"0000": NaN, "1111": 1, "2222": 1, "0121": 1}', "got none such for '0000'"),
        ({**entries(0.5), "3000": 0.5}, r"got '3000' .*\[0, 2\], got 3"),
        ({**entries(0.5), "00000": 0.5}, "got '00000'"),
        ({**entries(0.5), "|nor_conv|": 0.5}, r"got '\|nor_conv\|'"),
        ({"0000": 0.5}, "must hold 4 architectures or more, got 1"),
    ],
)
def test_wrong_tables_are_refused(content, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read_table(write(tmp_path / "table.json", content), SPACE)


def test_wrong_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="which is no file"):
        read_table(tmp_path / "none.json", SPACE)
    np.savez(tmp_path / "table.npz", keys=np.array(DIGITS), accuracies=np.ones(4))
    with pytest.raises(ValueError, match=r"got shapes \[5\] and \[4\]"):
        read_table(tmp_path / "table.npz", SPACE)
    with pytest.raises(ValueError, match=r"rank\.genotypes must be left out with rank\.table"):
        RankConfig(table="a.json", genotypes="b.txt")


def test_a_sample_of_a_table_is_spread_over_the_madds():
    rows = np.array(list(np.ndindex(3, 3, 3, 3)), np.int8)
    assert len(of_table(SPACE, rows, 81)) == len(of_table(SPACE, rows, 1000)) == 81
    sample = of_table(SPACE, rows, 9)
    madds = np.sort(SPACE.madds(rows))
    ends = [part[[0, -1]] for part in np.array_split(madds, 9)]
    for cost, (low, high) in zip(SPACE.madds(sample), ends, strict=True):
        assert low <= cost <= high


def test_a_ranking_by_a_table_trains_nothing(tiny_config, tmp_path):
    space = prepare(tiny_config).space
    rows = space.sample(12, p_drop=0.5, seed=0)
    accuracies = {space.format(row): [50 + i, 50.5 + i] for i, row in enumerate(rows)}
    options = RankConfig(
        table=str(write(tmp_path / "table.json", accuracies)),
        architectures=8,
        ways=("single", "none"),
        shared_statistics_steps=0,
        resamples=100,
    )
    config = replace(tiny_config, rank=options)
    train.run(config)
    rank.run(config)
    found = read_json(Path(config.run) / "rank/result.json")
    assert len(found["architectures"]) == 8
    for row in found["architectures"]:
        assert row["truth"] == pytest.approx([v / 100 for v in accuracies[row["genotype"]]])
    assert not (Path(config.run) / "truth").exists()
    ceiling = found["table"][-1]
    assert (ceiling["n"], ceiling["tau"]) == (8, 1.0)
