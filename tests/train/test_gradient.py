"""Search by gradients: the strategies' formulas, resuming, the derived cell, and bad input."""

from dataclasses import replace

import pytest
import torch
from torch.func import functional_call
from torch.nn import functional

from stnas import report, retrain, search, sgld, train
from stnas.config import AlphaConfig, Config, SharingConfig, SpaceConfig
from stnas.learn.halves import halved
from stnas.learn.task import prepare
from stnas.space.cells.darts_text import write
from stnas.store.files import read_json, read_rows
from stnas.store.stages import whole_run
from stnas.supernet.mixture import Soft
from stnas.train.gradient import Bilevel, make
from stnas.train.gradient.betadarts import penalty
from stnas.train.gradient.darts import SecondOrder
from stnas.train.gradient.gdas import gumbel, straight

STRATEGIES = ["darts1", "darts2", "gdas", "betadarts", "pcdarts"]


def mixing(config: Config, strategy="darts1", level="merge", **changes) -> Config:
    """Return a configuration of a search by gradients on few images."""
    options = {
        "strategy": strategy, "epochs": 2, "batch_size": 8, "learning_rate": 0.1, "momentum": 0.9,
        "final_learning_rate": 0.01, "checkpoints": 1, **changes,
    }  # fmt: skip
    return replace(
        config,
        space=SpaceConfig(family="nb201", channels=4 if strategy == "pcdarts" else 2),
        alpha=AlphaConfig(parts=2),
        data=replace(config.data, train_limit=48),
        train=replace(config.train, **options),
        sharing=SharingConfig(level=level),
        search=replace(config.search, strategy="derived", score="single", recalibration_images=24),
    )


def batch_of(strategy: Bilevel, step: int):
    split = strategy.task.dataset.train
    rows = torch.arange(8 * step, 8 * step + 8) % len(split)
    return split.images[rows].float() / 255, split.labels[rows]


def bits(strategy: Bilevel):
    return {name: value.clone() for name, value in strategy.state().items()}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_training_goes_on_from_every_step_to_the_same_bits(strategy, tiny_config, tmp_path):
    config = mixing(tiny_config, strategy)
    task = prepare(config)
    whole, states = make(config, task), []
    for step in range(5):
        states.append(bits(whole))
        whole.update_(*batch_of(whole, step), step)
    wanted = whole.state()
    assert any(not torch.equal(value, states[0][name]) for name, value in wanted.items())
    for begin, state in enumerate(states):
        again = make(config, task)
        again.load_(dict(state), tmp_path)
        for step in range(begin, 5):
            again.update_(*batch_of(again, step), step)
        assert all(torch.equal(value, wanted[name]) for name, value in again.state().items())


def test_classes_are_weighed_as_the_configuration_says(tiny_config):
    config = mixing(tiny_config)
    config = replace(config, data=replace(config.data, balance="weights"))
    strategy = make(config, prepare(config))
    shares = strategy.method.shares(strategy, 0, "weights")
    images, labels = batch_of(strategy, 0)
    strategy.class_weights = torch.tensor([3.0, 0.0, 0.0, 1.0])
    loss, logits = strategy.loss((images, labels), shares)
    each = functional.cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(loss, (each * strategy.class_weights[labels]).mean())
    assert make(mixing(tiny_config), prepare(mixing(tiny_config))).class_weights is None


def test_a_step_in_bfloat16_learns_too(tiny_config):
    config = mixing(tiny_config, precision="bfloat16")
    strategy = make(config, prepare(config))
    before = bits(strategy)
    loss, _ = strategy.update_(*batch_of(strategy, 0), 0)
    after = strategy.state()
    assert 0 < loss < 10
    assert all(value.dtype == before[name].dtype for name, value in after.items())
    assert not torch.equal(after["alpha"], before["alpha"])


class StoppedError(Exception):
    """The run is cut off."""


