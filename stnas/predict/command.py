"""Classify image files and print the answers."""

import csv
import json
from io import StringIO
from pathlib import Path

from stnas.classifier import Prediction, load
from stnas.config import Config
from stnas.config.evaluate import PredictOptions
from stnas.data.decode import FORMATS
from stnas.group.device import take
from stnas.store.console import ANSWERS, folding_table

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif")
Answer = tuple[Path, Prediction]


def run(config: Config, options: PredictOptions, *, command: str) -> None:
    """Print the likeliest classes of every file; ValueError names those that cannot be read.

    The others are answered all the same, first.
    """
    classifier = load(options.network).to(take(config.device))
    found: list[Answer] = []
    broken: list[str] = []
    for file in image_files(options.files):
        try:
            found.append((file, classifier.predict(file)[0]))
        except ValueError as error:
            broken.append(str(error))
    if found:
        show = {"table": show_table, "csv": show_csv, "json": show_json}[options.answer]
        show(found, min(options.top, len(classifier.classes)))
    if broken:
        raise ValueError("\n".join(broken))


def image_files(words: tuple[str, ...]) -> list[Path]:
    """List files, and the image files in folders, in their order."""
    files = []
    for word in words:
        place = Path(word).expanduser()
        if place.is_dir():
            inside = sorted(f for f in place.rglob("*") if f.suffix.lower() in ENDINGS)
            if not inside:
                raise ValueError(
                    f"files must be images or folders of them, got {word}, which holds no "
                    f"{', '.join(FORMATS.values())}: name another"
                )
            files += inside
        else:
            files.append(place)
    return files


def show_table(found: list[Answer], top: int) -> None:
    """Print a line a file."""
    table = folding_table("file", *(f"answer {n}" for n in range(1, top + 1)))
    for file, one in found:
        table.add_row(str(file), *(f"{name} {100 * p:.1f} %" for name, p in one.best(top)))
    ANSWERS.print(table)


def show_csv(found: list[Answer], top: int) -> None:
    """Print comma-separated values: file, class, probability, class, ..."""
    text = StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(
        ["file", *(f"{w}_{n}" for n in range(1, top + 1) for w in ("class", "probability"))]
    )
    for file, one in found:
        rows.writerow([str(file), *(v for name, p in one.best(top) for v in (name, f"{p:.6f}"))])
    ANSWERS.print(text.getvalue().rstrip("\n"), soft_wrap=True)


def show_json(found: list[Answer], top: int) -> None:
    """Print a JSON list of objects."""
    rows = [{"file": str(file), "classes": dict(one.best(top))} for file, one in found]
    ANSWERS.print(json.dumps(rows, indent=1), soft_wrap=True)
