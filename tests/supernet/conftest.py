"""What several files of these tests compare with."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from stnas.space import Genotypes
from stnas.supernet import SuperNet, Trie


@pytest.fixture
def logits_of_all() -> Callable[[SuperNet, Genotypes, Tensor], list[Tensor]]:
    """Give what computes architectures together, and compares with each cut out and recalibrated.

    It returns their logits.
    """

    def compared(supernet: SuperNet, genotypes: Genotypes, images: Tensor) -> list[Tensor]:
        trie = Trie(supernet, genotypes)
        trie.observe_(images, momentum=1.0)
        leaves = dict(trie.logits(images))
        found = [leaves[leaf] for leaf in trie.leaves]
        for genotype, own in zip(genotypes, found, strict=True):
            network = supernet.extract(genotype).train()
            for layer in network.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    layer.momentum = 1.0
            network(images)
            torch.testing.assert_close(own, network.eval()(images), rtol=1e-4, atol=1e-4)
        return found

    return compared
