"""Pairs of bits, as a configuration writes them."""

import re

PAIR = re.compile(r"w([1-8])a([1-8])", re.ASCII)


def read_pair(word: object) -> tuple[int, int]:
    """Read ``w2a4``, bits of weights and of activations; ValueError for anything else."""
    match = PAIR.fullmatch(word) if isinstance(word, str) else None
    if match is None:
        raise ValueError(
            f"space.bits must be pairs of 1 to 8 bits each, got {word!r}: write w2a4 for weights of"
            " 2 bits and activations of 4"
        )
    return int(match[1]), int(match[2])


def check_pairs(words: tuple[str, ...]) -> None:
    """Raise ValueError unless there are 1 to 35 different pairs, TypeError for no tuple."""
    if not isinstance(words, tuple):
        raise TypeError(
            f"space.bits must be a tuple of pairs, got {words!r}: write ('w2a2', 'w4a4') or, in"
            " YAML, [w2a2, w4a4]"
        )
    if not 1 <= len(words) <= 35 or len(set(words)) < len(words):
        raise ValueError(
            f"space.bits must be 1 to 35 different pairs, got {words}: write {('w2a2', 'w4a4')}"
        )
    for word in words:
        read_pair(word)
