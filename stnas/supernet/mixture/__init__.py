"""The hyper-network whose edges mix all candidates, for search by gradients."""

from stnas.supernet.mixture.network import MixedNet
from stnas.supernet.mixture.partial import edge_weights
from stnas.supernet.mixture.shares import Drawn, Shares, Soft

__all__ = ["Drawn", "MixedNet", "Shares", "Soft", "edge_weights"]