def test_a_run_that_was_cut_off_ends_like_one_that_was_not(
    tiny_config, tmp_path, monkeypatch, results_of
):
    config = replace(mixing(tiny_config, "gdas"), save_every=0.0)
    whole = replace(config, run=str(tmp_path / "whole"))
    train.run(whole)
    moved, steps = Bilevel.update_, 0

    def counted(self, images, labels, step):
        nonlocal steps
        steps += 1
        if steps == 4:
            raise StoppedError
        return moved(self, images, labels, step)

    monkeypatch.setattr(Bilevel, "update_", counted)
    with pytest.raises(StoppedError):
        train.run(config)
    train.run(config)
    found, wanted = results_of(config.folder), results_of(whole.folder)
    del found["metrics.jsonl"], wanted["metrics.jsonl"]
    assert found == wanted


def test_the_second_order_is_the_gradient_through_a_step(tiny_config, monkeypatch):
    monkeypatch.setattr("stnas.train.gradient.darts.RADIUS", 1e-5)
    config = replace(mixing(tiny_config, "darts2", level="suffix"), kernels="reference")
    strategy = make(config, prepare(config))
    strategy.update_(*batch_of(strategy, 0), 0)
    net = strategy.supernet.double()
    strategy.architecture = [strategy.alpha.detach().double().requires_grad_()]
    strategy.descent.velocities[:] = [v.double() for v in strategy.descent.velocities]
    train_batch, held = ((x.double(), y) for x, y in (batch_of(strategy, 1), batch_of(strategy, 2)))
    before = [weight.detach().clone() for weight in strategy.parameters]
    (found,) = SecondOrder().gradient(strategy, train_batch, held, 1)
    assert all(torch.equal(w, b) for w, b in zip(strategy.parameters, before, strict=True))
    named = dict(net.named_parameters())

    def loss(weights, batch):
        shares = [Soft(row) for row in strategy.alpha]
        return functional.cross_entropy(functional_call(net, weights, (batch[0], shares)), batch[1])

    slopes = torch.autograd.grad(loss(named, train_batch), list(named.values()), create_graph=True)
    eta, decay = strategy.rate(1), config.train.weight_decay
    rows = zip(named.items(), strategy.descent.velocities, slopes, strict=True)
    ahead = {n: w - eta * (0.9 * v + g + decay * w) for (n, w), v, g in rows}
    (wanted,) = torch.autograd.grad(loss(ahead, held), strategy.alpha)
    rested = {name: weight.detach() for name, weight in ahead.items()}
    (first,) = torch.autograd.grad(loss(rested, held), strategy.alpha)
    assert (wanted - first).abs().max() > 100 * (found - wanted).abs().max()


def test_the_penalty_moves_alpha_by_its_shares():
    alpha = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(penalty(alpha), alpha)
    torch.testing.assert_close(gradient, alpha.detach().softmax(1) / 6)


def test_a_drawn_candidate_counts_one_with_the_gradient_of_its_probability():
    alpha = torch.randn(5, dtype=torch.float64, requires_grad=True)
    p, tau, k = (alpha / 0.7).softmax(0), 0.7, 2
    weight = straight(p, k)
    (gradient,) = torch.autograd.grad(weight, alpha)
    p = p.detach()
    assert weight == 1
    torch.testing.assert_close(gradient, p[k] * (torch.eye(5, dtype=torch.float64)[k] - p) / tau)


def test_draws_follow_the_shares():
    log_a = torch.tensor([0.5, 0.3, 0.1, 0.05, 0.05]).log().repeat(4000, 1)
    noise = gumbel(log_a, seed=1, step=2, purpose="weights")
    shares = (log_a + noise).argmax(1).bincount(minlength=5) / 4000
    torch.testing.assert_close(shares, log_a[0].exp(), atol=0.025, rtol=0)
    assert torch.equal(noise, gumbel(log_a, seed=1, step=2, purpose="weights"))
    for other in ({"step": 3}, {"seed": 2}, {"purpose": "alpha"}):
        changed = {"seed": 1, "step": 2, "purpose": "weights", **other}
        assert not torch.equal(noise, gumbel(log_a, **changed))


