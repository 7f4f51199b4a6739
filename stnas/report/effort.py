"""What every stage took, and what it ran on."""

from collections.abc import Mapping
from pathlib import Path

from stnas.report.load import Record, Row
from stnas.store.files import read_json
from stnas.store.names import CONFIG
from stnas.store.stages import BY_NAME


def effort(record: Record) -> list[Row]:
    """List the stages that are complete, with their time and what worked on them."""
    ordered = {name: record.results[name] for name in BY_NAME if name in record.results}
    total = sum(float(result["seconds"]) for result in record.results.values())
    return [
        {
            "stage": name,
            "purpose": BY_NAME[name].purpose,
            "time": duration(float(result["seconds"])),
            "share": float(result["seconds"]) / total if total else 0.0,
            "made_with": made_with(record.folder / name),
        }
        for name, result in ordered.items()
    ]


def duration(seconds: float) -> str:
    """Say a time in the unit that fits: ``4.2 s``, ``3.1 min``, ``2.5 h``."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def made_with(folder: Path) -> str:
    """Name versions, instruction sets and hardware that a stage was made with; empty if unknown."""
    file = folder / CONFIG
    known = read_json(file).get("made_with", []) if file.exists() else []
    return "; then ".join(map(environment, known))


def environment(made: Mapping[str, str]) -> str:
    """Say what one environment was: the GPU, or else the processor, if it is known."""
    device = made.get("device", "cpu")
    hardware = made.get("processor", "") if device == "cpu" else device
    versions = f"stnas {made['stnas']}, torch {made['torch']}, {made['instructions']}"
    return f"{versions} on {hardware}" if hardware else versions
