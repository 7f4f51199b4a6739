"""The model card: what a network is, what it was trained on, and how good and fast it is."""

from collections.abc import Mapping
from math import sqrt
from typing import Any

import stnas
from stnas.classifier import Classifier
from stnas.config.export import ExportOptions
from stnas.store.machine import processor

Z = 1.96


def card(
    classifier: Classifier,
    options: ExportOptions,
    *,
    data: Mapping[str, Any],
    seeds: list[float],
    command: str,
    checked: Mapping[str, Any],
) -> dict[str, Any]:
    """Collect the card of a file as JSON.

    data: the images, as training's result has them. seeds: test accuracies of every training of
    this architecture in the run. checked: what was measured on the file. The interval of the
    accuracy is Wilson's, for the number of test images.
    """
    known = classifier.description
    accuracy, count = known["test_accuracy"], data["test"]
    half = Z * sqrt(accuracy * (1 - accuracy) / count + (Z / (2 * count)) ** 2) / (1 + Z**2 / count)
    return {
        "name": f"stnas-{data['name']}-{known['name']}",
        "license": options.license,
        "data_license": options.data_license,
        "made_with": f"stnas {stnas.__version__}",
        "command": command,
        "data": dict(data),
        "genotype": known["genotype"],
        "madds": known["madds"],
        "params": known["params"],
        "test_accuracy": accuracy,
        "test_accuracy_half_interval": half,
        "test_accuracies_of_trainings": seeds,
        "test_balanced_accuracy": known.get("test_balanced_accuracy"),
        "classes": list(classifier.classes),
        "preprocessing": classifier.preprocess.to_json(),
        "machine": processor(),
        **checked,
    }


def readme(found: Mapping[str, Any], *, file: str) -> str:
    """Write a card as Markdown, with the fields that model hubs read in front."""
    images, accuracy = found["data"], 100 * found["test_accuracy"]
    spread = found["test_accuracies_of_trainings"]
    several = (
        f"; {len(spread)} trainings reached {100 * min(spread):.2f} to {100 * max(spread):.2f} %"
        if len(spread) > 1
        else "; one training, and another seed may differ by a point"
    )
    shape = found["preprocessing"]
    rows = [
        ("images", f"{images['name']}: {images['train']:,} to train, {images['test']:,} to test"),
        ("classes", f"{len(found['classes'])}: {', '.join(found['classes'])}"),
        ("test accuracy", f"{accuracy:.2f} ± {100 * found['test_accuracy_half_interval']:.2f} %"
         f" (95 %, by the number of test images{several})"),
        ("multiply-adds", f"{found['madds']:,}"),
        ("parameters", f"{found['params']:,}"),
        ("latency", f"{found['latency_ms']:.3f} ms an image (batch 1, {found['threads']} thread"
         f"{'s' if found['threads'] > 1 else ''}, {found['engine']}, {found['machine']})"),
        ("input", found["input"]),
        ("genotype", f"`{found['genotype']}`"),
        ("checked", found["parity"]),
        *([("int8", found["int8"]["text"])] if "int8" in found else []),
        ("licence of the images", found["data_license"]),
        ("made by", f"`{found['command']}`, {found['made_with']}"),
    ]  # fmt: skip
    table = "\n".join(
        f"| {name} | {str(text).replace('|', chr(92) + '|')} |" for name, text in rows
    )
    front = f"---\nlicense: {found['license']}\npipeline_tag: image-classification\ntags: [stnas]\n"
    return (
        f"{front}---\n\n# {found['name']}\n\n`{file}` is an image classifier that stnas found and "
        f"trained.\n\n| | |\n| --- | --- |\n{table}\n\n## Preprocessing\n\nThe image upright, on a "
        f"background of {shape['background']} where it is transparent; the shorter side scaled to "
        f"{shape['resize']} pixels (bilinear, antialiased), the centre square of "
        f"{shape['image_size']} cut out; {'grey' if shape['in_channels'] == 1 else 'colour'}; "
        f"`(pixels / 255 - mean) / std` with mean {shape['mean']}, std {shape['std']}.\n"
    )
