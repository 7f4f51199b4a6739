"""Training moves the activated tensors alone, and a stopped run goes on as if it had not."""

from dataclasses import replace

import pytest
import torch

from stnas import sgld, train
from stnas.group.streams import derive
from stnas.learn.single_path import cosine, train_step_
from stnas.learn.task import build_supernet, prepare
from stnas.space.topology import edges_of
from stnas.store.files import read_rows
from stnas.store.run_folder import RunFolder
from stnas.store.tensors import read_tensors


class KilledError(BaseException):
    """Stands for a kill, which nothing can catch."""


def killing(number):
    """Kill what runs after the state of that number."""

    def act(_, nth):
        if nth == number:
            raise KilledError

    return act


def tensors(path):
    return read_tensors(path)[0]


def same(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(value, second[name]) for name, value in first.items()
    )


@pytest.mark.parametrize("mode", ["none", "posterior", "relative", "literal"])
def test_inactive_tensors_stay_the_same_byte_for_byte(tiny_config, mode):
    task = prepare(tiny_config)
    supernet = build_supernet(tiny_config, task.space)
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    genotype = task.sampler.genotype(0)
    split = task.dataset.train
    train_step_(
        supernet,
        genotype,
        split.images[:16].float() / 255,
        split.labels[:16],
        lr=0.1,
        weight_decay=1e-2,
        mode=mode,
        rho=0.05,
        num_data=432,
        seed=0,
        step=0,
    )
    active = {
        f"blocks.{edge.index}.{edge.choices[genotype[edge.index]].name}."
        for edge in edges_of(task.space)
    }
    for name, value in supernet.state_dict().items():
        moves = name.startswith(("stem.", "tail.", *active))
        assert torch.equal(value, before[name]) != moves, name


def test_the_whole_stage_learns_and_is_reproducible(tiny_config, tmp_path):
    train.run(tiny_config)
    rows = read_rows(tmp_path / "run" / "metrics.jsonl", origin=None)
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert rows[-1]["accuracy"] > 0.4
    train.run(replace(tiny_config, run=str(tmp_path / "again")))
    files = [tmp_path / run / "train" / "weights.safetensors" for run in ("run", "again")]
    assert same(*map(tensors, files))
    train.run(replace(tiny_config, run=str(tmp_path / "other"), seed=4))
    assert not same(tensors(files[0]), tensors(tmp_path / "other/train/weights.safetensors"))


def test_a_stopped_run_goes_on_to_the_same_weights(tiny_config, tmp_path, at_states):
    for stage in (train, sgld):
        stage.run(replace(tiny_config, run=str(tmp_path / "whole")))
    for stage, often in ((train, 1e9), (sgld, 0.0)):
        with at_states(killing(1)), pytest.raises(KilledError):
            stage.run(replace(tiny_config, save_every=often))
        assert not (tmp_path / "run" / stage.__name__.split(".")[1] / "result.json").exists()
        stage.run(tiny_config)
    for file in ("train/weights", "sgld/sample-002", "sgld/mean"):
        name = f"{file}.safetensors"
        assert same(tensors(tmp_path / "run" / name), tensors(tmp_path / "whole" / name)), name
    assert not (tmp_path / "run/train/state.safetensors").exists()


def test_the_target_of_madds_sets_p_drop(tiny_config):
    space = prepare(tiny_config).space
    target = space.expected_madds(0.3)
    config = replace(tiny_config, train=replace(tiny_config.train, madds=target))
    assert prepare(config).p_drop == pytest.approx(0.3)
    with pytest.raises(ValueError, match="reachable range"):
        prepare(replace(tiny_config, train=replace(tiny_config.train, madds=1e12)))


@pytest.mark.parametrize("sampling", ["p_drop", "uniform", "fair", "bins"])
def test_what_is_drawn_is_what_moves(tiny_config, tmp_path, sampling):
    """Three steps, each with the architecture that the sampler of that name gives it."""
    options = replace(tiny_config.train, sampling=sampling, epochs=1, batch_size=144)
    config = replace(tiny_config, train=options)
    train.run(config)
    task = prepare(config)
    start = build_supernet(config, task.space)
    parameters = [name for name, _ in start.named_parameters()]
    drawn = {
        parameters[i]
        for step in range(3)
        for i in start.active_parameters(task.sampler.genotype(step))
    }
    trained = tensors(tmp_path / "run/train/weights.safetensors")
    before = dict(start.named_parameters())
    moved = {name for name in parameters if not torch.equal(trained[name], before[name])}
    assert moved == drawn != set(parameters)


