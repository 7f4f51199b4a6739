"""The channels inside a block, searched beside its kind: scales in tenths of the usual number."""

import re
from collections.abc import Sequence
from itertools import pairwise

KINDS = ("shuffle3", "shuffle5", "shuffle7", "xception")
"""The kinds of every block, in gene order, which is that of the authors' tuples."""
MOST = 35 // len(KINDS)
"""Scales that a space may have: a gene is one base-36 digit."""
TUPLES = re.compile(
    r"\s*[(\[]?\s*[(\[]([\d\s,]+)[)\]]\s*,\s*[(\[]([\d\s,]+)[)\]]\s*,?\s*[)\]]?\s*", re.ASCII
)
"""Two tuples beside each other, in a further pair of brackets or not."""


def scaled(base: int, tenths: int) -> int:
    """Return ``floor(base * tenths / 10)``, in integers."""
    return base * tenths // 10


def check_scales(scales: Sequence[int], widths: Sequence[int]) -> None:
    """Raise ValueError for scales that do not rise, are too many, or give blocks of one size."""
    if any(low >= high for low, high in pairwise(scales)):
        raise ValueError(
            f"space.scales must rise without repeats, got {tuple(scales)}: write"
            f" {tuple(sorted(set(scales)))}"
        )
    if len(scales) > MOST:
        raise ValueError(
            f"space.scales must be at most {MOST}, since {len(KINDS)} kinds of each are the choices"
            f" of one digit, got {len(scales)}: leave some out"
        )
    for base in (width // 2 for width in widths):
        mids = [scaled(base, tenths) for tenths in scales]
        for tenths, mid in zip(scales, mids, strict=True):
            if mid == 0:
                raise ValueError(
                    f"space.scales must leave a channel of the {base} inside a block of"
                    f" {2 * base}, got {tenths} tenths: take {-(-10 // base)} or more"
                )
        for (low, high), (first, second) in zip(pairwise(scales), pairwise(mids), strict=True):
            if first == second:
                raise ValueError(
                    f"space.scales must give blocks of different sizes, got {low} and {high}"
                    f" tenths, which both leave {first} of the {base} channels inside a block of"
                    f" {2 * base}: leave one of them out, or widen space.widths"
                )


def read_tuples(text: str, *, blocks: int, scales: Sequence[int]) -> list[int] | None:
    """Read the authors' ``(kinds), (ids)`` as genes; None for text that is no tuple.

    Their id i stands for the scale 0.2 (i + 1). Raises ValueError for tuples of another length, for
    kinds or scales that the space has not, and for one tuple, whose numbers could be either.
    """
    match = TUPLES.fullmatch(text)
    if match is None:
        if text.lstrip().startswith(("(", "[")):
            raise ValueError(
                f"genotype must be two tuples where space.scales are searched, got {text!r}: write"
                " the kinds of all blocks, a comma, and the ids of their scales, (0, 1), (4, 4)"
            )
        return None
    kinds, ids = ([int(word) for word in own.split(",") if word.strip()] for own in match.groups())
    for name, own in (("kinds", kinds), ("ids of scales", ids)):
        if len(own) != blocks:
            raise ValueError(
                f"genotype must have {blocks} {name}, one a block, got {len(own)}: copy all of"
                " them, or name the space that they are of"
            )
    known = [tenths // 2 - 1 for tenths in scales if tenths % 2 == 0]
    for name, own, allowed in (("kinds", kinds, range(len(KINDS))), ("ids of scales", ids, known)):
        for number in own:
            if number not in allowed:
                raise ValueError(
                    f"genotype must have {name} among {', '.join(map(str, allowed))} with"
                    f" space.scales {tuple(scales)}, got {number}: correct it, or set the scales"
                    " that it was searched with (id i is 2 (i + 1) tenths)"
                )
    places = [list(scales).index(2 * (number + 1)) for number in ids]
    return [kind * len(scales) + place for kind, place in zip(kinds, places, strict=True)]
