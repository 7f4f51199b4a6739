"""A network under another model: feature maps, other classes, other channels."""

import sys

import pytest
import torch
from torch.testing import assert_close

import stnas


def images(channels=1, count=2):
    return torch.randn(count, channels, 12, 12, generator=torch.Generator().manual_seed(0))


def test_features_are_the_last_of_every_resolution_and_have_gradients(trained_run):
    made = stnas.backbone(trained_run, features_only=True)
    x = images().requires_grad_()
    maps = made(x)
    info = made.feature_info
    assert [m.shape[1] for m in maps] == info.channels() == [8, 12]
    assert [12 // m.shape[2] for m in maps] == info.reduction() == [1, 2]
    sum(m.square().sum() for m in maps).backward()
    assert x.grad.abs().sum() > 0
    fresh = stnas.backbone(trained_run, features_only=True).eval()
    whole = stnas.load(trained_run)
    with torch.no_grad():
        assert_close(whole.network.tail(fresh(images())[-1]), whole(images()))


def test_another_number_of_classes_has_a_fresh_layer(trained_run):
    made = stnas.backbone(trained_run, num_classes=7)
    assert made.training
    assert made(images()).shape == (2, 7)
    assert stnas.backbone(trained_run, num_classes=0)(images()).shape == (2, 16)
    same = stnas.backbone(trained_run, num_classes=4).eval()
    with torch.no_grad():
        assert_close(same(images()), stnas.load(trained_run)(images()))


def test_grey_pictures_in_colour_give_what_they_gave(trained_run):
    made = stnas.backbone(trained_run, in_chans=3).eval()
    with torch.no_grad():
        found, expected = made(images().expand(-1, 3, -1, -1)), stnas.load(trained_run)(images())
    assert_close(found, expected, atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="in_chans must be 1 or more"):
        stnas.backbone(trained_run, in_chans=0)


def test_without_timm_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setitem(sys.modules, "timm.models", None)
    with pytest.raises(ImportError, match=r"pip install 'stnas\[timm\]'"):
        stnas.register_timm()


def test_timm_makes_it(trained_run):
    timm = pytest.importorskip("timm", reason="pip install 'stnas[timm]'")
    stnas.register_timm()
    made = timm.create_model("stnas", path=str(trained_run), num_classes=5)
    assert made(images()).shape == (2, 5)
    maps = timm.create_model("stnas", path=str(trained_run), features_only=True)(images())
    assert [m.shape[1] for m in maps] == [8, 12]
