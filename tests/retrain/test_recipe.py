"""Options of retraining: moving averages, mixup, augmentation, several trainings."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch
from torch.nn import functional

import stnas
from stnas import retrain, search, sgld, train
from stnas.config import Config, DataConfig, RetrainConfig
from stnas.data.trivial import trivially_changed
from stnas.learn.comparison import leads
from stnas.learn.gradients import Parts, mean_gradients_
from stnas.learn.network_fit import Fit
from stnas.learn.task import build_network, prepare
from stnas.store.files import read_json
from stnas.store.tensors import read_tensors


def with_options(config, **options):
    return replace(config, retrain=replace(config.retrain, **options))


def fit_of(config, folder):
    task = prepare(config)
    network = build_network(config, task.space, task.sampler.genotype(0), "A")
    data = task.dataset
    return Fit(config, data, data.train, network, name="A", folder=folder, origin="")


def test_the_average_of_the_weights_is_what_is_judged_and_kept(tiny_config, tmp_path):
    decay = 0.75
    config = with_options(tiny_config, ema=decay)
    fit = fit_of(config, tmp_path / "a")
    seen = []
    plain_step = fit.optimizer.step

    def step():
        plain_step()
        seen.append({n: t.clone().double() for n, t in fit.average.tensors.items()})

    fit.optimizer.step = step
    history, _ = fit.run(Mock())
    total = len(seen)
    powers = [(1 - decay) * decay ** (total - 1 - t) / (1 - decay**total) for t in range(total)]
    kept = fit.network.state_dict()
    for name in seen[0]:
        expected = sum(p * own[name] for p, own in zip(powers, seen, strict=True))
        torch.testing.assert_close(kept[name].double(), expected, rtol=1e-4, atol=1e-5)
    assert fit.judged()["accuracy"] == history[-1]["accuracy"]
    other, _ = fit_of(with_options(tiny_config, ema=0.0), tmp_path / "b").run(Mock())
    assert [row["loss"] for row in other] == [row["loss"] for row in history]


@pytest.fixture
def searched(tiny_config):
    for stage in (train, sgld, search):
        stage.run(tiny_config)
    return tiny_config


def test_a_stopped_training_with_all_options_goes_on_to_the_same(searched, at_states):
    options = {"ema": 0.9, "mixup": 0.4, "label_smoothing": 0.1, "random_twins": 0}
    config = with_options(searched, **options)
    folder = Path(config.run) / "retrain"
    retrain.run(config)
    folder.rename(folder.with_name("whole"))

    def stop(_, number):
        if number == 1:
            raise KeyboardInterrupt

    with at_states(stop), pytest.raises(KeyboardInterrupt):
        retrain.run(config)
    retrain.run(config)
    for name in ("A", "B"):
        file = f"{name}/network.safetensors"
        old, new = (read_tensors(folder.with_name(n) / file)[0] for n in ("whole", "retrain"))
        assert all(torch.equal(old[key], value) for key, value in new.items())


def test_several_trainings_have_a_mean_and_a_spread(searched):
    config = with_options(searched, seeds=3, random_twins=1, epochs=1, baselines=("separable",))
    config = replace(config, search=replace(config.search, limits=(10**9,)))
    search.run(config)
    retrain.run(config)
    rows = read_json(Path(config.run) / "retrain/result.json")["networks"]
    names = {row["name"]: row for row in rows}
    assert {"A-seed-2", "A-seed-3", "A-separable-seed-3", "A-random-1"} < set(names)
    assert names["A-seed-2"]["genotype"] == names["A"]["genotype"]
    first, second = (
        read_tensors(Path(config.run) / "retrain" / name / "network.safetensors")[0]
        for name in ("A", "A-seed-2")
    )
    assert not all(torch.equal(first[key], second[key]) for key in first)
    (lead,) = leads(rows)
    own = [names[name]["test_accuracy"] for name in ("A", "A-seed-2", "A-seed-3")]
    assert lead.trainings == tuple(own)
    assert lead.accuracy == pytest.approx(sum(own) / 3)
    assert lead.spread == pytest.approx(torch.tensor(own, dtype=torch.float64).std().item())
    hand = [names[f"A-separable{mark}"]["test_accuracy"] for mark in ("", "-seed-2", "-seed-3")]
    assert lead.baselines == {"separable": pytest.approx(sum(hand) / 3)}
    assert stnas.load(Path(config.run)).description["name"] == "A"


@pytest.mark.parametrize("count", [1, 2])
def test_mixed_images_have_the_mixed_loss(count):
    torch.manual_seed(0)
    layer = torch.nn.Linear(6, 3, dtype=torch.float64)
    images, labels = torch.randn(8, 6, dtype=torch.float64), torch.arange(8) % 3
    shares = [0.7, 0.2]
    outcome = mean_gradients_(
        list(layer.parameters()),
        lambda part, own: layer(own),
        images,
        labels,
        parts=Parts(count, range(count)),
        mixing=shares.__getitem__,
    )
    expected = 0.0
    pieces = zip(images.chunk(count), labels.chunk(count), strict=True)
    for share, (own, truth) in zip(shares, pieces, strict=False):
        hot = functional.one_hot(truth, 3).double()
        mixed = share * own + (1 - share) * own.flip(0)
        wanted = share * hot + (1 - share) * hot.flip(0)
        expected += functional.cross_entropy(layer(mixed), wanted) / count
    assert outcome.loss == pytest.approx(expected.item())
    (gradient,) = torch.autograd.grad(expected, [layer.weight])
    torch.testing.assert_close(layer.weight.grad, gradient)


def test_mixup_is_a_function_of_the_step(tiny_config, tmp_path):
    config = with_options(tiny_config, mixup=0.5)
    fit = fit_of(config, tmp_path)
    images, labels = fit.split.images[:32].float() / 255, fit.split.labels[:32]
    losses = [fit.step_(images, labels, rate=1e-30, step=step) for step in (0, 1, 0)]
    assert losses[0] == losses[2] != losses[1]


def test_without_torchvision_it_says_what_to_install(monkeypatch):
    images = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    monkeypatch.setitem(sys.modules, "torchvision.transforms.v2", None)
    with pytest.raises(ImportError, match="pip install torchvision"):
        trivially_changed(images, seed=0)


def test_every_image_is_changed_as_torchvision_does_by_the_seed(monkeypatch):
    """Torchvision's own words are taken: the transform, a call an image, torch's stream."""

    def transform(interpolation):
        assert interpolation == "bilinear"
        return lambda image: image + torch.randint(1, 9, ()).to(torch.uint8)

    fake = SimpleNamespace(
        TrivialAugmentWide=transform, InterpolationMode=SimpleNamespace(BILINEAR="bilinear")
    )
    monkeypatch.setitem(sys.modules, "torchvision.transforms.v2", fake)
    images = torch.zeros(6, 1, 4, 4, dtype=torch.uint8)
    before = torch.get_rng_state()
    first, second, other = (trivially_changed(images, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert len(first[:, 0, 0, 0].unique()) > 1


def test_a_training_with_trivial_augmentation(tiny_config, tmp_path):
    try:
        importlib.import_module("torchvision.transforms.v2")
    except (ImportError, RuntimeError):
        pytest.skip("torchvision is not installed: pip install torchvision")
    config = with_options(tiny_config, augment="trivial", epochs=1, warmup_epochs=0)
    losses = [fit_of(config, tmp_path / name).run(Mock())[0][0]["loss"] for name in "ab"]
    plain = with_options(config, augment="none")
    assert losses[0] == losses[1] != fit_of(plain, tmp_path / "c").run(Mock())[0][0]["loss"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ema": 1.0}, "retrain.ema must lie in"),
        ({"mixup": -1.0}, "retrain.mixup must be"),
        ({"seeds": 0}, "retrain.seeds must be 1 or more"),
        ({"augment": "trival"}, "retrain.augment must be one of none, trivial"),
        ({"ema": 0.9, "recalibrate": True}, "retrain.recalibrate must be false"),
    ],
)
def test_values_outside_their_rules_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RetrainConfig(**options)


def test_streamed_images_are_not_augmented_whole():
    data = DataConfig(path="x", backend="pillow", image_size=32)
    with pytest.raises(ValueError, match=r"set data\.backend memory"):
        Config(data=data, retrain=RetrainConfig(augment="trivial"))
