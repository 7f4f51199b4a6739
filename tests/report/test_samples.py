"""Sample images of the page, and the stages' cost and latency beside them."""

from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image

from stnas.config import Config, DataConfig
from stnas.data import load
from stnas.report import run
from stnas.report.effort import duration
from stnas.report.load import load_record
from stnas.report.samples import CLASSES, EACH, samples, shown_classes
from stnas.space.latency import LatencyTable, measured_as
from stnas.store.files import read_json, write_json


@pytest.fixture
def images(tmp_path):
    """Two classes of ten images: black and white ones, of 16 pixels a side."""
    for name, grey in (("bag", 255), ("shoe", 0)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(10):
            picture = np.full((16, 16), abs(grey - number), np.uint8)
            Image.fromarray(picture).save(tmp_path / "images" / name / f"{number}.png")
    return DataConfig(path=str(tmp_path / "images"), validation=0.2)


def of_these_images(folder, data):
    """Let a made-up run say that it was trained on these images."""
    dataset = load(data, seed=0)
    result = read_json(folder / "train/result.json")
    known = {**result["data"], "classes": list(dataset.classes), "fingerprint": dataset.fingerprint}
    write_json(folder / "train/result.json", {**result, "data": known})


def test_every_class_shows_its_test_images(make_run, images):
    folder = make_run(classes=("bag", "shoe"))
    of_these_images(folder, images)
    config = Config(run=str(folder), data=images)
    found = samples(config, load_record(folder))
    assert found.why == ""
    tested = load(images, seed=0).test.labels.bincount().tolist()
    assert [len(found.images[name]) for name in ("bag", "shoe")] == [min(EACH, n) for n in tested]
    assert all(s.picture.startswith("data:image/png") for s in found.images["bag"])
    assert found.images["bag"][0].picture != found.images["shoe"][0].picture
    run(config)
    page = (folder / "report/report.html").read_text()
    assert page.count('<img src="data:image/png;base64,') == sum(min(EACH, n) for n in tested)


@pytest.mark.parametrize("path", ["absent", "other"])
def test_images_that_are_not_at_hand_are_said_and_stop_nothing(make_run, images, tmp_path, path):
    folder = make_run(classes=("bag", "shoe"))
    data = images if path == "other" else DataConfig(path=str(tmp_path / "absent"))
    found = samples(Config(run=str(folder), data=data), load_record(folder))
    assert found.images == {}
    assert found.why.startswith("Images are not shown: ")
    run(Config(run=str(folder), data=data))
    assert "Images are not shown: " in (folder / "report/report.html").read_text()


def test_of_many_classes_the_least_recognised_are_shown(make_run):
    names = tuple(f"class {i}" for i in range(CLASSES + 5))
    folder = make_run(classes=names)
    result = read_json(folder / "retrain/result.json")
    for network in result["networks"]:
        network["test_recalls"] = [None, *(1 - i / 100 for i in range(1, len(names)))]
    write_json(folder / "retrain/result.json", result)
    shown = shown_classes(load_record(folder))
    assert shown == list(reversed(names))[:CLASSES]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.0, "0.0 s"), (119.9, "119.9 s"), (120, "2.0 min"), (9000, "2.5 h")]
)
def test_times_are_said_in_the_unit_that_fits(seconds, words):
    assert duration(seconds) == words


def test_stages_tell_what_they_were_made_with(make_run):
    folder = make_run()
    made = {"stnas": "0.1.0", "torch": "2.13.0", "instructions": "avx2", "torch_instructions": "X"}
    later = {**made, "device": "cpu", "processor": "A Processor <1>"}
    other = {**later, "device": "cuda, A Card"}
    write_json(folder / "train/config.json", {"made_with": [made, later, other]})
    run(Config(run=str(folder)))
    page = (folder / "report/report.html").read_text()
    versions = "stnas 0.1.0, torch 2.13.0, avx2"
    assert f"{versions}; then {versions} on A Processor &lt;1&gt;; then {versions} on cuda" in page


def test_measured_latencies_stand_beside_the_networks(make_run):
    folder = make_run()
    space = load_record(folder).space
    parts = {measured_as(arc): 3000.0 for arc in space.arcs if arc.part is not None}
    table = LatencyTable(space.fingerprint, parts, fixed=500.0, scale=1.0, each=0.0, identity=0.0)
    trust = {"networks": 15, "median": 0.03, "worst": 0.1, "correlation": 0.968}
    facts = {"backend": "onnx", "program": "1.2", "device": "a processor", "threads": 1, "batch": 2}
    write_json(
        folder / "latency/onnx-batch-2-threads-1.json",
        {**facts, "table": table.to_json(), "trust": trust},
    )
    run(Config(run=str(folder)))
    page = (folder / "report/report.html").read_text()
    choice = load_record(folder).choices[0]
    arcs = [a for a in space.arcs_of(space.parse(choice["genotype"])) if a.part is not None]
    assert f"<td>{(500 + 3000 * len(arcs)) / 2000:.1f} µs</td>" in page
    assert "the median error is 3.0 %, the rank correlation 0.968" in page
    assert asdict(table)["fixed"] == 500.0
