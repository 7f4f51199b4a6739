"""Work of the stages in small pieces, each of which says how often the host waited meanwhile."""

import inspect
import sys
import textwrap
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import replace
from importlib import import_module
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from whole_device import NAME, run_stages, waits
from whole_graph import Graph

from stnas import latency
from stnas.config import Config, DataConfig, SharingConfig, SpaceConfig
from stnas.config.latency import Backend, LatencyOptions
from stnas.config.train import Precision
from stnas.data.epochs import evaluation_batches, training_batches
from stnas.evaluate.command import answers
from stnas.group.device import device_of
from stnas.group.processes import current
from stnas.learn.evaluation import evaluate_together
from stnas.learn.network_fit import Fit
from stnas.learn.scoring import Scorer, recalibration_images
from stnas.learn.single_path import SinglePath, train_step_
from stnas.learn.step_graph import WARM_UP
from stnas.learn.task import Task, build_network, build_supernet, prepare
from stnas.ops.sending import sent_ahead
from stnas.rank.finetuning import finetuned
from stnas.rank.scoring import observe_
from stnas.space import SearchSpace
from stnas.space.families import FAMILIES
from stnas.store.files import read_json
from stnas.store.journal import Chapter
from stnas.train.gradient import make
from stnas.train.stage import falling_schedule, momentum_of

NO_NOISE: dict[str, Any] = {"weight_decay": 1e-4, "mode": "none"}


class Quiet(Chapter):
    """A log that nobody reads."""

    def __init__(self) -> None:
        pass

    def progress(self, done: float, **numbers: float) -> None:
        """Show nothing."""

    def record(self, index: int, **numbers: float) -> None:
        """Write nothing."""

    def say(self, text: str) -> None:
        """Print nothing."""


def strategy_of(config: Config, task: Task) -> SinglePath:
    """Make the strategy of training, with momentum."""
    supernet = build_supernet(config, task.space)
    named = dict(supernet.named_parameters())
    schedule = falling_schedule(config, len(task.dataset.train))
    momentum = momentum_of(config, named)
    return SinglePath(supernet, task, config=config, schedule=schedule, momentum=momentum)


def steps_of_training(config: Config) -> int:
    """Take three steps of training the hyper-network; return how often the host waited."""
    task = prepare(config)
    strategy = strategy_of(config, task)
    strategy.supernet.train()
    options: dict[str, Any] = {"config": config, "purpose": "augment", "seed": 0, "size": 16}
    waits()
    data = training_batches(task.dataset, task.dataset.train, epoch=0, **options)
    for step, (images, labels) in enumerate(data):
        numbers = strategy.update_(images, labels, step)
    found = waits()
    assert [float(number) > 0 for number in numbers]
    return found


def steps_of_searching(config: Config, strategy: str, level: str) -> int:
    """Take three steps of a search by gradients; return how often the host waited."""
    options: dict[str, Any] = {"strategy": strategy, "batch_size": 8, "epochs": 2}
    config = replace(
        config,
        space=SpaceConfig(family="nb201", channels=4 if strategy == "pcdarts" else 2),
        train=replace(config.train, ema=(), **options),
        sharing=SharingConfig(level=level),  # type: ignore[arg-type]
    )
    task = prepare(config)
    searching = make(config, task)
    searching.supernet.train()
    more: dict[str, Any] = {"config": config, "purpose": "augment", "seed": 0, "size": 8}
    data = list(islice(training_batches(task.dataset, task.dataset.train, epoch=0, **more), 3))
    waits()
    numbers = [searching.update_(*batch, step) for step, batch in enumerate(data)]
    found = waits()
    assert all(0 < float(loss) < 10 and 0 <= float(right) <= 1 for loss, right in numbers)
    return found


def steps_in_parts(config: Config) -> int:
    """Do the same with batches in two parts, whose values lie in bfloat16."""
    train = replace(config.train, micro_batches=2, precision="bfloat16")
    return steps_of_training(replace(config, train=train))


def fit_of(config: Config, task: Task, folder: Path) -> Fit:
    """Make the training of one network."""
    genotype = task.sampler.genotype(0)
    network = build_network(config, task.space, genotype, "A")
    options: dict[str, Any] = {"name": "A", "folder": folder, "origin": "0"}
    return Fit(config, task.dataset, task.dataset.train, network, **options)


def steps_of_retraining(config: Config) -> int:
    """Take three steps of training a network; return how often the host waited."""
    task = prepare(config)
    fit = fit_of(config, task, config.folder)
    fit.network.train()
    data = fit.batches(0)
    waits()
    for step, (images, labels) in enumerate(data):
        fit.step_(images, labels, rate=0.1, step=step)
    return waits()


def graphed(config: Config, precision: Precision = "float32") -> int:
    """Train a network without and with a graph; return how much oftener the host waited with one.

    To the same bits, with dropout, running statistics and losses.
    """
    options = replace(config.retrain, epochs=2, precision=precision)
    trained, found = [], []
    for graph in (False, True):
        own = replace(config, retrain=replace(options, cuda_graph=graph))
        task = prepare(own)
        fit = fit_of(own, task, config.folder / str(graph))
        waits()
        history, _ = fit.run(Quiet())
        found.append(waits())
        trained.append((fit.tensors(), [row["loss"] for row in history]))
    assert (Graph.captured, Graph.replayed) == (1, 2 * fit.steps - WARM_UP)
    (plain, losses), (replayed, own_losses) = trained
    assert losses == own_losses
    assert all(torch.equal(value, replayed[name]) for name, value in plain.items())
    return found[1] - found[0]


