"""Classify labelled images, and write down how well: figures, and a page with the worst."""

from dataclasses import asdict, replace
from pathlib import Path

import torch
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from rich.table import Table
from torch import Tensor

from stnas.classifier import Classifier, load, networks_of
from stnas.config import Config
from stnas.config.evaluate import EvaluateOptions
from stnas.data import Dataset, FileSplit, Split
from stnas.data.epochs import evaluation_batches
from stnas.data.image_scan import open_images
from stnas.data.showing import picture
from stnas.evaluate.figures import Figures, figures
from stnas.group.device import take
from stnas.learn.memory import FEWER_IMAGES, ON_THE_PROCESSOR, repaired_by
from stnas.store.console import ANSWERS, folding_table, percent, say
from stnas.store.files import encoded
from stnas.store.names import EVALUATE, FIGURES
from stnas.store.own_files import check_own, write_own
from stnas.store.places import check_own_folders

HERE = Path(__file__).parent
PAGE = "evaluation.html"
SIDE = 96
"""Pixels a side of an image on the page, about."""


def run(config: Config, options: EvaluateOptions, *, command: str) -> None:
    """Evaluate a network; print its figures, and write ``evaluation.json`` and ``.html``."""
    place = Path(options.network).expanduser()
    device = take(config.device)
    classifier = load(place).to(device)
    if place.is_file() and config.data.image_size in (None, "auto"):
        size = classifier.preprocess.image_size
        config = replace(config, data=replace(config.data, image_size=size))
    target = folder_of(options, place, config)
    if options.output is None and place.is_dir():
        check_own_folders(config.folder, [EVALUATE])
    check_own(target, (PAGE, FIGURES), record=FIGURES)
    with repaired_by(FEWER_IMAGES):
        dataset = open_images(config).on(device)
    check_classes(classifier, dataset)
    split: Split | FileSplit = getattr(dataset, options.part)
    with repaired_by(ON_THE_PROCESSOR):
        logits, labels = answers(classifier, dataset, split)
    found = figures(logits, labels, classifier.classes)
    for line in summary(found):
        ANSWERS.print(line)
    ANSWERS.print(class_table(found))
    rows = [row for row in found.hardest if found.answers[row] != int(labels[row])]
    pictures = worst(classifier, dataset, split, found, labels, rows[: options.worst])
    title = f"{classifier.description['name']} on {dataset.name}, {options.part}"
    text = page(found, pictures, title=title, command=command)
    kept = {"command": command, "part": options.part, "data": dataset.name, **asdict(found)}
    write_own(target, {PAGE: encoded(text)}, record=FIGURES, value=kept)
    say(f"evaluate: {target / PAGE} has the confusions and the worst images")


def folder_of(options: EvaluateOptions, place: Path, config: Config) -> Path:
    """Return the folder for what is written."""
    if options.output is not None:
        return Path(options.output).expanduser()
    if place.is_dir():
        return config.folder / EVALUATE / networks_of(place)[-1].name
    return place.with_name(f"{place.stem}-evaluation")


def check_classes(classifier: Classifier, dataset: Dataset) -> None:
    """Refuse images of other classes, or of another kind, than the network was trained on."""
    if dataset.classes != classifier.classes:
        raise ValueError(
            f"data.path must have the classes of the network, {', '.join(classifier.classes)}, got "
            f"{', '.join(dataset.classes)}: name the folders of the images so"
        )
    wanted = classifier.preprocess
    found = (dataset.in_channels, dataset.image_size)
    if found != (wanted.in_channels, wanted.image_size):
        raise ValueError(
            f"images must have {wanted.in_channels} channels and {wanted.image_size} pixels a "
            f"side, got {found[0]} and {found[1]}: set --data.image_size {wanted.image_size}"
        )


def answers(
    classifier: Classifier, dataset: Dataset, split: Split | FileSplit
) -> tuple[Tensor, Tensor]:
    """Return the logits and labels of a split, prepared with the network's own mean and std."""
    mean, std = (
        torch.tensor(values, device=dataset.device)[:, None, None]
        for values in (classifier.preprocess.mean, classifier.preprocess.std)
    )
    own_mean, own_std = (
        torch.tensor(values, device=dataset.device)[:, None, None]
        for values in (dataset.mean, dataset.std)
    )
    logits, labels = [], []
    with torch.no_grad():
        for images, own in evaluation_batches(dataset, split, size=256):
            if (
                classifier.preprocess.mean != dataset.mean
                or classifier.preprocess.std != dataset.std
            ):
                images = (images * own_std + own_mean - mean) / std
            logits.append(classifier(images))
            labels.append(own)
    return torch.cat(logits).cpu(), torch.cat(labels).cpu()


def summary(found: Figures) -> list[str]:
    """Say the shares in lines."""
    top5 = [] if found.top5 is None else [f"top-5 accuracy: {100 * found.top5:.2f} %"]
    return [
        f"images: {found.images:,}",
        f"top-1 accuracy: {100 * found.top1:.2f} %",
        *top5,
        f"balanced accuracy: {100 * found.balanced:.2f} %",
        f"loss: {found.loss:.4f}",
    ]


def class_table(found: Figures) -> Table:
    """Tabulate the classes, with where most of the others of their images went."""
    table = folding_table("class", "images", "recall", "precision", "mostly taken for")
    for place, own in enumerate(found.classes):
        wrong = {c.name: n for c, n in zip(found.classes, found.confusion[place], strict=True)}
        del wrong[own.name]
        other, count = max(wrong.items(), key=lambda pair: pair[1])
        taken = f"{other} ({count})" if count else "-"
        table.add_row(
            own.name,
            f"{own.images:,}",
            percent(own.recall, digits=1),
            percent(own.precision, digits=1),
            taken,
        )
    return table


def worst(
    classifier: Classifier,
    dataset: Dataset,
    split: Split | FileSplit,
    found: Figures,
    labels: Tensor,
    rows: list[int],
) -> list[dict[str, str]]:
    """Draw images, as the network sees them, with what they are and what they were taken for."""
    if not rows:
        return []
    ((images, _),) = evaluation_batches(dataset, split.take(torch.tensor(rows)), size=len(rows))
    mean, std = (torch.tensor(values)[:, None, None] for values in (dataset.mean, dataset.std))
    pixels = (255 * (images.cpu() * std + mean)).round().clamp(0, 255).to(torch.uint8)
    names = classifier.classes
    return [
        {
            "picture": picture(image, side=SIDE),
            "true": names[int(labels[row])],
            "answer": names[found.answers[row]],
            "loss": f"{found.losses[row]:.2f}",
            "file": str(split.files[row].name) if isinstance(split, FileSplit) else f"row {row}",
        }
        for row, image in zip(rows, pixels, strict=True)
    ]


def page(found: Figures, pictures: list[dict[str, str]], *, title: str, command: str) -> str:
    """Return the page as HTML; every text is escaped."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["percent"] = percent
    template = environment.get_template("page.html")
    return template.render(found=found, pictures=pictures, title=title, command=command)
