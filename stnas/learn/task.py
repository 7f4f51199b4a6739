"""What every stage starts from: the images, the search space and the hyper-network."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stnas.config import Config, TrainConfig, rules
from stnas.data import Dataset, FileSplit, Split
from stnas.data.epochs import union
from stnas.data.image_scan import open_images
from stnas.group.device import device_of, take
from stnas.group.processes import current
from stnas.group.streams import derive, global_stream
from stnas.learn.memory import FEWER_IMAGES, repaired_by
from stnas.space import Genotype, SearchSpace
from stnas.space.cells.partial import partial_space
from stnas.space.draws import DROPPING
from stnas.space.latency import LatencyTable
from stnas.space.sampling import Sampler, make_sampler
from stnas.space.warmup import WarmUp
from stnas.store.files import read_json
from stnas.store.run_folder import RunFolder, StageCompleteError
from stnas.supernet import Network, SuperNet, initialise_


@dataclass(frozen=True)
class Task:
    """Images, search space and sampler of a configuration."""

    dataset: Dataset
    space: SearchSpace
    p_drop: float
    sampler: Sampler


def prepare(config: Config, run: RunFolder | None = None) -> Task:
    """Load the images and build the search space for them.

    run: refuse images other than those that its hyper-network was trained on.
    """
    device = take(config.device)
    with repaired_by(FEWER_IMAGES):
        dataset = open_images(config).on(device)
    current().agree("the images of data.path", dataset.fingerprint)
    if run is not None:
        check_same_images(run.result("train"), dataset)
    return task_of(config, dataset)


def task_of(config: Config, dataset: Dataset) -> Task:
    """Build the search space and the sampler for some images."""
    space = SearchSpace.from_config(
        config.space,
        image_size=dataset.image_size,
        in_channels=dataset.in_channels,
        num_classes=dataset.num_classes,
    )
    if config.search.latency is not None:
        space = with_latency(space, Path(config.search.latency).expanduser())
    train = config.train
    usual = space.prior.usual(train.p_drop)
    p_drop = usual if train.madds is None else space.solve_p_drop(train.madds)
    check_aim(config, space)
    sampler = make_sampler(
        space,
        "uniform" if train.strategy == "spos" else train.sampling,
        p_drop=p_drop,
        seed=derive(config.seed, "architecture"),
        bounds=train.madds_bins,
    )
    steps = len(dataset.train) // train.batch_size
    sampler = with_warmup(sampler, config, space, steps_per_epoch=steps)
    return Task(dataset=dataset, space=space, p_drop=p_drop, sampler=sampler)


def with_warmup(
    sampler: Sampler, config: Config, space: SearchSpace, *, steps_per_epoch: int
) -> Sampler:
    """Let the scales of a space that has several enter training one after the other.

    Raises ValueError for a warm-up that would not end, or in a space without scales.
    """
    train, scales = config.train, len(config.space.scales or ())
    if scales < 2:
        rules.require(
            train.scale_warmup is None,
            "train.scale_warmup",
            "left out without two or more space.scales",
            train.scale_warmup,
        )
        return sampler
    every, half = train.scale_warmup, train.epochs / 2
    if every is None:
        every = half / 2 / max(scales - 2, 1)
    if every == 0:
        return sampler
    if half + every * (scales - 2) >= train.epochs:
        raise ValueError(
            f"train.scale_warmup must let all {scales} space.scales enter in the second half of"
            f" train.epochs = {train.epochs}, so it must be less than"
            f" {half / (scales - 2):g}, got {every:g}: set it lower, or train longer"
        )
    return WarmUp(
        sampler,
        space,
        first=int(half * steps_per_epoch),
        every=every * steps_per_epoch,
        seed=derive(config.seed, "architecture"),
    )


def with_latency(space: SearchSpace, file: Path) -> SearchSpace:
    """Return a space that knows the latencies that ``stnas latency`` measured."""
    if not file.is_file():
        raise FileNotFoundError(
            f"search.latency must be a file that `stnas latency` wrote, got {file}, which does not "
            "exist: measure it, or correct the path"
        )
    table = LatencyTable.from_json(read_json(file))
    return replace(space, more_costs=(*space.more_costs, table.cost(space)))


def has_bits(space: SearchSpace) -> bool:
    """Tell whether the blocks of a space choose their bits."""
    return any(hasattr(part, "bits") for part in space.parts.values())


def check_aim(config: Config, space: SearchSpace) -> None:
    """Raise ValueError for figures of the training that a space has no use for."""
    train = config.train
    if train.float_share != TrainConfig.float_share and not has_bits(space):
        raise ValueError(
            "train.float_share must be left out without space.family quant, got "
            f"{train.float_share} with space.family {space.recipe.get('family', 'topology')}: "
            "remove it"
        )
    if space.num_topologies > 1:
        return
    if train.p_drop != TrainConfig.p_drop and space.prior is not DROPPING:
        raise ValueError(
            f"train.p_drop must be left out with space.family {space.recipe.get('family')}, whose "
            f"networks leave nothing out, got {train.p_drop}: set --train.sampling tilted and "
            "--train.madds"
        )
    if train.sampling == "fair" and train.madds is not None:
        raise ValueError(
            "train.madds must be left out with train.sampling fair where nothing may be left out, "
            f"got {train.madds:,.0f}: all choices are alike often; set --train.sampling tilted"
        )


def check_start(run: RunFolder, stage: str) -> None:
    """Check that a stage can start, as ``RunFolder.check`` does.

    Where it is complete and its images had another path, they must be the same all the same.
    """
    try:
        run.check(stage)
    except StageCompleteError:
        if run.moved(stage):
            check_same_images(run.result("train"), open_images(run.config))
        raise


Check = Callable[[Config, Task], None]
"""Raises ValueError where a stage could not work with a configuration on these images."""


def check_batch(key: str, size: int, images: int) -> None:
    """Raise unless a batch is filled by the images that are trained on."""
    if size > images:
        raise ValueError(
            f"{key} must be at most the number of images to train on = {images:,}, got {size:,}: "
            f"set --{key} {images} or less"
        )


def check_same_images(trained: dict[str, Any], dataset: Dataset) -> None:
    """Raise unless the images are those of the training stage's result."""
    expected = trained["data"]["fingerprint"]
    if dataset.fingerprint != expected:
        raise ValueError(
            f"data.path gives other images (fingerprint {dataset.fingerprint}) than the "
            f"hyper-network was trained on ({expected}): restore them or choose another --run"
        )


def build_supernet(config: Config, space: SearchSpace) -> SuperNet:
    """Make the hyper-network with the seed's initial weights, which no device changes."""
    with global_stream(config.seed, "weights"):
        supernet = SuperNet(
            shared_space(config, space), affine=config.train.affine, kernels=config.kernels
        )
        initialise_(supernet, config.train.initialisation)
        return supernet.to(device_of(config.device))


def shared_space(config: Config, space: SearchSpace) -> SearchSpace:
    """Return the space of the hyper-network, whose operations may get a part of the channels."""
    if config.train.strategy != "pcdarts":
        return space
    return partial_space(space, config.alpha.parts)


def build_network(config: Config, space: SearchSpace, genotype: Genotype, name: str) -> Network:
    """Make the network of a genotype with the initial weights of the seed and of its name."""
    with global_stream(config.seed, "retrain", name):
        network = Network.build(space, genotype, kernels=config.kernels)
        initialise_(network, config.retrain.initialisation)
        return network.to(device_of(config.device))


def training_images(config: Config, task: Task) -> Split | FileSplit:
    """Return the images that networks are trained on, the held-out ones among them where asked."""
    dataset = task.dataset
    both = config.retrain.with_validation
    return union(dataset.train, dataset.validation) if both else dataset.train
