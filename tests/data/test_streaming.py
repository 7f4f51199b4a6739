"""Folders that are streamed: DALI and Pillow give the same batches, and broken files are found."""

import itertools
import logging
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from stnas.config import DataConfig, settling
from stnas.config.settling import settled
from stnas.data import (
    batches,
    evaluation_requests,
    load,
    open_streamed,
    scan,
    streaming,
    training_requests,
)

BACKENDS = ("dali", "pillow")
SIZE = 16
PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1 / 255,) * 3}  # Pixels in [0, 255].
LEVELS = {"plain": 2.0, "jittered": 3.0}
"""Most grey levels of 255 between the backends' pixels: each rounds a weighted sum of its own."""


def picture(seed, *, least=20, most=60):
    rng = np.random.default_rng(seed)
    width, height = (int(side) for side in rng.integers(least, most, 2))
    coarse = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Write JPEG images of three classes, a PNG and a grey JPEG among them."""
    root = tmp_path_factory.mktemp("photographs")
    for (part, count), (number, name) in itertools.product(
        (("train", 9), ("val", 5)), enumerate(("cat", "dog", "eel"))
    ):
        (root / part / name).mkdir(parents=True)
        for i in range(count):
            picture(100 * number + i).save(root / part / name / f"{i}.jpg", quality=95)
    picture(7).save(root / "train/cat/0.jpg", format="PNG")
    picture(8).convert("L").save(root / "train/dog/0.jpg")
    return root


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


def configure(root, backend="pillow", **options):
    return DataConfig(path=str(root), backend=backend, image_size=SIZE, workers=2, **options)


def training(split, *, size=4, epoch=0, **options):
    requests = training_requests(
        split, order_seed=1, augment_seed=2, epoch=epoch, size=size, **options
    )
    return list(batches(split, requests, **PLAIN))


def evaluation(split, *, size=4, **options):
    return list(batches(split, evaluation_requests(split, size=size, **options), **PLAIN))


def same(first, second):
    return len(first) == len(second) and all(
        torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])
        for a, b in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_evaluation_takes_every_image_once_the_last_batch_included(whole, backend):
    split = load(configure(whole, backend), seed=0).test
    found = evaluation(split)
    assert [len(labels) for _, labels in found] == [4, 4, 4, 3]
    assert torch.cat([labels for _, labels in found]).tolist() == [0] * 5 + [1] * 5 + [2] * 5
    for rank in range(2):
        assert same(evaluation(split, rank=rank, world=2), found[rank::2])
    assert same(evaluation(split), found)


@pytest.fixture
def gradients(tmp_path):
    """Write images whose red is 4 x and whose green is 4 y: a pixel tells where it comes from."""
    for part, name, i in itertools.product(("train", "val"), ("a", "b"), range(6)):
        width, height = 40 + 3 * i, 60 - 2 * i
        y, x = np.mgrid[:height, :width]
        pixels = np.stack((4 * x, 4 * y, 0 * x), axis=2).astype(np.uint8)
        (tmp_path / part / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / part / name / f"{i}.png")
    return tmp_path


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("part", ["train", "test"])
def test_pixels_come_from_where_the_window_says(gradients, backend, part):
    data = load(configure(gradients, backend, crop_scale=(0.3, 1.0), resize=20), seed=0)
    if part == "train":
        split, options = data.train, {"order_seed": 1, "augment_seed": 2, "epoch": 0}
        requests = list(training_requests(split, size=5, **options))
        assert {int(flag) for request in requests for flag in request.mirror} == {0, 1}
    else:
        split, requests = data.test, list(evaluation_requests(data.test, size=5))
    found = batches(split, iter(requests), **PLAIN)
    for request, (images, _) in zip(requests, found, strict=True):
        for image, window, mirror in zip(images, request.windows, request.mirror, strict=True):
            image = image.flip(2) if mirror else image
            steps = (torch.arange(SIZE) + 0.5) / SIZE
            top, left, bottom, right = window.tolist()
            x = 4 * (left + (right - left) * steps - 0.5)
            y = 4 * (top + (bottom - top) * steps - 0.5)
            inner = slice(3, -3)  # The filter meets the image's border outside.
            assert (image[0, inner, inner] - x[None, inner]).abs().max() <= 1.0
            assert (image[1, inner, inner] - y[inner, None]).abs().max() <= 1.0
            assert image[2].max() == 0


@pytest.mark.parametrize("jitter", [0.0, 0.4])
@pytest.mark.dali
def test_the_backends_agree(whole, jitter):
    dali, pillow = (load(configure(whole, name, jitter=jitter), seed=0) for name in BACKENDS)
    assert dali.fingerprint == pillow.fingerprint
    assert (dali.mean, dali.std) == (pillow.mean, pillow.std)
    tolerance = LEVELS["jittered" if jitter else "plain"]
    for epoch in range(3):
        pairs = zip(
            training(dali.train, epoch=epoch), training(pillow.train, epoch=epoch), strict=True
        )
        for (first, labels), (second, others) in pairs:
            assert torch.equal(labels, others)
            assert (first - second).abs().max() <= tolerance
            assert (first - second).abs().mean() <= tolerance / 5


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_epoch_can_be_entered_at_any_batch_and_cut_among_ranks(whole, backend):
    split = load(configure(whole, backend, jitter=0.2), seed=0).train
    epoch = training(split, size=5)
    assert [len(labels) for _, labels in epoch] == [5, 5, 5, 5, 4]
    assert same(training(split, size=5), epoch)
    assert not same(training(split, size=5, epoch=1), epoch)
    for start in range(6):
        assert same(training(split, size=5, start=start), epoch[start:])
    ranks = [training(split, size=5, stop=4, rank=rank, world=3) for rank in range(3)]
    together = [
        tuple(map(torch.cat, zip(*parts, strict=True))) for parts in zip(*ranks, strict=True)
    ]
    assert same(together, epoch[:4])


@pytest.mark.parametrize("backend", BACKENDS)
def test_batches_are_float_and_channels_last(whole, backend):
    images, labels = training(load(configure(whole, backend), seed=0).train)[0]
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
    assert images.stride() == (3 * SIZE * SIZE, 1, 3 * SIZE, 3)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_epoch_may_be_left_early(whole, backend):
    split = load(configure(whole, backend), seed=0).train
    begun = batches(
        split, training_requests(split, order_seed=1, augment_seed=2, epoch=0, size=2), **PLAIN
    )
    first = next(begun)
    begun.close()
    assert same([first], training(split, size=2)[:1])


@pytest.mark.parametrize("backend", BACKENDS)
def test_normalisation_follows_its_formula(whole, backend):
    split = load(configure(whole, backend), seed=0).test
    plain = evaluation(split)[0][0]
    mean, std = (0.1, 0.5, 0.9), (0.2, 0.3, 0.4)
    (images, _), *_ = batches(split, evaluation_requests(split, size=4), mean=mean, std=std)
    rows = (torch.tensor(numbers)[:, None, None] for numbers in (mean, std))
    torch.testing.assert_close(images, (plain / 255 - next(rows)) / next(rows))


def break_files(root):
    (root / "train/cat/1.jpg").write_bytes(b"")
    (root / "train/cat/2.jpg").write_text("words, not an image")
    content = (root / "val/eel/1.jpg").read_bytes()
    (root / "val/eel/1.jpg").write_bytes(content[: len(content) // 2])
    picture(1).save(root / "train/dog/1.jpg", format="GIF")
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(root / "train/dog/2.jpg", format="PNG")


def test_broken_files_are_listed_at_once_or_left_out(folder, caplog):
    break_files(folder)
    with pytest.raises(ValueError, match="got 5 broken") as caught:
        load(configure(folder), seed=0)
    text = str(caught.value)
    for line in (
        "train/cat/1.jpg: the file is empty",
        "train/cat/2.jpg: not a PNG, JPEG, BMP or WebP image",
        "val/eel/1.jpg: image file is truncated",
        "train/dog/1.jpg: not a PNG, JPEG, BMP or WebP image",
        "train/dog/2.jpg: mode I;16, not 8 bits a channel",
        "(or leave them out: --data.broken skip)",
    ):
        assert line in text
    with caplog.at_level(logging.WARNING):
        data = load(configure(folder, broken="skip"), seed=0)
    assert caplog.text.count("left out: ") == 5
    assert len(data.train) + len(data.validation) == 23
    assert len(evaluation(data.test, size=20)[0][1]) == 14


def test_a_class_without_a_readable_image_is_named(folder):
    for file in (folder / "train/eel").iterdir():
        file.write_bytes(b"x")
    with pytest.raises(ValueError, match="must have readable training images, got none in eel: "):
        load(configure(folder, broken="skip"), seed=0)


@pytest.mark.dali
def test_what_the_scan_lets_pass_both_backends_read_alike(folder):
    rng = np.random.default_rng(0)
    for file in sorted(folder.rglob("*.jpg")):
        content = bytearray(file.read_bytes())
        for _ in range(int(rng.integers(1, 4))):
            content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        file.write_bytes(content)
    files = sorted(folder.rglob("*.jpg"))
    _, broken = scan.scan_files(files, root=folder, known=None, workers=2, say=print)
    assert 5 < len(broken) < len(files) - 10
    dali, pillow = (load(configure(folder, name, broken="skip"), seed=0) for name in BACKENDS)
    for (first, _), (second, _) in zip(
        evaluation(dali.train), evaluation(pillow.train), strict=True
    ):
        assert (first - second).abs().max() <= LEVELS["plain"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("fault", ["truncated", "gone", "another size", "another picture"])
def test_a_file_that_breaks_in_mid_epoch_is_named(folder, backend, fault):
    split = load(configure(folder, backend), seed=0).train
    file = split.files[11]
    if fault == "truncated":
        file.write_bytes(file.read_bytes()[:300])
    elif fault == "gone":
        file.unlink()
    elif fault == "another size":
        Image.new("RGB", (5, 5)).save(file)
    else:
        with Image.open(file) as image:
            ImageOps.mirror(image).save(file)
    with pytest.raises(ValueError, match="got 1 changed:") as caught:
        training(split)
    assert f"  {file}: " in str(caught.value)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_changed_file_is_named_where_the_path_is_relative(folder, backend, monkeypatch):
    monkeypatch.chdir(folder.parent)
    split = load(configure(folder.name, backend), seed=0).train
    Image.new("RGB", (5, 5)).save(split.files[3])
    with pytest.raises(ValueError, match=r"got 1 changed:\n  copy/train/\S+: 5x5 pixels, "):
        training(split)


def test_a_file_that_breaks_between_the_scan_and_the_statistics_is_named(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)

    def fail(*_):
        raise OSError("the disk is gone")

    monkeypatch.setattr(streaming, "cut", fail)
    with pytest.raises(ValueError, match=r"copy: every image must be readable"):
        load(configure(folder.name), seed=0)


def test_only_changed_files_are_read_again(folder, monkeypatch):
    data, found = open_streamed(configure(folder), seed=0, known=None, say=print)
    read = []
    original = scan.inspect
    monkeypatch.setattr(scan, "inspect", lambda file: read.append(file) or original(file))
    again, known = open_streamed(configure(folder), seed=0, known=found, say=print)
    assert (read, again.fingerprint) == ([], data.fingerprint)
    changed = folder / "train/eel/3.jpg"
    picture(77).save(changed)
    (folder / "train/eel/4.jpg").unlink()
    third, _ = open_streamed(configure(folder), seed=0, known=known, say=print)
    assert read == [changed]
    assert third.fingerprint != data.fingerprint
    assert len(third.train) + len(third.validation) == 26


def test_the_fingerprint_is_that_of_the_content_and_the_division(folder):
    first = load(configure(folder), seed=0).fingerprint
    for file in folder.rglob("*.jpg"):
        os.utime(file, (1, 1))
    assert load(configure(folder), seed=0).fingerprint == first
    assert load(configure(folder, resize=30), seed=0).fingerprint != first
    assert load(configure(folder), seed=1).fingerprint != first


def test_limits_leave_files_unread(folder):
    (folder / "train/eel/8.jpg").write_bytes(b"broken, and not chosen")
    data = load(configure(folder, train_limit=6, test_limit=3, validation=0.5), seed=3)
    assert (len(data.train), len(data.validation), len(data.test)) == (3, 3, 3)


@pytest.mark.dali
def test_auto_takes_dali_where_it_is_and_the_log_says_so(folder, monkeypatch):
    assert settled(configure(folder, "auto")).backend == "dali"
    said = []
    data, _ = open_streamed(configure(folder, "auto"), seed=0, known=None, say=said.append)
    assert data.train.config.backend == "dali"
    assert said[0].startswith(f"images are streamed from {folder} by NVIDIA DALI ")
    monkeypatch.setattr(settling, "dali_is_installed", lambda: False)
    data, _ = open_streamed(configure(folder, "auto"), seed=0, known=None, say=said.append)
    assert data.train.config.backend == "pillow"
    assert "by Pillow " in said[1]
    for wanted in (configure(folder, "dali"), configure(folder, "auto", decoder="mixed")):
        with pytest.raises(ValueError, match=r"is not installed: run pip install 'stnas\[dali\]'"):
            load(wanted, seed=0)


@pytest.mark.dali
def test_the_mixed_decoder_without_a_gpu_is_refused(whole):
    code = f"""
