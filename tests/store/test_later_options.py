"""What is wrong is told before the work, and what changes no computed value may change later."""

import shutil
from pathlib import Path

import pytest

from stnas.cli import main
from stnas.config import Config
from stnas.report.load import load_record
from stnas.store.files import read_json, read_rows, write_json, write_rows
from stnas.store.tensors import read_tensors, write_tensors

IMAGES = Path(__file__).parent / "data" / "version_1" / "images.npz"
TINY = f"""--threads 1 --seed 5 --data.path {IMAGES} --data.crop_padding 0 --space.profile nano
--space.stages [2,1] --space.widths [4,4] --space.kernels [3] --space.expands [1,2]
--space.branch_distances [2] --space.tail_width 4 --space.stem_stride 1 --train.epochs 1
--train.batch_size 8 --train.checkpoints 0 --sgld.samples 2 --search.population 3
--search.generations 2 --search.recalibration_images 16 --search.limits [9000]
--verdict.candidates 0 --retrain.epochs 1 --retrain.batch_size 8 --retrain.warmup_epochs 0
--retrain.random_twins 0""".split()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make a whole run."""
    folder = tmp_path_factory.mktemp("made") / "run"
    main(["run", "--run", str(folder), *TINY])
    return folder


@pytest.fixture
def run(made, tmp_path):
    """Copy it."""
    return Path(shutil.copytree(made, tmp_path / "run"))


def error(capsys, *words):
    """Return the error that a command ends with."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    assert stop.value.code == 1
    return capsys.readouterr().err.replace("\n", "")


def contents(folder, *patterns):
    return {f: f.read_bytes() for pattern in patterns for f in folder.rglob(pattern)}


@pytest.mark.parametrize(
    ("option", "value", "message", "mended"),
    [
        ("train.batch_size", "80", "train.batch_size must be at most", "64"),
        ("retrain.batch_size", "90", "retrain.batch_size must be at most", "64"),
        ("search.madds_max", "10", "misses what the space reaches", "20000"),
        ("search.limits", "[10,9000]", "search.limits must admit an architecture each", "[9000]"),
        ("search.params_min", "1e9", "misses what the space reaches", "1"),
    ],
)
def test_what_a_later_stage_cannot_do_is_told_before_the_first(
    tmp_path, capsys, option, value, message, mended
):
    run = tmp_path / "run"
    told = error(capsys, "run", "--run", run, *TINY, f"--{option}", value)
    assert message in told
    assert not list(run.glob("*/*"))
    assert not (run / "config.yaml").exists()
    main(["train", "--run", str(run), *TINY, f"--{option}", mended])
    assert (run / "train/result.json").exists()


@pytest.mark.parametrize("value", [".inf", "inf", ".nan", "-.inf"])
def test_a_bound_that_is_no_number_is_refused_with_its_key(tmp_path, capsys, value):
    for key in ("search.madds_max", "search.params_min", "search.limits"):
        with pytest.raises(SystemExit):
            main(["train", "--run", str(tmp_path / "run"), *TINY, f"--{key}={value}"])
        assert key in capsys.readouterr().err


def test_a_stage_that_has_only_its_configuration_begins_anew_with_another(run, capsys):
    for stage in ("sgld", "search", "retrain"):
        config = (run / stage / "config.json").read_bytes()
        shutil.rmtree(run / stage)
        (run / stage).mkdir()
        (run / stage / "config.json").write_bytes(config)
    main(["sgld", "--run", str(run), "--sgld.samples", "3"])
    assert len(list((run / "sgld").glob("sample-*"))) == 3
    told = error(capsys, "sgld", "--run", run, "--sgld.samples", "2")
    assert "sgld.samples: 3, now 2" in told


def test_what_must_go_is_named_and_then_it_works(run, capsys):
    told = error(capsys, "train", "--run", run, "--train.epochs", "2")
    folders = told.partition("or delete ")[2].partition(" and begin")[0].split(", ")
    assert folders == [str(run / name) for name in ("train", "sgld", "search", "retrain")]
    for folder in folders:
        shutil.rmtree(folder)
    main(["run", "--run", str(run), "--train.epochs", "2"])
    assert read_json(run / "train/result.json")["epochs"] == 2


def test_other_limits_choose_anew_without_a_search(run, monkeypatch, capsys):
    before = contents(run, "*.safetensors", "archive.jsonl")
    old = read_json(run / "search/result.json")["choices"]
    from stnas.learn import scoring

    monkeypatch.setattr(scoring, "shared_weights", lambda *_: pytest.fail("weights were loaded"))
    main(["search", "--run", str(run), "--search.limits", "[7000,15000]"])
    monkeypatch.undo()
    found = read_json(run / "search/result.json")
    assert found["choices"][0]["limit"] == 7000
    assert {choice["limit"] for choice in (*found["choices"], *found["unmet"])} == {7000, 15000}
    main(["retrain", "--run", str(run)])
    assert all(file.read_bytes() == content for file, content in before.items())
    networks = read_json(run / "retrain/result.json")["networks"]
    assert [n["genotype"] for n in networks] == [c["genotype"] for c in found["choices"]]
    main(["search", "--run", str(run), "--search.limits", "[9000]"])
    assert read_json(run / "search/result.json")["choices"] == old
    capsys.readouterr()
    main(["retrain", "--run", str(run)])
    assert "epoch" not in capsys.readouterr().out
    main(["report", "--run", str(run)])


