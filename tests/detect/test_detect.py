"""Detectors on found networks: what they are given, their training, and their scores."""

import json
import sys
from itertools import pairwise

import pytest
import torch
from PIL import Image
from squares import SMALL

import stnas
from stnas.cli import main
from stnas.config.detect import DetectOptions
from stnas.data.trivial import lack
from stnas.detect.coco import check, open_boxes
from stnas.detect.fit import mirrored, rate
from stnas.detect.scores import score

WORDS = [word for name, value in SMALL.items() for word in (f"--{name}", str(value))]
GOOD = {
    "images": [{"id": 1, "file_name": "a.png", "width": 48, "height": 32}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [2, 4, 10, 8]}],
    "categories": [{"id": 3, "name": "square"}],
}


def trained(run, coco, target, *words):
    main(
        [
            "detect",
            str(run / "retrain/A"),
            "--coco",
            str(coco),
            "--output",
            str(target),
            *WORDS,
            *("--threads", "1"),
            *words,
        ]
    )
    return json.loads((target / "detection.json").read_text())


def test_the_rate_rises_once_and_falls_twice():
    options = DetectOptions(coco="x", epochs=9, learning_rate=0.02)
    rates = [rate(options, step, steps=100) for step in range(900)]
    assert rates[0] == pytest.approx(2e-5)
    assert rates[100] == rates[599] == pytest.approx(0.02)
    assert rates[600] == rates[799] == pytest.approx(0.002)
    assert rates[800] == rates[-1] == pytest.approx(0.0002)
    assert all(a < b for a, b in pairwise(rates[:101]))


def test_mirroring_twice_gives_what_there_was_and_boxes_go_with_their_pixels():
    image = torch.zeros(1, 6, 10)
    image[:, 1:4, 2:5] = 1
    target = {"boxes": torch.tensor([[2.0, 1.0, 5.0, 4.0]]), "labels": torch.tensor([1])}
    turned, there = mirrored(image, target)
    left, top, right, bottom = there["boxes"][0].int().tolist()
    assert turned[:, top:bottom, left:right].min() == 1
    assert turned.sum() == image.sum()
    again, back = mirrored(turned, there)
    assert again.equal(image)
    assert back["boxes"].equal(target["boxes"])


def changed(**parts):
    return {**GOOD, **parts}


def with_box(box):
    return changed(annotations=[{**GOOD["annotations"][0], "bbox": box}])


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([], "no list of objects under 'images'"),
        ({"images": GOOD["images"]}, "no list of objects under 'annotations'"),
        (changed(categories=[3]), "no list of objects under 'categories'"),
        (changed(images=[]), "an empty list of images"),
        (changed(images=[{"id": 1}]), r"images\[0\] without 'file_name'"),
        (changed(images=2 * GOOD["images"]), "two images with one id"),
        (changed(categories=[{"id": 4, "name": "x"}]), "of an image or a category that is not"),
        (with_box([1, 2, 3]), "with the box"),
        (with_box([1, 2, -3, 4]), "with the box"),
        (with_box([1, 2, float("nan"), 4]), "with the box"),
        (with_box("1234"), "with the box"),
    ],
)
def test_annotations_of_another_format_are_refused_by_what_is_wrong(found, message, tmp_path):
    file = tmp_path / "instances_train.json"
    file.write_text(json.dumps(found))
    with pytest.raises(ValueError, match=message):
        check(file)
    file.write_text("{")
    with pytest.raises(ValueError, match="must be JSON"):
        check(file)
    file.write_text(json.dumps(GOOD))
    check(file)


def test_without_its_libraries_it_says_what_to_install(monkeypatch, trained_run):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ImportError, match="detection needs torchvision, which is not installed: "):
        stnas.detector(trained_run, 2)
    monkeypatch.setitem(sys.modules, "torchvision", sys)
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(ImportError, match=r"pip install 'stnas\[detection\]'"):
        stnas.load_detector(trained_run)


def test_a_torchvision_of_another_torch_is_one_to_replace():
    told = lack(RuntimeError("operator torchvision::nms does not exist"))
    assert told.startswith("does not load (operator torchvision::nms does not exist): pip install ")
    assert "--force-reinstall --no-deps torchvision" in told
    assert "--force" not in lack(ModuleNotFoundError("no torchvision"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "coco must be a folder with annotations/instances_train*.json, got none"),
        (["--coco", "x", "--epochs", "0"], "epochs must be 1 or more"),
        (["--coco", "x", "--size", "9"], "size must be 32 or more"),
        (["--coco", "x", "--size", "99", "--max_size", "50"], "max_size must be 99 or more"),
        (["--coco", "x", "--width", "0"], "width must be a factor in [0.1, 10]"),
        (["--coco", "x", "--weights", "old"], "weights must be one of trained, fresh"),
    ],
)
def test_wrong_words_are_refused_by_name(words, message, trained_run, capsys):
    with pytest.raises(SystemExit):
        main(["detect", str(trained_run), *words])
    assert message in " ".join(capsys.readouterr().err.split())


