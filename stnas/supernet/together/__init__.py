"""Many architectures computed together: what several have in common is computed once."""

from stnas.supernet.together.trie import Trie

__all__ = ["Trie"]
