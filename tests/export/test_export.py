"""Files that leave: each computes what the network does, and says what it is."""

import json

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import stnas
from stnas.cli import main
from stnas.export import forms
from stnas.export.forms import FORMS
from stnas.export.graph import Inside, Scaled, graph, sources
from stnas.export.parity import in_batches, parity

INSIDES = [Inside(), Inside(normalise=True), Inside(source_size=(30, 20))]


def exported(run, tmp_path, *words):
    main(["export", str(run / "retrain/A"), "--output", str(tmp_path), "--threads", "1", *words])
    return json.loads((tmp_path / "card.json").read_text())


def needs(word):
    for module in FORMS[word].needs:
        pytest.importorskip(module, reason=f"pip install 'stnas[{FORMS[word].extra}]'")


@pytest.mark.parametrize("inside", INSIDES, ids=str)
@pytest.mark.parametrize("word", ["onnx", "torch-export", "openvino"])
def test_a_file_computes_what_the_network_does_for_any_number_of_images(
    word, inside, trained_run, tmp_path
):
    needs(word)
    form, made = FORMS[word], stnas.load(trained_run, kernels="reference")
    module, file = graph(made, inside), tmp_path / f"a.{form.suffix}"
    x = sources(torch.randn(7, 1, 12, 12), made.preprocess, inside)
    form.write(module, x[:2], file)
    compute = form.read(file, 1)
    with torch.no_grad():
        for count in (1, 3, 7):
            assert_close(compute(x[:count]), module(x[:count]), atol=1e-4, rtol=1e-4)


def test_the_graph_of_pixels_equals_the_network_of_prepared_images(trained_run):
    made = stnas.load(trained_run, kernels="reference")
    pixels = torch.randint(0, 256, (4, 1, 12, 12), dtype=torch.uint8)
    with torch.no_grad():
        expected = made(made.preprocess(pixels))
        found = graph(made, Inside(normalise=True))(pixels.float())
    assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("size", [(12, 12), (24, 12), (13, 31), (50, 12)], ids=str)
def test_scaling_inside_the_graph_is_that_of_preprocessing_but_for_rounding(size, trained_run):
    preprocess = stnas.load(trained_run).preprocess
    rows, columns = torch.arange(size[0])[:, None], torch.arange(size[1])
    pixels = (4 * rows + 3 * columns).clamp(max=255).to(torch.uint8).expand(2, 1, -1, -1)
    found = Scaled(size, preprocess)(pixels.float())
    gap = (found - preprocess.pixels(pixels).float()).abs()
    assert found.shape == (2, 1, 12, 12)
    assert gap.max() < 5
    assert size != (12, 12) or gap.max() == 0


def test_the_command_writes_file_and_card_of_every_choice(trained_run, capsys):
    main(["export", str(trained_run), "--to", "safetensors", "--threads", "1"])
    names = [p.name for p in (trained_run / "retrain").iterdir() if len(p.name) == 1]
    for name in names:
        folder = trained_run / "export" / name
        assert stnas.load(folder / f"{name}.safetensors").description["name"] == name
        card = json.loads((folder / "card.json").read_text())
        assert card["test_accuracy_half_interval"] > 0
        assert card["largest_difference"] < 1e-3
        assert f"| multiply-adds | {card['madds']:,} |" in (folder / "README.md").read_text()
    assert "largest difference of a logit" in capsys.readouterr().out


@pytest.mark.parametrize("words", [(), ("--source_size", "[20,28]")], ids=str)
def test_int8_tells_both_accuracies(words, trained_run, tmp_path):
    needs("onnx")
    card = exported(trained_run, tmp_path, "--int8", "true", "--calibration", "64", *words)
    assert (tmp_path / card["int8"]["file"]).exists()
    description = stnas.load(trained_run / "retrain/A").description
    slack = 0.1 if words else 0.01  # Pixels are repeated, and scaled back by other shares.
    assert card["int8"]["before"] == pytest.approx(description["test_accuracy"], abs=slack)
    assert card["int8"]["after"] > 0.25
    assert not list(tmp_path.glob("*.prepared"))


def test_a_file_that_computes_something_else_is_not_kept(trained_run, tmp_path, monkeypatch):
    def other(graph, example, file):
        write = forms.write_program
        write(nn.Sequential(graph, nn.Hardtanh(0.0, 0.1)).eval(), example, file)

    wrong = FORMS["torch-export"]._replace(write=other)
    monkeypatch.setitem(FORMS, "torch-export", wrong)
    with pytest.raises(SystemExit):
        exported(trained_run, tmp_path, "--to", "torch-export")
    assert not list(tmp_path.glob("*.pt2"))


def test_parity_counts_what_is_not_finite():
    logits = torch.tensor([[1.0, 2.0], [3.0, 0.0]])
    assert parity(logits, logits + 1e-4).holds
    assert not parity(logits, logits + 0.1).holds
    assert not parity(logits, torch.full_like(logits, torch.nan)).holds
    with pytest.raises(RuntimeError, match="logits of shape"):
        parity(logits, logits[:1])
    assert in_batches(lambda x: x + 1, logits, size=1).equal(logits + 1)


def test_a_missing_extra_says_what_to_install(trained_run, tmp_path, monkeypatch, capsys):
    missing = FORMS["onnx"]._replace(needs=("no_such_module",))
    monkeypatch.setitem(FORMS, "onnx", missing)
    with pytest.raises(SystemExit):
        exported(trained_run, tmp_path)
    assert "pip install 'stnas[export]'" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "must be given a run or a network"),
        (["NOWHERE"], "must be the folder of a run whose networks are trained"),
        (["RUN", "--to", "tflite"], "to must be one of safetensors, onnx"),
        (["RUN", "--int8", "true", "--to", "openvino"], "int8 must come with --to onnx"),
        (["RUN", "--to", "safetensors", "--normalise", "true"], "must be left out with --to"),
        (["RUN", "--source_size", "[3,3]"], "source_size must be a height and a width"),
        (["RUN", "more"], "unexpected word 'more'"),
        (["RUN", "--images", "0"], "images must be 1 or more"),
    ],
)
def test_wrong_words_are_refused_by_name(words, message, trained_run, tmp_path, capsys):
    places = {"RUN": str(trained_run), "NOWHERE": str(tmp_path / "nowhere")}
    with pytest.raises(SystemExit):
        main(["export", *(places.get(word, word) for word in words)])
    assert message in " ".join(capsys.readouterr().err.split())
