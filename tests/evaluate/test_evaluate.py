"""Figures of a classifier, against closed forms, and what the command writes."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import stnas
from stnas.classifier import save
from stnas.cli import main
from stnas.evaluate.figures import figures


@given(
    labels=st.lists(st.integers(0, 6), min_size=1, max_size=40),
    seed=st.integers(0, 99),
)
def test_figures_are_the_counts(labels, seed):
    logits = torch.randn(len(labels), 7, generator=torch.Generator().manual_seed(seed))
    found = figures(logits, torch.tensor(labels), tuple("abcdefg"))
    answers = logits.argmax(1).tolist()
    pairs = list(zip(labels, answers, strict=True))
    assert found.top1 == pytest.approx(sum(a == b for a, b in pairs) / len(pairs))
    order = logits.argsort(1, descending=True)[:, :5].tolist()
    assert found.top5 == pytest.approx(
        sum(a in best for a, best in zip(labels, order, strict=True)) / len(labels)
    )
    for true in range(7):
        assert found.confusion[true] == [pairs.count((true, answer)) for answer in range(7)]
        own, given = labels.count(true), answers.count(true)
        recall, precision = found.classes[true].recall, found.classes[true].precision
        assert recall == (pairs.count((true, true)) / own if own else None)
        assert precision == (pairs.count((true, true)) / given if given else None)
    recalls = [c.recall for c in found.classes if c.recall is not None]
    assert found.balanced == pytest.approx(sum(recalls) / len(recalls))
    falling = [found.losses[row] for row in found.hardest]
    assert falling == sorted(falling, reverse=True)


def test_few_classes_have_no_five_best():
    assert figures(torch.eye(3), torch.arange(3), ("a", "b", "c")).top5 is None


def test_the_command_writes_what_retraining_found(trained_run, tmp_path, capsys):
    main(["evaluate", str(trained_run / "retrain/A"), "--output", str(tmp_path), "--threads", "1"])
    found = json.loads((tmp_path / "evaluation.json").read_text())
    known = stnas.load(trained_run / "retrain/A").description
    assert found["top1"] == pytest.approx(known["test_accuracy"])
    assert [c["recall"] for c in found["classes"]] == pytest.approx(known["test_recalls"])
    assert f"top-1 accuracy: {100 * found['top1']:.2f} %" in capsys.readouterr().out


def test_the_page_shows_wrong_answers_alone(trained_run, tmp_path):
    words = ["--output", str(tmp_path), "--part", "train", "--worst", "5", "--threads", "1"]
    main(["evaluate", str(trained_run / "retrain/A"), *words])
    found = json.loads((tmp_path / "evaluation.json").read_text())
    page = (tmp_path / "evaluation.html").read_text()
    wrong = round((1 - found["top1"]) * found["images"])
    assert page.count("<figure>") == min(5, wrong)
    assert 'src="http' not in page


def test_an_exported_file_is_evaluated_on_a_folder_of_its_classes(
    trained_run, tiny_images, tmp_path, capsys
):
    file = tmp_path / "one.safetensors"
    save(stnas.load(trained_run / "retrain/A"), file)
    main(["evaluate", str(file), "--data.path", str(tiny_images), "--threads", "1"])
    found = json.loads((tmp_path / "one-evaluation/evaluation.json").read_text())
    known = stnas.load(file).description
    assert found["top1"] == pytest.approx(known["test_accuracy"])
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["evaluate", str(file), "--data.path", "embedded"])
    assert "data.path must have the classes of the network" in capsys.readouterr().err
