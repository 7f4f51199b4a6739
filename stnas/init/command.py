"""Say what a folder of images is like, and write a configuration for it."""

import os
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.table import Table

from stnas.config import Config
from stnas.config.init import InitOptions
from stnas.config.keys import build
from stnas.config.settling import settled
from stnas.data.decode import listed
from stnas.init.look import MOST, Findings, look
from stnas.init.proposal import Proposal, proposals
from stnas.init.speed import images_per_second, parts
from stnas.init.text import configuration
from stnas.learn.forecast import told, work_of
from stnas.store.console import ANSWERS, folding_table
from stnas.store.files import write_text

CLASSES = 40
"""Classes that are listed; of more, the smallest and the largest ones."""


def run(options: InitOptions, recipe: Mapping[str, object], *, command: str) -> None:
    """Look at the images, print what was found, and write the configuration.

    recipe: values by name that the proposals stand above.
    """
    given: dict[str, object] = {"data.path": options.images}
    if options.image_size is not None:
        given["data.image_size"] = options.image_size
    config: Config = build({**recipe, **given})
    file = target(options)
    found = look(config.data)
    given["run"] = options.run or f"runs/{file.stem}"
    for line in (*described(found), class_table(found), *warnings(found)):
        ANSWERS.print(line, soft_wrap=not isinstance(line, Table))
    wanted = proposals(found, recipe, given)
    values = {**recipe, **given, **{own.name: own.value for own in wanted}}
    if "search.limits" in values:
        values.pop("search.limit_shares", None)
    own = build(values)
    time = estimate(own, found, options.seconds)
    chosen = [Proposal(name, value, "") for name, value in given.items()]
    text = configuration(values, [*chosen, *wanted], summary=[*described(found), time], by=command)
    write_text(file, text)
    ANSWERS.print(proposal_table(wanted))
    if time:
        ANSWERS.print(time, soft_wrap=True)
    ANSWERS.print(
        f"wrote {file}; read it, then: stnas run --config {shlex.quote(str(file))}", soft_wrap=True
    )


def target(options: InitOptions) -> Path:
    """Return the file to write; FileExistsError: it is there and may not be replaced."""
    images = Path(options.images).expanduser().resolve()
    name = images.name if images.is_dir() else images.stem
    file = Path(options.output or f"{name}.yaml").expanduser()
    if os.path.lexists(file) and not options.overwrite:
        raise FileExistsError(
            f"output must be a file that is not there yet, got {file}: set --overwrite true, or "
            "name another with --output"
        )
    return file


def described(found: Findings) -> list[str]:
    """Say in lines what images are like."""
    total, tested = int(found.counts.sum()), int(found.tested.sum())
    heights, widths = found.sizes.T
    spread = f"{widths.min()}x{heights.min()} pixels"
    if (kinds := len(np.unique(found.sizes, axis=0))) > 1:
        spread += f" to {widths.max()}x{heights.max()}, {kinds:,} sizes"
    of = "in a folder of their own" if found.apart else "a fixed fifth of each class"
    transparent = f", {found.transparent:,} of them transparent" if found.transparent else ""
    return [
        f"{found.name}: {total:,} images in {len(found.classes)} classes to train on, "
        f"{tested:,} to test with ({of})",
        f"{'grey' if found.grey else 'colour'}, {spread}{transparent}",
    ]


def class_table(found: Findings) -> Table:
    """Tabulate the classes with their images; of many, the smallest and the largest."""
    table = folding_table("class", "to train on", "to test with")
    rows = list(zip(found.classes, found.counts.tolist(), found.tested.tolist(), strict=True))
    if len(rows) > CLASSES:
        rows.sort(key=lambda row: row[1])
        rows = [*rows[: CLASSES // 2], ("...", 0, 0), *rows[-CLASSES // 2 :]]
    for name, count, tested in rows:
        cells = ("", "") if name == "..." else (f"{count:,}", f"{tested:,}")
        table.add_row(name, *cells)
    return table


def warnings(found: Findings) -> list[str]:
    """Say what is wrong with images."""
    lines = []
    if found.broken:
        lines += [f"files that cannot be read: {len(found.broken)}\n{listed(found.broken)}"]
    empty = [name for name, count in zip(found.classes, found.counts, strict=True) if count < 2]
    if empty:
        lines.append(
            f"too few images to train on in {', '.join(empty[:8])}: add some, or remove the class"
        )
    if found.files and len(found.sizes) + len(found.broken) == MOST:
        lines.append(f"{MOST:,} files were looked at, spread evenly over all")
    return lines


def proposal_table(wanted: list[Proposal]) -> Table:
    """Tabulate proposals."""
    table = folding_table("proposed", "value", "why")
    for own in wanted:
        value = list(own.value) if isinstance(own.value, tuple) else own.value
        table.add_row(own.name, str(value), own.why)
    return table


def estimate(config: Config, found: Findings, seconds: float) -> str:
    """Measure the speed here and say how long a run takes; empty without seconds to measure."""
    if not seconds:
        return ""
    size = config.data.image_size
    assert isinstance(size, int)
    channels = 1 if found.grey and not config.data.streamed else 3
    train, held = parts(found.counts, config.data.validation)
    speed = images_per_second(
        replace(config, data=settled(config.data)),
        size=size,
        channels=channels,
        classes=len(found.classes),
        seconds=seconds,
    )
    return told(work_of(config, train, held, config.train.epochs), speed)
