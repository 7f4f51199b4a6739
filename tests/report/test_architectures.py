"""What the page says of architectures: drawings, differences, layers and stages."""

import json

import pytest

from stnas.report.architectures import DRAWN, architectures, compared, layers, operations
from stnas.report.load import load_record
from stnas.store.files import read_json, write_json


@pytest.fixture
def record(make_run):
    return load_record(make_run())


def test_choices_come_first_and_nothing_twice(record):
    drawn = architectures(record)
    assert [row["name"] for row in drawn[:4]] == ["A", "B", "A-random-1", "B-random-1"]
    assert len({row["genotype"] for row in drawn}) == len(drawn) <= DRAWN
    assert {row["genotype"] for row in record.front} <= {row["genotype"] for row in drawn}
    assert drawn[0]["test_accuracy"] == record.networks[0]["test_accuracy"]


def test_arcs_and_ends_add_up_to_the_multiply_adds(record):
    for row, own in zip(architectures(record)[:2], layers(record), strict=True):
        total = sum(layer["madds"] for layer in own["rows"])
        assert total == row["madds"]
        assert sum(layer["share"] for layer in own["rows"]) == pytest.approx(1)
        assert 0 < sum(madds for _, _, madds in row["arcs"]) < total


def test_stages_name_the_operations_and_their_share(record):
    rows = operations(record)
    assert len(rows) == record.space.nodes[-1].stage + 1
    shares = [int(row["cells"][0].rsplit(": ")[1].removesuffix(" %")) for row in rows]
    whole = architectures(record)[0]
    inside = sum(madds for _, _, madds in whole["arcs"]) / whole["madds"]
    assert sum(shares) == pytest.approx(100 * inside, abs=2)


def test_what_is_compared_is_json_that_may_stand_in_a_script(record):
    rows = architectures(record)
    rows[0]["name"] = "</script>"
    text = str(compared(rows))
    assert "<" not in text
    assert json.loads(text)[0]["name"] == "</script>"
    assert "svg" not in json.loads(text)[0]


def test_networks_that_were_asked_for_are_what_is_drawn(make_run):
    folder = make_run()
    result = read_json(folder / "retrain/result.json")
    first, twin = result["networks"][:2]
    other = {**first, "name": "G1", "genotype": result["networks"][3]["genotype"]}
    write_json(folder / "retrain/result.json", {**result, "networks": [other, twin]})
    record = load_record(folder)
    assert [row["name"] for row in record.choices] == ["G1"]
    assert record.choices[0]["accuracy"] == first["validation_accuracy"]
