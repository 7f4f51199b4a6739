"""The whole way from a configuration to a data set, and the embedded images."""

import hashlib
import json
import lzma

import numpy as np
import pytest
import torch

from stnas.config.data import DataConfig
from stnas.data import Split, load, loading
from stnas.data.dataset import fingerprint, statistics

EMBEDDED = DataConfig(path="embedded")


@pytest.fixture(scope="module")
def embedded():
    return load(EMBEDDED, seed=0)


def test_the_embedded_set_is_balanced_and_complete(embedded):
    assert (embedded.name, embedded.num_classes) == ("fashion-mnist-embedded", 10)
    assert (embedded.image_size, embedded.in_channels) == (28, 1)
    assert embedded.classes[0] == "T-shirt/top"
    assert embedded.classes[9] == "Ankle boot"
    for split, count in ((embedded.train, 1080), (embedded.validation, 120), (embedded.test, 300)):
        assert torch.bincount(split.labels).tolist() == [count] * 10
        assert split.images.dtype == torch.uint8


def test_the_embedded_files_are_those_of_their_record():
    record = json.loads((loading.EMBEDDED / "SOURCE.json").read_text())
    assert len(record["outputs"]) == 4
    for name, sums in record["outputs"].items():
        packed = (loading.EMBEDDED / name).read_bytes()
        assert hashlib.sha256(packed).hexdigest() == sums["sha256"]
        assert hashlib.sha256(lzma.decompress(packed)).hexdigest() == sums["content_sha256"]
    assert "2017 Zalando SE" in (loading.EMBEDDED / "LICENSE.fashion-mnist").read_text()


def test_no_image_is_in_two_splits(embedded):
    seen = [
        {bytes(image.numpy()) for image in split.images}
        for split in (embedded.train, embedded.validation, embedded.test)
    ]
    assert len(seen[0] | seen[1] | seen[2]) == 15_000


def test_the_same_seed_gives_the_same_data_and_another_the_same_test_split(embedded):
    again, other = load(EMBEDDED, seed=0), load(EMBEDDED, seed=1)
    assert again.fingerprint == embedded.fingerprint == "96503195bb69ff62"
    assert other.fingerprint != embedded.fingerprint
    assert torch.equal(other.test.images, embedded.test.images)
    assert not torch.equal(other.validation.images, embedded.validation.images)


def test_statistics_are_those_of_the_training_images(embedded):
    pixels = embedded.train.images.numpy() / 255
    np.testing.assert_allclose(embedded.mean, [pixels.mean()], rtol=1e-12)
    np.testing.assert_allclose(embedded.std, [pixels.std()], rtol=1e-12)


def test_statistics_of_colour_and_of_constant_channels():
    images = torch.stack([torch.tensor([[0, 255]]), torch.tensor([[51, 51]])]).expand(5, 2, 1, 2)
    mean, std = statistics(images.to(torch.uint8))
    np.testing.assert_allclose(mean, [0.5, 0.2])
    np.testing.assert_allclose(std, [0.5, 1.0])


def test_limits_are_balanced_and_the_same_for_every_seed():
    config = DataConfig(path="embedded", train_limit=200, test_limit=50, validation=0.2)
    first, other = load(config, seed=0), load(config, seed=9)
    for data in (first, other):
        assert torch.bincount(data.train.labels).tolist() == [16] * 10
        assert torch.bincount(data.validation.labels).tolist() == [4] * 10
        assert torch.bincount(data.test.labels).tolist() == [5] * 10

    def pool(data):
        return {bytes(i.numpy()) for s in (data.train, data.validation) for i in s.images}

    assert pool(first) == pool(other)


def test_image_size_scales_arrays():
    data = load(DataConfig(path="embedded", train_limit=20, test_limit=10, image_size=32), seed=0)
    assert data.image_size == 32
    same = load(DataConfig(path="embedded", train_limit=20, test_limit=10), seed=0)
    difference = data.test.images.float().mean() - same.test.images.float().mean()
    assert abs(difference.item()) < 2


def test_a_limit_below_the_classes_is_refused():
    with pytest.raises(ValueError, match=r"data\.train_limit must be at least .* 10, got 9: "):
        load(DataConfig(path="embedded", train_limit=9), seed=0)
    with pytest.raises(ValueError, match=r"2 training images .*: raise data\.train_limit, 12, or"):
        load(DataConfig(path="embedded", train_limit=12), seed=0)


def test_auto_takes_the_installed_set_if_there_is_one(tmp_path, monkeypatch, embedded):
    monkeypatch.setattr(loading, "INSTALLED", tmp_path / "absent")
    assert load(DataConfig(), seed=0).fingerprint == embedded.fingerprint
    monkeypatch.setattr(loading, "INSTALLED", loading.EMBEDDED)
    assert load(DataConfig(), seed=0).name == "embedded"


@pytest.mark.parametrize(
    ("name", "reason"), [("absent", "does not exist"), ("file.txt", "is another file")]
)
def test_paths_that_are_no_data_are_refused(tmp_path, name, reason):
    (tmp_path / "file.txt").write_text("words")
    with pytest.raises(ValueError, match=rf"data\.path must be auto, .*{name}', which {reason}: "):
        load(DataConfig(path=str(tmp_path / name)), seed=0)


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="seed must lie in"):
        load(EMBEDDED, seed=-1)


def test_the_fingerprint_sees_pixels_labels_and_the_division():
    images = torch.arange(32, dtype=torch.uint8).reshape(8, 1, 2, 2)
    labels = torch.arange(8)
    first, second = Split(images[:4], labels[:4]), Split(images[4:], labels[4:])
    changed = images.clone()
    changed[0, 0, 0, 0] = 99
    prints = [
        fingerprint(first, second),
        fingerprint(second, first),
        fingerprint(first),
        fingerprint(Split(images[:5], labels[:5]), Split(images[5:], labels[5:])),
        fingerprint(Split(changed[:4], labels[:4]), second),
        fingerprint(Split(images[:4], labels[:4].flip(0)), second),
        fingerprint(Split(images[:4].reshape(4, 1, 1, 4), labels[:4]), second),
    ]
    assert len(set(prints)) == len(prints)
    assert fingerprint(Split(images[:4].clone(), labels[:4].clone()), second) == prints[0]
    strided = images.permute(0, 1, 3, 2).contiguous().permute(0, 1, 3, 2)
    assert fingerprint(Split(strided[:4], labels[:4]), second) == prints[0]


def test_a_split_checks_its_tensors():
    images, labels = torch.zeros((2, 1, 4, 4), dtype=torch.uint8), torch.zeros(2).long()
    with pytest.raises(TypeError, match=r"uint8 images and int64 labels, got torch.float32"):
        Split(images.float(), labels)
    with pytest.raises(TypeError, match=r"got torch.uint8 and torch.int32"):
        Split(images, labels.int())
    with pytest.raises(ValueError, match=r"images \[N, C, H, W\] and labels \[N\], got"):
        Split(images[0], labels)
    with pytest.raises(ValueError, match=r"got \[2, 1, 4, 4\] and \[1\]"):
        Split(images, labels[:1])
