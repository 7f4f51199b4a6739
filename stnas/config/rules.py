"""Checks that the sections of the configuration share."""

import math


def require(holds: bool, key: str, rule: str, value: object) -> None:
    """Raise a ValueError that names the key, its rule and the value unless the rule holds."""
    if not holds:
        raise ValueError(f"{key} must be {rule}, got {value!r}")


def at_least(key: str, value: int, bound: int) -> None:
    """Require an integer of ``bound`` or more."""
    require(value >= bound, key, f"{bound} or more", value)


def one_of(key: str, value: object, words: tuple[str, ...]) -> None:
    """Require one of some words."""
    if value not in words:
        raise ValueError(
            f"{key} must be one of {', '.join(words)}, got {value!r}: correct the word"
        )


def positive(key: str, value: float) -> None:
    """Require a finite number above 0."""
    require(math.isfinite(value) and value > 0, key, "a finite number above 0", value)


def width(key: str, value: float) -> None:
    """Require a factor of channels."""
    require(math.isfinite(value) and 0.1 <= value <= 10, key, "a factor in [0.1, 10]", value)


def not_negative(key: str, value: float) -> None:
    """Require a finite number of 0 or more."""
    require(math.isfinite(value) and value >= 0, key, "a finite number of 0 or more", value)


def share(key: str, value: float) -> None:
    """Require a number in [0, 1)."""
    if not 0 <= value < 1:
        raise ValueError(f"{key} must lie in [0, 1), got {value!r}: 0 turns it off, 0.9 is much")


def probability(key: str, value: float) -> None:
    """Require a number in [0, 1]."""
    require(0 <= value <= 1, key, "in [0, 1]", value)


def window(key: str, low: float | None, high: float | None) -> None:
    """Require finite ends of a window, and ``low <= high`` where both are given."""
    for name, end in (("min", low), ("max", high)):
        finite = end is None or math.isfinite(end)
        require(finite, f"{key}_{name}", "a finite number, or left out for no bound", end)
    if low is not None and high is not None:
        require(low <= high, f"{key}_min", f"at most {key}_max = {high}", low)


def synchronised(key: str, wanted: bool, *, kernels: str) -> None:
    """Require the plain form of the choice block for statistics over several processes."""
    if wanted and kernels != "reference":
        raise ValueError(
            f"{key} must be false with kernels {kernels}, got True: the statistics of the compiled "
            "choice block are those of one process; set --kernels reference"
        )


def compiled_kernels(key: str, sizes: tuple[int, ...], *, kernels: str) -> None:
    """Require depthwise kernels that the compiled form of the choice block has."""
    wrong = [size for size in sizes if size not in (3, 5, 7)]
    if wrong and kernels == "fused":
        raise ValueError(
            f"{key} must be of 3, 5 and 7 with kernels fused, got {wrong[0]}: choose among these, "
            "or set --kernels reference"
        )


def parts(key: str, count: int, *, of: int) -> None:
    """Require a count that cuts a batch into equal parts of 2 images or more."""
    holds = count >= 1 and of % count == 0 and of // count >= 2
    require(holds, key, f"a divisor of the batch_size = {of} that leaves 2 images or more", count)


def plain_kernels(family: str | None, profile: str, *, kernels: str) -> None:
    """Refuse compiled kernels for quantised blocks, which have none."""
    quantised = family == "quant" or (family is None and profile.startswith("resnet"))
    if quantised and kernels != "reference":
        raise ValueError(
            "kernels must be reference with space.family quant, whose blocks torch's operators "
            f"compute, got {kernels!r}: set --kernels reference"
        )