def test_images_are_halved_by_class(tiny_config):
    task = prepare(mixing(tiny_config))
    half, held = halved(task, seed=5)
    counts = task.dataset.train.labels.bincount(minlength=4)
    first = half.dataset.train.labels.bincount(minlength=4)
    assert torch.equal(first, (counts + 1) // 2)
    assert torch.equal(held.labels.bincount(minlength=4), counts // 2)
    both = torch.cat((half.dataset.train.images, held.images)).flatten(1)
    assert len(both.unique(dim=0)) == len(task.dataset.train.images.flatten(1).unique(dim=0))
    again, other = halved(task, 5)[0].dataset.train, halved(task, 6)[0].dataset.train
    assert torch.equal(again.images, half.dataset.train.images)
    assert not torch.equal(other.images, half.dataset.train.images)


def test_alpha_rests_before_its_start(tiny_config):
    config = replace(mixing(tiny_config, "pcdarts"), alpha=AlphaConfig(parts=2, start=0.5))
    strategy = make(config, prepare(config))
    before = bits(strategy)
    rows = [f"{part}adam.steps" for part in ("", "beta.")]
    for step in range(2 * strategy.steps):
        strategy.update_(*batch_of(strategy, 0), step)
        moved = strategy.state()
        assert [int(moved[row]) for row in rows] == [max(0, step + 1 - strategy.steps)] * 2
    assert not torch.equal(moved["alpha"], before["alpha"])
    assert not torch.equal(moved["beta.alpha"], before["beta.alpha"])


def test_edges_are_derived_by_their_weights_too(tiny_config):
    config = mixing(tiny_config, "pcdarts", "float")
    config = replace(config, space=SpaceConfig(family="darts", channels=4, cells=3))
    strategy = make(config, prepare(config))
    alpha, beta = strategy.architecture
    with torch.no_grad():
        alpha.zero_()
        alpha[2:5, 4] = torch.tensor([1.0, 1.5, 2.0])
        beta.zero_()
        beta[4] = -9
        beta[2] = 3
    assert "('sep_conv_3x3', 0), ('sep_conv_3x3', 1)" in write(strategy.derived())
    with torch.no_grad():
        beta.zero_()
    assert "('sep_conv_3x3', 1), ('sep_conv_3x3', 2)" in write(strategy.derived())


@pytest.mark.parametrize("family", ["nb201", "darts"])
def test_partial_channels_go_through_the_pipeline(family, tiny_config):
    config = mixing(tiny_config, "pcdarts", "prefix")
    cells = 3 if family == "darts" else None
    config = replace(config, space=SpaceConfig(family=family, channels=4, cells=cells))
    for stage in (train, search, retrain, report):
        stage.run(config)
    result = read_json(config.folder / "train" / "result.json")
    networks = read_json(config.folder / "retrain" / "result.json")["networks"]
    assert networks[0]["genotype"] == result["derived"]
    assert len(result["beta"]) == len(result["alpha"])


@pytest.mark.parametrize("level", ["none", "merge"])
def test_the_cell_of_a_search_goes_through_the_pipeline(level, tiny_config):
    config = mixing(tiny_config, "darts1", level)
    for stage in (train, search, retrain, report):
        stage.run(config)
    result = read_json(config.folder / "train" / "result.json")
    found = read_json(config.folder / "search" / "result.json")
    assert [choice["genotype"] for choice in found["choices"]] == [result["derived"]]
    rows = read_rows(config.folder / "metrics.jsonl", origin=None)
    numbers = [row for row in rows if row["stage"] == "train"]
    assert [row["entropy"] < 1.6095 for row in numbers] == [True, True]
    assert {"skips", "madds"} <= set(numbers[0])
    assert "retrain" not in whole_run(config)
    networks = read_json(config.folder / "retrain" / "result.json")["networks"]
    assert networks[0]["genotype"] == result["derived"]


def test_the_cells_of_darts_go_through_the_pipeline(tiny_config):
    config = mixing(tiny_config, "darts1", "float")
    config = replace(config, space=SpaceConfig(family="darts", channels=2, cells=3))
    for stage in (train, search, retrain, report):
        stage.run(config)
    result = read_json(config.folder / "train" / "result.json")
    networks = read_json(config.folder / "retrain" / "result.json")["networks"]
    assert networks[0]["genotype"] == result["derived"]
    assert "retrain" in whole_run(config)


@pytest.mark.parametrize("strategy", ["darts1", "pcdarts"])
def test_single_paths_of_a_search_by_gradients_are_searched_too(strategy, tiny_config):
    config = mixing(tiny_config, strategy)
    train.run(config)
    search.run(replace(config, search=replace(config.search, strategy="nsga2")))
    rows = read_rows(config.folder / "search" / "archive.jsonl", origin=None)
    assert len(rows) == 12


def test_a_cell_without_convolutions_is_warned_of(tiny_config):
    strategy = make(mixing(tiny_config), prepare(mixing(tiny_config)))
    with torch.no_grad():
        strategy.alpha[:, 1] += 5
    assert strategy.numbers()["skips"] == 6
    assert "collapse" in strategy.remarks()[1]
    with torch.no_grad():
        strategy.alpha[2, 3] += 9
    assert len(strategy.remarks()) == 1
    with torch.no_grad():
        strategy.alpha[3:, 0] += 20
    assert "does not depend on the image" in strategy.remarks()[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": {"batch_size": 24}}, r"train.batch_size must be at most .* = 2\d, got 24"),
        ({"train": {"affine": True}}, "train.affine must be left out with train.strategy darts1"),
        ({"train": {"ema": (0.9,)}}, "train.ema must be left out"),
        ({"train": {"micro_batches": 2}}, "works in one process with train.micro_batches 1"),
        ({"space": {"family": "topology", "channels": None}}, "needs a space of cells"),
        ({"sharing": {"level": "float"}}, "sharing.level must be one of none, prefix, suffix"),
        ({"train": {"strategy": "single_path"}}, "sharing.level must be none with train.strategy"),
        ({"train": {"strategy": "pcdarts"}}, "channels must be a multiple of 4, .*channels 4"),
        (
            {"train": {"strategy": "pcdarts"}, "space": {"channels": 10}, "alpha": {"parts": 4}},
            "channels must be a multiple of 8, twice alpha.parts, .*, got 10: .*channels 16",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_mixed_is_refused_before_anything_is_written(changes, message, tiny_config):
    config = mixing(tiny_config)
    for section, own in changes.items():
        config = replace(config, **{section: replace(getattr(config, section), **own)})
    with pytest.raises(ValueError, match=message):
        train.run(config)
    assert not (config.folder / "train" / "weights.safetensors").exists()


def test_a_class_of_one_image_cannot_be_halved(tiny_config):
    task = prepare(mixing(tiny_config))
    split = task.dataset.train
    own = torch.nonzero(split.labels == 0).flatten()
    rows = torch.cat((torch.nonzero(split.labels > 0).flatten(), own[:1]))
    lone = replace(task, dataset=replace(task.dataset, train=split.take(rows)))
    with pytest.raises(ValueError, match="two training images or more of each class"):
        halved(lone, 0)


def test_other_levels_and_stages_are_refused(tiny_config):
    config = mixing(tiny_config)
    train.run(config)
    other = replace(config, sharing=SharingConfig(level="none"))
    with pytest.raises(ValueError, match="sharing"):
        train.run(other)
    with pytest.raises(ValueError, match="stnas sgld samples the weights of single paths"):
        sgld.run(config)
    single = replace(config, run=config.run + "-single", sharing=SharingConfig())
    single = replace(single, train=replace(config.train, strategy="spos"))
    with pytest.raises(ValueError, match=r"search.strategy derived needs a train.strategy"):
        train.run(single, ahead=[search.check])


@pytest.mark.parametrize(
    ("name", "value"),
    [("tau", 0.0), ("final_tau", -1.0), ("final_tau", 11.0), ("learning_rate", 0.0),
     ("weight_decay", -1e-3), ("largest_gradient", float("nan")), ("penalty", -1.0), ("parts", 1),
     ("start", 1.0), ("start", -0.1)],
)  # fmt: skip
def test_options_of_alpha_are_checked(name, value):
    with pytest.raises(ValueError, match=rf"alpha.{name} must be"):
        AlphaConfig(**{name: value})
