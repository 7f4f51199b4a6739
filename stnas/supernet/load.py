"""Networks on disk: a folder with ``network.json`` and ``network.safetensors``."""

from pathlib import Path

from stnas.config import Kernels
from stnas.space import SearchSpace
from stnas.store.complete import check_part
from stnas.store.files import check_identity, read_json
from stnas.store.names import DESCRIPTION, NETWORK
from stnas.store.rows import NetworkRow, check_keys, typed_row
from stnas.store.tensors import load_weights_
from stnas.supernet import Network


def load_network(folder: str | Path, *, kernels: Kernels = "fused") -> Network:
    """Load a retrained network, such as ``RUN/retrain/A``, in evaluation mode.

    kernels: ``fused`` computes by the compiled operators wherever they may stand in for the
    layers, which they do not for layers that are hooked, replaced or changed, nor where the
    network is traced or exported; ``reference`` by PyTorch's alone.
    Its images are ``(pixels / 255 - mean) / std`` with ``mean``, ``std`` and the names of the
    classes in ``network.json``. Raises FileNotFoundError or ValueError for a folder that holds no
    whole network.
    """
    return described_network(Path(folder), kernels=kernels)[0]


def described_network(path: Path, *, kernels: Kernels) -> tuple[Network, NetworkRow]:
    """Load a retrained network with its description.

    DamagedError: weights and description are not of one training, or not those that the result of
    their stage lists, where they lie in a run.
    """
    if not (path / DESCRIPTION).exists():
        raise FileNotFoundError(
            f"{path / DESCRIPTION} is missing: give a folder that `stnas retrain` has written, "
            "such as RUN/retrain/A"
        )
    description = read_json(path / DESCRIPTION)
    check_keys(description, ("space", "genotype"), path / DESCRIPTION)
    space = SearchSpace.from_json(description["space"])
    row = typed_row(NetworkRow, description, path / DESCRIPTION, costs=space.costs)
    check_part(path)
    network = Network.build(space, space.parse(description["genotype"]), kernels=kernels)
    metadata = load_weights_(network, path / NETWORK)
    marks = {name: description[name] for name in ("genotype", "origin") if name in description}
    check_identity(metadata, path / NETWORK, **marks)
    return network.eval(), row