def test_boxes_come_as_they_were_written(squares):
    train, test = open_boxes(squares)
    assert (len(train), len(test)) == (12, 6)
    assert train.classes == ("square", "bar")
    for place in range(len(train)):
        image, target = train.image(place, channels=1), train.target(place)
        for box, label in zip(target["boxes"].int().tolist(), target["labels"], strict=True):
            left, top, right, bottom = box
            assert image[0, top:bottom, left:right].min() > 0.9
            assert (right - left, bottom - top) == ((14, 14), (24, 8))[int(label) - 1]
    assert train.image(0, channels=3).shape == (3, 48, 48)


def test_a_folder_that_is_not_whole_is_refused(squares, tmp_path):
    with pytest.raises(FileNotFoundError, match="got none in"):
        open_boxes(tmp_path)
    copy = tmp_path / "copy"
    (copy / "annotations").mkdir(parents=True)
    for name in ("train2026", "val2026"):
        file = f"annotations/instances_{name}.json"
        (copy / file).write_text((squares / file).read_text())
    with pytest.raises(FileNotFoundError, match="got no such folder: name it so"):
        open_boxes(copy)
    for name in ("train2026", "val2026"):
        (copy / name).mkdir()
    train, _ = open_boxes(copy)
    with pytest.raises(ValueError, match="which cannot be read"):
        train.image(0, channels=1)
    Image.new("L", (20, 48)).save(copy / "train2026/0.png")
    with pytest.raises(ValueError, match="must have the 48 x 48 pixels"):
        train.image(0, channels=1)
    known = json.loads((copy / "annotations/instances_val2026.json").read_text())
    known["categories"].append({"id": 99, "name": "more"})
    (copy / "annotations/instances_val2026.json").write_text(json.dumps(known))
    with pytest.raises(ValueError, match="must have the categories of"):
        open_boxes(copy)


def test_what_is_found_exactly_scores_one_and_nothing_scores_zero(squares):
    _, test = open_boxes(squares)
    exact = [
        {k: own[k] for k in ("image_id", "category_id", "bbox")} | {"score": 0.9}
        for own in test.coco.dataset["annotations"]
    ]
    found = score(test, exact)
    assert found["ap"] == found["ap75"] == pytest.approx(1)
    assert found["classes"] == pytest.approx({"square": 1, "bar": 1})
    assert found["ap_large"] is None
    assert score(test, [])["ap"] == 0
    half = [own for own in exact if own["category_id"] == 7]
    assert score(test, half)["ap"] == pytest.approx(0.5)


def test_a_detector_is_trained_scored_and_comes_back_from_disk(
    squares, trained_run, tmp_path, capsys
):
    found = trained(trained_run, squares, tmp_path / "d")
    assert len(found["losses"]) == 2
    assert 0 <= found["ap"] <= found["ap50"] <= 1
    assert found["machine"]["pycocotools"]
    results = json.loads((tmp_path / "d/found.json").read_text())
    loaded = stnas.load_detector(tmp_path / "d")
    assert loaded.classes == ("square", "bar")
    _, test = open_boxes(squares)
    with torch.no_grad():
        (own,) = loaded([test.image(0, channels=1)])
    first = [row for row in results if row["image_id"] == 0]
    assert [row["score"] for row in first] == [round(s, 5) for s in own["scores"].tolist()]
    capsys.readouterr()
    trained(trained_run, squares, tmp_path / "d")
    assert "is complete" in capsys.readouterr().out


def test_a_stopped_training_ends_as_one_that_was_not(squares, trained_run, tmp_path, at_states):
    whole = trained(trained_run, squares, tmp_path / "whole")

    def stop(_, number):
        if number == 1:
            raise KeyboardInterrupt

    with at_states(stop), pytest.raises(SystemExit):
        trained(trained_run, squares, tmp_path / "stopped")
    assert not (tmp_path / "stopped/detection.json").exists()
    with pytest.raises(SystemExit):
        trained(trained_run, squares, tmp_path / "stopped", "--learning_rate", "0.01")
    again = trained(trained_run, squares, tmp_path / "stopped")
    assert again["losses"] == whole["losses"]
    first, second = (tmp_path / name / "found.json" for name in ("whole", "stopped"))
    assert first.read_text() == second.read_text()
    assert not (tmp_path / "stopped/state.safetensors").exists()


def test_fresh_weights_of_any_width_make_a_detector(squares, trained_run, tmp_path):
    words = ("--weights", "fresh", "--width", "1.5", "--epochs", "1")
    found = trained(trained_run, squares, tmp_path / "wide", *words)
    plain = stnas.detector(trained_run, 2, size=48)
    wide = stnas.load_detector(tmp_path / "wide")
    assert wide.backbone.body.feature_info.channels() == [12, 20]
    assert plain.backbone.body.feature_info.channels() == [8, 12]
    assert found["madds"] == stnas.count_madds(wide.backbone.body, (1, 48, 48))
