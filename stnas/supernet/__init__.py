"""The hyper-network and the networks cut out of it."""

from stnas.supernet.network import Network
from stnas.supernet.supernet import SuperNet

__all__ = ["Network", "SuperNet"]