def test_a_loss_that_is_not_finite_stops_before_anything_moves(tiny_config):
    task = prepare(tiny_config)
    supernet = build_supernet(tiny_config, task.space)
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    genotype = task.sampler.genotype(7)
    with pytest.raises(FloatingPointError, match=f"step 7 .*{task.space.format(genotype)}"):
        train_step_(
            supernet,
            genotype,
            torch.full((4, 1, 12, 12), float("nan")),
            torch.zeros(4, dtype=torch.long),
            lr=0.1,
            weight_decay=0.0,
            mode="none",
            seed=0,
            step=7,
        )
    assert same(supernet.state_dict(), before)


def test_a_batch_larger_than_the_images_is_refused_before_any_work(tiny_config, tmp_path):
    config = replace(tiny_config, train=replace(tiny_config.train, batch_size=433))
    with pytest.raises(ValueError, match="number of images to train on = 432, got 433"):
        train.run(config)
    assert not (tmp_path / "run/train/weights.safetensors").exists()


def test_other_images_than_the_trained_ones_are_refused(tiny_config):
    train.run(tiny_config)
    task = prepare(tiny_config)
    with RunFolder(tiny_config) as run:
        result = run.result("train")
        assert result["data"]["fingerprint"] == task.dataset.fingerprint
        run.finish("train", {**result, "data": {**result["data"], "fingerprint": "0" * 16}})
    with pytest.raises(ValueError, match=r"data\.path gives other images"):
        sgld.run(tiny_config)


def test_the_cosine_goes_from_start_to_end():
    rates = [cosine(step, steps=10, start=0.1, end=0.01) for step in range(12)]
    assert rates[0] == 0.1
    assert rates[5] == pytest.approx(0.055)
    assert rates[10] == rates[11] == pytest.approx(0.01)
    assert rates == sorted(rates, reverse=True)


def test_streams_of_different_purposes_differ():
    seeds = {derive(seed, word, i) for seed in (0, 1) for word in ("a", "b") for i in range(50)}
    assert len(seeds) == 200
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_weights_of_the_last_epochs_and_moving_averages_are_kept(tiny_config, tmp_path, at_states):
    """The averages are those of all steps' weights, also where a run was stopped in between."""
    options = replace(tiny_config.train, checkpoints=2, ema=(0.9, 0.99))
    config, seen = replace(tiny_config, train=options), []
    whole = replace(config, run=str(tmp_path / "whole"), save_every=0.0)
    with at_states(lambda path, _: seen.append(tensors(path))):
        train.run(whole)
    names = build_supernet(config, prepare(config).space).state_dict()
    seen = [{name: weights[name] for name in names} for weights in seen]
    assert len(seen) == 81
    for decay in options.ema:
        shares = [decay ** (len(seen) - 1 - t) for t in range(len(seen))]
        average = tensors(tmp_path / f"whole/train/ema-{decay}.safetensors")
        for name, value in average.items():
            expected = sum(s * w[name].double() for s, w in zip(shares, seen, strict=True))
            torch.testing.assert_close(value.double(), expected / sum(shares), rtol=1e-4, atol=1e-6)
    steps = len(seen) // 3
    for epoch in (1, 2):
        kept = tensors(tmp_path / f"whole/train/epoch-{epoch:04d}.safetensors")
        assert same(kept, seen[(epoch + 1) * steps - 1])
    assert not (tmp_path / "whole/train/epoch-0000.safetensors").exists()
    with at_states(killing(2)), pytest.raises(KilledError):
        train.run(config)
    train.run(config)
    for file in sorted((tmp_path / "whole/train").glob("*.safetensors")):
        assert same(tensors(file), tensors(tmp_path / "run/train" / file.name)), file.name
