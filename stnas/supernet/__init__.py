"""The hyper-network, the networks cut out of it, and many of them computed together."""

from stnas.supernet.initialisation import initialise_
from stnas.supernet.network import Network
from stnas.supernet.norms import synchronise_, track_statistics_
from stnas.supernet.supernet import SuperNet
from stnas.supernet.together import Trie

__all__ = ["Network", "SuperNet", "Trie", "initialise_", "synchronise_", "track_statistics_"]