from stnas.config import DataConfig
from stnas.data import batches, evaluation_requests, load
config = DataConfig({str(whole)!r}, backend="dali", decoder="mixed", image_size=16)
split = load(config, seed=0).test
next(batches(split, evaluation_requests(split, size=4), mean=(0.5,) * 3, std=(0.5,) * 3))
"""
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, "-c", code], env=hidden, capture_output=True, text=True)
    assert "ValueError: data.decoder mixed could not be set up" in done.stderr
    assert "set --data.decoder cpu" in done.stderr


@pytest.mark.parametrize("path", ["embedded", "auto", "nowhere", "set.npz"])
def test_what_is_no_folder_of_images_is_not_streamed(tmp_path, path):
    (tmp_path / "set.npz").write_bytes(b"")
    place = path if path in ("embedded", "auto") else str(tmp_path / path)
    with pytest.raises(ValueError, match=r"data\.path must be a folder of image files with"):
        load(configure(place), seed=0)


def test_splits_are_taken_apart_and_joined(whole):
    data = load(configure(whole), seed=0)
    both = data.train.joined(data.validation)
    assert len(both) == 27
    rows = torch.tensor([26, 0])
    assert both.take(rows).files == (data.validation.files[-1], data.train.files[0])
    assert both.take(rows).labels.tolist() == [2, 0]
    assert same(evaluation(both.take(rows)), evaluation(both.take(rows), size=9))
    assert (data.in_channels, data.image_size, data.num_classes) == (3, SIZE, 3)
