"""Export the networks of a run, check every file, and write its card."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from stnas.classifier import load, networks_of, save
from stnas.classifier.files import of_width
from stnas.config import Config
from stnas.config.export import ExportOptions
from stnas.data import Dataset
from stnas.data.epochs import evaluation_batches
from stnas.data.image_scan import open_images
from stnas.export.card import card, readme
from stnas.export.forms import FORMS, Compute, Form, check_installed
from stnas.export.graph import Inside, graph, sources
from stnas.export.parity import accuracy, in_batches, milliseconds, parity
from stnas.export.quantise import quantise
from stnas.learn.task import check_same_images
from stnas.store.complete import read_result
from stnas.store.console import say
from stnas.store.files import encoded, read_json
from stnas.store.names import CARD, DESCRIPTION, EXPORT
from stnas.store.own_files import check_own, write_own
from stnas.store.places import check_own_folders

README, INT8 = "README.md", ".int8.onnx"


def run(config: Config, options: ExportOptions, *, command: str) -> None:
    """Export a network, or every chosen one of a run, with its card beside it.

    RuntimeError: a file computes something else than the network; it is not kept.
    FileExistsError: what stnas did not make is in its place.
    """
    form = FORMS[options.to]
    check_installed(options.to, form)
    place = Path(options.network).expanduser()
    folders = [of_width(folder, options.width) for folder in networks_of(place)]
    if options.output is not None and len(folders) > 1:
        raise ValueError(
            f"output must be the folder of one network, got {len(folders)} networks: name one, "
            f"{folders[0]}, or leave --output out"
        )
    if options.output is None:
        check_own_folders(config.folder, [EXPORT])
    trained = read_result(config.folder, "train", files=False)
    dataset = open_images(config)
    check_same_images(trained, dataset)
    exports = [
        Export(options, form, dataset, folder, target_of(config, options, folder))
        for folder in folders
    ]
    for each in exports:
        check_own(each.target, each.names, record=CARD)
    for each in exports:
        each.write(trained["data"], command)


def target_of(config: Config, options: ExportOptions, folder: Path) -> Path:
    """Return the folder that the files of a network are written to."""
    if options.output is not None:
        return Path(options.output).expanduser()
    return config.folder / EXPORT / folder.name


class Export:
    """One network that is exported: where from, in which form, and where to."""

    def __init__(
        self,
        options: ExportOptions,
        form: Form,
        dataset: Dataset,
        folder: Path,
        target: Path,
    ) -> None:
        self.options, self.form = options, form
        self.dataset, self.folder, self.target = dataset, folder, target
        self.classifier = load(folder)
        self.name = f"{folder.name}.{form.suffix}"
        self.inside = Inside(options.normalise, options.source_size)
        self.threads = torch.get_num_threads()

    @property
    def names(self) -> list[str]:
        """Name the files that are written, the card last."""
        file = Path(self.name)
        more = [file.with_suffix(suffix).name for suffix in self.form.more]
        small = [file.with_suffix(INT8).name] if self.options.int8 else []
        return [self.name, *more, *small, README, CARD]

    def write(self, data: Mapping[str, Any], command: str) -> None:
        """Write the file and its card, once it is checked, and say what was found.

        It is made elsewhere first, so that no other program's half or wrong file comes in place.
        """
        with TemporaryDirectory() as made:
            found = self.card(data, command, self.checked(Path(made) / self.name))
            contents = {file.name: file.read_bytes() for file in sorted(Path(made).iterdir())}
        contents[README] = encoded(readme(found, file=self.name))
        write_own(self.target, contents, record=CARD, value=found)
        say(f"export: {self.target / README} is its card")

    def checked(self, file: Path) -> dict[str, Any]:
        """Write the file in a folder of its own and return what is found of it."""
        plain = load(self.folder, kernels="reference")
        module = graph(plain, self.inside)
        images, _ = some_images(self.dataset, self.dataset.test, self.options.images)
        given = self.given(images)
        if self.form.write is None:
            save(self.classifier, file)
        else:
            self.form.write(module, given[:2], file)
        compute = self.form.read(file, self.threads)
        with torch.no_grad():
            scaled = self.options.source_size is not None
            expected = in_batches(module, given) if scaled else in_batches(self.eager, images)
        found = parity(expected, in_batches(compute, given))
        say(f"export: {self.target / self.name}: {found}")
        if not found.holds:
            raise RuntimeError(
                f"{self.name} computed something else than the network ({found}) and was not kept: "
                "report this, and export --to torch-export meanwhile"
            )
        checked = {
            "parity": str(found),
            "largest_difference": found.largest,
            "latency_ms": milliseconds(compute, given[:1]),
            "threads": self.threads,
            "engine": self.form.engine,
            "input": self.input(given),
        }
        if self.options.int8:
            checked |= {"int8": self.quantised(file, compute)}
        return checked

    def eager(self, images: Tensor) -> Tensor:
        """Compute the logits of normalised images as ``stnas.load`` does."""
        logits: Tensor = self.classifier(images)
        return logits

    def given(self, images: Tensor) -> Tensor:
        """Turn normalised images into what the graph takes."""
        return sources(images, self.classifier.preprocess, self.inside)

    def input(self, given: Tensor) -> str:
        """Say in words what the file takes."""
        shape = ", ".join(map(str, given.shape[1:]))
        values = "pixels of 0 to 255" if self.inside.takes_pixels else "normalised images"
        return f"{values}, float32 [N, {shape}]; the result is logits [N, classes]"

    def quantised(self, whole: Path, compute: Compute) -> dict[str, Any]:
        """Write the int8 form beside a file, and compare accuracies on all test images."""
        file = whole.with_suffix(INT8)
        drawn, _ = some_images(self.dataset, self.dataset.train, self.options.calibration)
        quantise(whole, file, self.given(drawn))
        images, labels = some_images(self.dataset, self.dataset.test, len(self.dataset.test))
        given = self.given(images)
        small = self.form.read(file, self.threads)
        before, after = (accuracy(in_batches(c, given), labels) for c in (compute, small))
        times = [milliseconds(c, given[:1]) for c in (compute, small)]
        sizes = [path.stat().st_size for path in (whole, file)]
        text = (
            f"test accuracy {100 * before:.2f} % in float32, {100 * after:.2f} % in int8; "
            f"{times[0]:.3f} and {times[1]:.3f} ms an image; {sizes[0]:,} and {sizes[1]:,} bytes"
        )
        say(f"export: {self.target / file.name}: {text}")
        return {"file": file.name, "before": before, "after": after, "text": text}

    def card(
        self, data: Mapping[str, Any], command: str, checked: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the card; data: the images, as training's result has them."""
        kept = ("name", "train", "validation", "test", "fingerprint")
        return card(
            self.classifier,
            self.options,
            data={name: data[name] for name in kept},
            seeds=trainings(self.folder),
            command=command,
            checked=checked,
        )


def some_images(dataset: Dataset, split: Any, count: int) -> tuple[Tensor, Tensor]:
    """Return the first images of a split, normalised, of every class alike as they lie there."""
    rows = torch.linspace(0, len(split) - 1, min(count, len(split))).round().long()
    parts = list(evaluation_batches(dataset, split.take(rows), size=256))
    return torch.cat([images for images, _ in parts]), torch.cat([labels for _, labels in parts])


def trainings(folder: Path) -> list[float]:
    """List the test accuracies of all trainings of a network's architecture in its run."""
    wanted = read_json(folder / DESCRIPTION)["genotype"]
    rows = [read_json(file) for file in sorted(folder.parent.glob(f"*/{DESCRIPTION}"))]
    return [row["test_accuracy"] for row in rows if row["genotype"] == wanted]
