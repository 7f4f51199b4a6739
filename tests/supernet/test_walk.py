"""The compiled path of any architecture equals its blocks one by one, and the plain twin."""

import pytest
import torch

from stnas.space import SearchSpace
from stnas.space.topology import edges_of
from stnas.supernet import SuperNet, walk

SPACES = [("nano", "sum"), ("nano", "mean"), ("micro", "sum"), ("micro", "mean")]


def outcome(supernet, genotype, images):
    """Return the logits, and the gradients of their squares by name."""
    logits = supernet(images, genotype)
    supernet.zero_grad()
    logits.square().sum().backward()
    grads = {n: p.grad.clone() for n, p in supernet.named_parameters() if p.grad is not None}
    return logits.detach(), grads


def architectures(space, count):
    """Sample architectures, two thirds of whose edges are identities where they may be."""
    rows = space.sample(count, p_drop=0.3, seed=1)
    for edge in edges_of(space):
        kinds = [choice.kind for choice in edge.choices]
        for number, row in enumerate(rows):
            if "identity" in kinds and (edge.index + number) % 3:
                row[edge.index] = kinds.index("identity")
    return rows


@pytest.mark.parametrize(("profile", "merge"), SPACES)
def test_any_architecture(profile, merge, monkeypatch):
    torch.manual_seed(0)
    options = {"image_size": 8, "in_channels": 1, "num_classes": 4, "dropout": 0.0}
    space = SearchSpace.profile(profile, merge=merge, **options)
    supernet = SuperNet(space).double()
    twin = SuperNet(space, kernels="reference").double()
    twin.load_state_dict(supernet.state_dict())
    images = torch.randn(5, 1, 8, 8).double()
    for genotype in architectures(space, 12):
        logits, grads = outcome(supernet, genotype, images)
        with monkeypatch.context() as change:
            change.setattr(walk, "is_path", lambda *_, **__: False)
            one_by_one, block_grads = outcome(supernet, genotype, images)
        expected, twin_grads = outcome(twin, genotype, images)
        assert torch.equal(logits, one_by_one)
        torch.testing.assert_close(logits, expected)
        assert grads.keys() == block_grads.keys() == twin_grads.keys()
        for name, grad in grads.items():
            torch.testing.assert_close(grad, block_grads[name])
            torch.testing.assert_close(grad, twin_grads[name], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("merge", ["sum", "shadow"])
def test_active_parameters_are_those_that_get_gradients(merge):
    options = {"image_size": 8, "in_channels": 1, "num_classes": 4}
    space = SearchSpace.profile("nano", merge=merge, **options)
    supernet = SuperNet(space, affine=True)
    for genotype in architectures(space, 6):
        _, grads = outcome(supernet, genotype, torch.randn(3, 1, 8, 8))
        names = [name for name, _ in supernet.named_parameters()]
        active = [names[i] for i in supernet.active_parameters(genotype)]
        assert grads.keys() <= set(active)
        assert {name for name in active if not name.startswith("merges")} <= grads.keys()
    with pytest.raises(ValueError, match="one row"):
        supernet.active_parameters(space.sample(2, p_drop=0.3, seed=1))
