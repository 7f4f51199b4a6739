"""Words in messages: the one that was meant, and values of any length."""

from collections.abc import Collection
from difflib import get_close_matches

SHOWN = 60


def shown(text: str) -> str:
    """Quote a text, a long one cut."""
    return repr(text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}...")


def nearest(word: str, known: Collection[str]) -> list[str]:
    """List the known words that a wrong one may have been meant to be, at most three.

    Words with dots are compared by their last part too: ``batch_size`` is ``train.batch_size``.
    """
    word = word[:SHOWN].replace("-", "_")
    ends = [name for name in known if name.rpartition(".")[2] == word.rpartition(".")[2]]
    if ends:
        return get_close_matches(word, ends, n=3, cutoff=0.0)
    whole = get_close_matches(word, known, n=1, cutoff=0.7)
    if whole or "." in word:
        return whole or get_close_matches(word, known, n=1, cutoff=0.5)
    last = {name.rpartition(".")[2] for name in known}
    near = get_close_matches(word, last, n=1, cutoff=0.7)
    return [name for name in known if name.rpartition(".")[2] in near][:3]


def suggestion(word: str, known: Collection[str], *, mark: str = "") -> str:
    """Ask for the word that was meant; empty where none is near. mark: stands before each."""
    near = [f"{mark}{name}" for name in nearest(word, known)]
    return f"did you mean {' or '.join(near)}?" if near else ""
