"""What a measurement was made on."""

import platform
from pathlib import Path


def processor_facts() -> dict[str, str]:
    """Return what Linux tells of the processor, such as "model name"; nothing elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (x.partition(":") for x in lines)}


def processor() -> str:
    """Name the processor."""
    facts = processor_facts()
    if not facts:
        return platform.processor() or platform.machine()
    return facts.get("model name", platform.machine())