def test_other_options_of_retraining_come_beside(run, capsys):
    before = contents(run / "retrain", "network.*")
    result = (run / "retrain/result.json").read_bytes()
    main(["retrain", "--run", str(run), "--retrain.epochs", "2"])
    assert "retrain: the networks before stay, listed in" in capsys.readouterr().out
    assert all(file.read_bytes() == content for file, content in before.items())
    assert result in [file.read_bytes() for file in (run / "retrain").glob("result-*.json")]
    (network,) = read_json(run / "retrain/result.json")["networks"]
    assert len(network["history"]) == 2
    assert len(list((run / "retrain").glob("A*"))) == 2
    main(["report", "--run", str(run)])
    capsys.readouterr()
    main(["retrain", "--run", str(run), "--retrain.epochs", "1"])
    assert "epoch" not in capsys.readouterr().out
    assert len(read_json(run / "retrain/result.json")["networks"][0]["history"]) == 1


def test_scores_by_the_trained_weights_need_no_samples(run):
    for stage in ("sgld", "search", "retrain"):
        shutil.rmtree(run / stage)
    main(["run", "--run", str(run), "--search.score", "single"])
    assert not (run / "sgld").exists()
    assert (run / "report/report.html").exists()


@pytest.mark.parametrize("stage", ["search", "retrain", "report"])
@pytest.mark.parametrize("fault", ["gone", "cut", "swapped"])
def test_files_that_are_not_as_they_were_left_are_noticed(run, capsys, stage, fault):
    file, other = (run / f"sgld/{name}.safetensors" for name in ("mean", "sample-001"))
    if fault == "gone":
        file.unlink()
    elif fault == "cut":
        file.write_bytes(file.read_bytes()[:-8])
    else:
        file.write_bytes(other.read_bytes())
    told = error(capsys, stage, "--run", run)
    assert str(file) in told
    assert "result.json" in told


def test_a_sample_under_another_number_is_drawn_again(run, capsys):
    file = run / "sgld/sample-001.safetensors"
    tensors, metadata = read_tensors(run / "sgld/sample-000.safetensors")
    good = file.read_bytes()
    write_tensors(file, tensors, **{n: v for n, v in metadata.items() if n != "version"})
    (run / "sgld/result.json").unlink()
    main(["sgld", "--run", str(run)])
    assert "holds sample 0 and not 1" in capsys.readouterr().out.replace("\n", " ")
    assert file.read_bytes() == good


def test_other_versions_are_said_and_not_mixed_unasked(run, monkeypatch, capsys):
    from stnas.store import stage_record, stage_records

    (run / "sgld/result.json").unlink()
    other = {**stage_record.environment(Config()), "torch": "9.9"}
    for module in (stage_record, stage_records):
        monkeypatch.setattr(module, "environment", lambda _: other)
    told = error(capsys, "sgld", "--run", run)
    assert "now '9.9'" in told
    assert "--allow_mixed true" in told
    main(["sgld", "--run", str(run), "--allow_mixed", "true"])
    told = capsys.readouterr().out.replace("\n", " ")
    assert "was made in another environment: torch" in told
    made_with = read_json(run / "sgld/config.json")["made_with"]
    assert [made["torch"] for made in made_with][1:] == ["9.9"]


def test_another_processor_of_the_same_instructions_is_recorded_and_goes_on(run, monkeypatch):
    from stnas.store import stage_record

    (run / "sgld/result.json").unlink()
    monkeypatch.setattr(stage_record, "processor", lambda: "another")
    main(["sgld", "--run", str(run)])
    before, now = read_json(run / "sgld/config.json")["made_with"]
    assert now == {**before, "processor": "another"}
    assert before["processor"] not in ("", "another")


def write_with(file, result, **more):
    """Write a file again as a release would that knows further keys; result: of its stage."""
    if file.suffix == ".jsonl":
        origin = read_json(result)["origin"]
        rows = [{**row, **more} for row in read_rows(file, origin=origin)]
        write_rows(file, rows, origin=origin)
    else:
        write_json(file, {**read_json(file), **more})
    if file != result:
        result.unlink()


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("train/result.json", "sgld"),
        ("sgld/result.json", "search"),
        ("search/result.json", "retrain"),
        ("search/archive.jsonl", "search"),
        ("search/front.json", "search"),
        ("retrain/A/network.json", "retrain"),
    ],
)
def test_what_a_later_release_wrote_is_refused_by_name_and_the_repair_works(
    run, capsys, file, command
):
    path, result = run / file, run / file.partition("/")[0] / "result.json"
    write_with(path, result, bit_operations=7)
    text = error(capsys, command, "--run", run, *TINY)
    assert f"{path} must hold what stnas" in text
    assert "got bit_operations of a later release: upgrade stnas, or delete it" in text
    path.unlink()
    result.unlink(missing_ok=True)
    main(["run", "--run", str(run), *TINY])
    assert (run / "retrain/result.json").exists()


def test_the_numbers_of_a_stage_that_was_deleted_go_with_it(run):
    def numbers():
        rows = read_rows(run / "metrics.jsonl", origin=None)
        return [(row["stage"], row.get("epoch", row.get("generation"))) for row in rows]

    before = numbers()
    assert {stage for stage, _ in before} == {"train", "sgld", "search", "retrain"}
    for stage in ("search", "retrain"):
        shutil.rmtree(run / stage)
    assert {row["stage"] for row in load_record(run).metrics} == {"train", "sgld"}
    main(["search", "--run", str(run), *TINY, "--search.generations", "1"])
    kept = [(stage, unit) for stage, unit in before if stage in ("train", "sgld")]
    assert numbers() == [*kept, ("search", 0)]