def resumed(config: Config) -> int:
    """Train a network for an epoch, and go on from its state; return how often the host waited."""
    config = replace(config, retrain=replace(config.retrain, epochs=2))
    task = prepare(config)
    waits()
    for until in (1, 2):
        fit_of(config, task, config.folder).run(Quiet(), until=until)
    return waits()


def steps_of_finetuning(config: Config) -> int:
    """Fine-tune a network that is cut out; return how often the host waited."""
    task = prepare(config)
    supernet = build_supernet(config, task.space)
    waits()
    list(finetuned(supernet, task.sampler.genotype(0), [2], config=config, task=task))
    return waits()


def scores(config: Config) -> int:
    """Score two architectures together; return how often the host waited."""
    task = prepare(config)
    supernet = build_supernet(config, task.space)
    data = evaluation_batches(task.dataset, task.dataset.validation, size=8)
    images = recalibration_images(config, task)
    waits()
    Scorer([supernet], images, data)(task.space.sample(2, p_drop=0.3, seed=0))
    found = waits()
    observe_(supernet, images, config=config, task=task)
    return found


def classified(config: Config) -> int:
    """Classify images that were prepared with another mean; return how often the host waited."""
    task = prepare(config)
    fit = fit_of(config, task, config.folder)
    classifier: Any = fit.network
    mean = tuple(value + 0.1 for value in task.dataset.mean)
    classifier.preprocess = type("Preprocess", (), {"mean": mean, "std": task.dataset.std})
    waits()
    answers(classifier, task.dataset, task.dataset.test)
    evaluate_together(classifier, fit.test, current())
    return waits()


def latencies(config: Config, backend: Backend) -> dict[str, Any]:
    """Train a run and measure its space; return the table's file."""
    run_stages(config, ("train",))
    options = LatencyOptions(network=config.run, backend=backend, networks=12, rounds=1)
    with redirect_stdout(StringIO()):
        latency.run(config, options, command="latency")
    return read_json(config.folder / "latency" / f"{backend}-batch-1-{NAME}.json")


def decoded_there(config: Config, path: str) -> int:
    """Read a folder by DALI as if it decoded on the GPU; return how often the host waited."""
    for module in ("decoder", "reader"):
        import_module(f"stnas.data.dali_{module}").lies_on = lambda _: where
    where = device_of(config.device)
    options: dict[str, Any] = {"path": path, "backend": "dali", "workers": 1, "image_size": 16}
    config = replace(config, data=DataConfig(**options))
    dataset = prepare(config).dataset
    more: dict[str, Any] = {"config": config, "purpose": "augment", "seed": 0, "size": 4}
    waits()
    on_gpu = list(training_batches(dataset, dataset.train, epoch=0, **more))
    found = waits()
    where = torch.device("cpu")
    assert all(images.is_cpu and y.is_cpu for images, y in sent_ahead(iter(on_gpu), where))
    for (images, labels), (own, known) in zip(
        on_gpu,
        training_batches(dataset.on(where), dataset.train, epoch=0, **more),
        strict=True,
    ):
        assert images.device == labels.device == device_of(config.device)
        assert torch.equal(images.cpu(), own)
        assert torch.equal(labels.cpu(), known)
    return found


def with_a_bug(config: Config, work: str, place: str, good: str, bad: str) -> int:
    """Do some work after a function was changed: in ``place``, module:name, ``good`` is ``bad``."""
    module, _, path = place.partition(":")
    function: Any = import_module(f"stnas.{module}")
    for name in path.split("."):
        function = getattr(function, name)
    function = inspect.unwrap(getattr(function, "fget", function))
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(good) == 1, source
    scope = dict(function.__globals__)
    exec(compile(source.replace(good, bad), place, "exec"), scope)
    made = scope[function.__name__]
    made = inspect.unwrap(getattr(made, "fget", made))
    assert made.__code__.co_freevars == function.__code__.co_freevars
    function.__code__ = made.__code__
    return int(globals()[work](config))


def benchmark(config: Config) -> None:
    """Run the whole benchmark of a GPU at toy sizes, into the run's folder."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
    with redirect_stdout(StringIO()):
        import_module("gpu").main(["--toy", "--into", config.run])


def spaces_of(family: str) -> Iterator[SearchSpace]:
    """Yield the profiles of a family for small images."""
    for name in FAMILIES[family].PROFILES:
        for size in (16, 33):
            with suppress(ValueError):
                yield SearchSpace.profile(name, family=family, image_size=size)
                break


def step_of(config: Config, family: str) -> int:
    """Take a step on a small space of a family, and score; return how often the step waited."""
    space = min(spaces_of(family), key=lambda own: own.head.image_size * own.num_architectures)
    device, head = device_of(config.device), space.head
    supernet = build_supernet(config, space).train()
    genotypes = space.sample(2, p_drop=0.3, seed=0)
    size = (4, head.in_channels, head.image_size, head.image_size)
    images = torch.randn(size, generator=torch.manual_seed(0)).to(device)
    labels = (torch.arange(4) % head.num_classes).to(device)
    waits()
    train_step_(supernet, genotypes[0], images, labels, lr=0.1, seed=0, step=0, **NO_NOISE)
    found = waits()
    scores = Scorer([supernet], [images], [(images, labels)])(genotypes)
    assert all(score.loss > 0 for score in scores)
    return found
