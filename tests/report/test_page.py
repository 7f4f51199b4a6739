"""The whole page, from a run folder to HTML."""

import json
import os
from html.parser import HTMLParser

import pytest

from stnas.cli.outcome import network_table
from stnas.config import Config
from stnas.report import run, write_report
from stnas.report.load import load_record
from stnas.report.page import render
from stnas.store.files import read_json, read_rows, write_json, write_rows

HOSTILE = (
    "</script><script>alert('x')</script>",
    "<img src=http://evil.example/x onerror=y>",
    "\u00fc&",
)
VOID = {"meta", "br", "img", "link", "input"}


class Reader(HTMLParser):
    """Collect tags, attributes and texts, and check that tags are closed in order."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.scripts, self.texts = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        (self.scripts if self.open and self.open[-1] == "script" else self.texts).append(data)


def page(folder):
    return write_report(folder).read_text(encoding="utf-8")


def read(folder):
    reader = Reader(page(folder))
    assert reader.open == []
    return reader


def figures(reader):
    return [json.loads(s) for s in reader.scripts if s.startswith('{"data"')]


def genotypes(folder):
    search = json.loads((folder / "search/result.json").read_text())
    retrain = json.loads((folder / "retrain/result.json").read_text())
    return [row["genotype"] for row in search["choices"] + retrain["networks"]]


@pytest.mark.parametrize("profile", ["nano", "parity"])
def test_the_page_shows_every_network(make_run, profile):
    folder = make_run(profile=profile)
    reader = read(folder)
    text = "".join(reader.texts)
    for genotype in genotypes(folder):
        assert genotype in text
    parts = ("fashion", "10,800 / 1,200 / 3,000", "A-random-1", "85.00 %", "+1.00", "madds: 20")
    for part in parts:
        assert part in text
    assert "Not complete" not in text
    assert len(figures(reader)) == 8
    drawn = [tag for tag, attrs in reader.tags if tag == "svg" and attrs.get("role") == "img"]
    shown = {*genotypes(folder), *(row["genotype"] for row in load_record(folder).front)}
    assert len(drawn) == 2 + len(shown)


def test_the_page_loads_nothing(make_run):
    reader = read(make_run(classes=HOSTILE, data=HOSTILE[1]))
    for tag, attrs in reader.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        assert tag != "img" or attrs["src"].startswith("data:image/png;base64,")
        assert tag == "img" or not {"src", "href", "srcset", "action", "data"} & set(attrs)
        assert not any(name.startswith("on") for name in attrs)
    policy = next(a["content"] for t, a in reader.tags if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    style = "".join(reader.texts)
    assert "@import" not in style
    assert "url(" not in style


def test_texts_of_the_run_are_escaped(make_run):
    folder = make_run(classes=HOSTILE, data=HOSTILE[0])
    (folder / "config.yaml").write_text(f"run: {HOSTILE[0]!r}\n# {HOSTILE[1]}\n")
    path = folder / "retrain/result.json"
    result = read_json(path)
    result["networks"][0]["name"] = HOSTILE[0]
    write_json(path, result)
    reader = read(folder)
    plain = read(make_run("plain"))
    assert [tag for tag, _ in reader.tags] == [tag for tag, _ in plain.tags]
    text = "".join(reader.texts)
    for part in HOSTILE:
        assert part in text
    assert not any("alert('x')</script>" in script for script in reader.scripts)


def test_the_page_is_the_same_each_time(make_run):
    folder = make_run()
    assert write_report(folder).read_text() == write_report(folder).read_text()


@pytest.mark.parametrize(
    ("stages", "missing", "count"),
    [
        (("train",), "sgld, search, retrain", 3),
        (("train", "sgld"), "search, retrain", 3),
        (("train", "sgld", "search"), "retrain", 5),
        (("train", "search", "retrain"), "sgld", 8),
    ],
    ids=str,
)
def test_missing_stages_are_said(make_run, stages, missing, count):
    reader = read(make_run(stages=stages))
    assert f"Not complete: {missing}." in "".join(reader.texts)
    assert len(figures(reader)) == count


def test_a_ranking_is_shown_where_it_is_complete(make_run):
    folder = make_run(stages=("train", "sgld", "search", "retrain", "rank"))
    reader = read(folder)
    text = "".join(reader.texts)
    assert "12 architectures were trained from scratch, 16 trainings in all" in text
    for row in read_json(folder / "rank/result.json")["architectures"]:
        assert row["genotype"] in text
    tables = [part.split("</table>")[0] for part in page(folder).split("<table")]
    main, variants = (next(t for t in tables if f">{word}<" in t) for word in ("weights", "loss"))
    assert ">0.64 (n 12)</td><td>0.34 to 0.89</td><td>+0.14 to +0.19</td>" in main
    assert ">\u2014</td><td>0.74</td><td>100 %</td><td>1.25</td>" in main
    for part in ("(this one)", "multiply-adds alone", "parameters alone", "truth, seed to seed"):
        assert part in main
        assert part not in variants
    assert "accuracy, not recalibrated" in variants
    assert "Not complete" not in text
    assert "60.0 s" in text
    assert len(figures(reader)) == 13


def test_a_way_without_scores_is_said(make_run):
    folder = make_run(stages=("train", "rank"))
    assert "No scores by" not in "".join(read(folder).texts)
    result = read_json(folder / "rank/result.json")
    write_json(folder / "rank/result.json", {**result, "failed": {"literal": "a loss is NaN"}})
    assert "No scores by literal: a loss is NaN" in "".join(read(folder).texts)


def test_a_ranking_is_not_missed(make_run):
    folder = make_run()
    write_rows(folder / "rank/scores.jsonl", [])
    text = "".join(read(folder).texts)
    assert "Ranking" not in text
    assert "Not complete" not in text


def test_texts_of_a_ranking_are_escaped(make_run):
    def spoilt(name, **words):
        folder = make_run(name, stages=("train", "rank"))
        ranked, scored = folder / "rank/result.json", folder / "rank/scores.jsonl"
        result, rows = read_json(ranked), read_rows(scored)
        for row in (*result["table"], *rows):
            row["way"] = words.get(row["way"], row["way"])
        chains = result["posterior"].items()
        result["posterior"] = {words.get(way, way): found for way, found in chains}
        result["architectures"][0]["genotype"] = words.get("genotype", "st1")
        result["failed"] = {words.get("none", "literal"): words.get("posterior", "not finite")}
        write_json(ranked, result)
        write_rows(scored, rows)
        return read(folder)

    reader = spoilt("hostile", none=HOSTILE[0], posterior=HOSTILE[1], genotype=HOSTILE[1])
    assert [tag for tag, _ in reader.tags] == [tag for tag, _ in spoilt("plain").tags]
    assert all(part in "".join(reader.texts) for part in HOSTILE[:2])
    drawn = [script for script in reader.scripts if script.startswith('{"data"')]
    assert not any("<" in script for script in drawn)
    assert not any("<img" in json.dumps(figure) for figure in figures(reader))


def test_a_search_that_goes_on_is_shown(make_run):
    folder = make_run(stages=("train", "sgld", "search"))
    (folder / "search/result.json").unlink()
    (folder / "search/front.json").unlink()
    reader = read(folder)
    assert "Not complete: search, retrain." in "".join(reader.texts)
    assert [trace["name"] for trace in figures(reader)[0]["data"]] == ["evaluated", "selected"]
    assert "60 networks are evaluated; the least loss has st1-" in "".join(reader.texts)


def test_retraining_that_goes_on_is_shown(make_run):
    folder = make_run(stages=("train", "sgld", "search"))
    rows = read_rows(folder / "metrics.jsonl")
    row = {"stage": "retrain", "network": "A", "loss": 1.0, "accuracy": 0.5}
    (folder / "retrain").mkdir()
    write_rows(folder / "metrics.jsonl", [*rows, {**row, "epoch": 0}, {**row, "epoch": 1}])
    assert [trace["name"] for trace in figures(read(folder))[-1]["data"]] == ["A"]


def test_charts_hold_the_numbers_of_the_run(make_run):
    folder = make_run()
    scatter, retrained, volume, spread, training, *_ = figures(read(folder))
    by_name = {trace["name"]: trace for trace in scatter["data"]}
    rows = [json.loads(row) for row in (folder / "search/archive.jsonl").read_text().splitlines()]
    assert by_name["evaluated"]["x"] == [row["madds"] for row in rows]
    assert by_name["evaluated"]["text"] == [row["genotype"] for row in rows]
    assert by_name["evaluated"]["marker"]["color"][0] == 1
    assert by_name["front"]["x"] == sorted(by_name["front"]["x"])
    assert len(by_name["chosen"]["x"]) == 2
    by_name = {trace["name"]: trace for trace in retrained["data"]}
    assert len(by_name["found networks"]["x"]) == 2
    assert by_name["random networks"]["y"] == pytest.approx([84.0, 84.0])
    assert volume["data"][0]["x"] == [1, 2, 3, 4, 5, 6]
    assert 99.5 < sum(spread["data"][0]["y"]) <= 100 + 1e-9
    notes = [note["text"] for note in spread["layout"]["annotations"]]
    assert notes == ["mean", "target", "A", "B"]
    assert training["data"][1]["x"] == [13, 14, 15, 16]


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_numbers_in_no_file_are_said_and_left_out(make_run, kind, capsys):
    folder = make_run()
    place = folder / "metrics.jsonl"
    place.unlink()
    {
        "folder": place.mkdir,
        "pipe": lambda: os.mkfifo(place),
        "device": lambda: place.symlink_to("/dev/zero"),
    }[kind]()
    assert read(folder).texts
    assert f"{place} must be a file" in capsys.readouterr().out.replace("\n", " ")


def test_a_run_without_metrics_and_configuration_has_a_page(make_run):
    folder = make_run(stages=("train",))
    (folder / "metrics.jsonl").unlink()
    (folder / "config.yaml").unlink()
    reader = read(folder)
    assert "No epoch is recorded." in "".join(reader.texts)
    assert len(figures(reader)) == 1


def test_no_training_is_an_error_that_names_the_command(make_run, tmp_path):
    folder = make_run(stages=("search",))
    with pytest.raises(FileNotFoundError, match=r"is missing.*run `stnas train --run .*run` first"):
        write_report(folder)
    assert not (folder / "report").exists()
    with pytest.raises(FileNotFoundError, match="stnas train"):
        run(Config(run=str(tmp_path / "absent")))


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("train/result.json", b"{", "is damaged"),
        ("train/result.json", {"version": 3}, "was not written by this version"),
        ("train/result.json", {}, "must hold .*space, .*got none of seconds, epochs, space"),
        ("search/result.json", {}, "must hold .*choices"),
        ("search/front.json", {}, "must hold front"),
        ("search/front.json", {"front": {}}, "must hold a list of rows, got dict"),
        ("search/archive.jsonl", [{}], "must hold genotype, .*got none of genotype"),
        ("search/archive.jsonl", [], "damaged .it has 0 rows and not 60"),
        (
            "retrain/result.json",
            {"seconds": 1, "networks": [3]},
            "must hold genotype, .*name, role",
        ),
        ("retrain/result.json", {"seconds": 1, "networks": [], "bits": 8}, "got bits of a later"),
        ("rank/result.json", {}, "must hold .*architectures, table, posterior"),
        ("rank/scores.jsonl", [{}], "must hold way, weights, .*got none of way"),
        ("rank/scores.jsonl", [], "damaged .it lacks scores of single, none, posterior, finetune"),
        ("config.yaml", b"# stnas version: 1, checksum: 0", "is not as it was written"),
    ],
)
def test_damaged_files_are_named(make_run, file, content, message):
    folder = make_run(stages=("train", "sgld", "search", "retrain", "rank"))
    path = folder / file
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        (write_rows if isinstance(content, list) else write_json)(path, content)
    with pytest.raises(ValueError, match=rf"{file} .*{message}"):
        write_report(folder)


def test_the_stage_writes_the_configured_folder(make_run):
    folder = make_run()
    run(Config(run=str(folder)))
    assert (folder / "report/report.html").stat().st_size > 4_000_000
    assert [path.name for path in (folder / "report").iterdir()] == ["report.html"]


def test_the_lead_is_over_the_mean_of_the_twins(make_run):
    """It is neither that over the best twin nor over the twins of another network."""
    folder = make_run()
    result = read_json(folder / "retrain/result.json")
    first, twin, *others = result["networks"]
    accuracies = {"A-random-1": 0.5, "A-random-2": 0.75, "A-random-3": 0.625}
    twins = [{**twin, "name": name, "test_accuracy": a} for name, a in accuracies.items()]
    networks = [{**first, "test_accuracy": 0.875}, *twins, *others]
    write_json(folder / "retrain/result.json", {**result, "networks": networks})
    assert "+25.00" in "".join(read(folder).texts)


@pytest.mark.parametrize("difference", [0.0, 0.25])
def test_balanced_accuracy_stands_beside_accuracy_where_they_differ(make_run, difference):
    folder = make_run()
    result = read_json(folder / "retrain/result.json")
    for network in result["networks"]:
        network["test_balanced_accuracy"] = network["test_accuracy"] - difference
        network["test_recalls"] = [0.875, None]
    write_json(folder / "retrain/result.json", result)
    text = page(folder)
    assert text.count("87.5 %") == 2
    assert ("the mean of the classes' recalls" in text) == bool(difference)
    balanced = f"{100 * (result['networks'][0]['test_accuracy'] - difference):.2f} %"
    assert (balanced in text.partition("<h2>Every candidate</h2>")[0]) or not difference
    table = network_table(result["networks"])
    assert ("least recall" in [column.header for column in table.columns]) == bool(difference)
    assert len(table.columns) == (8 if difference else 6)


def test_the_cost_that_was_searched_by_has_a_column(make_run):
    networks = read_json(make_run() / "retrain/result.json")["networks"]
    networks[0]["bitops"] = 1234567
    table = network_table(networks, "bitops")
    heads = [column.header for column in table.columns]
    assert heads[:4] == ["network", "MAdds", "parameters", "bitops"]
    assert list(table.columns[3].cells) == ["1,234,567", *["-"] * (len(networks) - 1)]
    assert "of the same bitops" in table.title


@pytest.mark.parametrize("name", [b"caf\xe9 [/x]", b"[bold]a", b":dog:", b"a 'b' \"c\" & <d>"])
def test_names_of_any_bytes_have_a_page_and_are_printed_as_they_are(make_run, name, capsys):
    text = os.fsdecode(name)
    folder = make_run(text, data=text, classes=(text, "b"))
    run(Config(run=str(folder)))
    assert (folder / "report/report.html").read_text(encoding="utf-8")
    shown = name.decode(errors="replace")
    assert f"{shown}/report/report.html\n" in capsys.readouterr().out


def decided(folder, winner):
    """Write a verdict for which another candidate of the archive won under the first limit."""
    search = read_json(folder / "search/result.json")
    first = search["choices"][0]
    other = {**first, **winner, "name": "A", "limit": first["limit"]}
    judged = [
        {
            "genotype": row["genotype"],
            "rung": rung,
            "epochs": end,
            "loss": loss,
            "accuracy": 0.5,
            "seconds": 1.0,
        }
        for row, rung, end, loss in [
            (other, 0, 2, 0.75),
            (first, 0, 2, 0.875),
            (other, 1, 6, 0.4375),
        ]
    ]
    contest = {"limit": first["limit"], "low": 0.0, "ranking": [{**other, "loss": 1.5}, first]}
    contest["ranking"][1] = {**first, "loss": 1.25}
    result = {"seconds": 7.0, "ends": [2, 6], "candidates": [contest], "judged": judged}
    write_json(folder / "verdict/result.json", {**result, "choices": [other], "unmet": []})
    return other


def winner_of(folder):
    rows = read_rows(folder / "search/archive.jsonl", origin=None)
    known = {row["genotype"] for row in read_json(folder / "search/result.json")["choices"]}
    return next(row for row in rows if row["genotype"] not in known)


def test_the_verdicts_choice_is_drawn_and_its_contest_is_shown(make_run):
    folder = make_run(stages=("train", "sgld", "search"))
    other = decided(folder, winner_of(folder))
    record = load_record(folder)
    assert [row["genotype"] for row in record.choices] == [other["genotype"]]
    page = render(record)
    assert "<h2>Verdict: " in page
    for text in ("loss after 2 epochs", "loss after 6 epochs", "0.4375", "0.8750", "1.2500"):
        assert text in page


def test_what_was_retrained_without_the_verdict_is_what_is_drawn(make_run):
    folder = make_run()
    searched = [row["genotype"] for row in read_json(folder / "search/result.json")["choices"]]
    decided(folder, winner_of(folder))
    assert [row["genotype"] for row in load_record(folder).choices] == searched


def test_a_page_without_a_verdict_says_nothing_of_one(make_run):
    assert "<h2>Verdict: " not in render(load_record(make_run()))
