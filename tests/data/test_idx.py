"""IDX folders: what is read, and what hostile files are told."""

import gzip
import lzma

import numpy as np
import pytest

from stnas.config.data import DataConfig
from stnas.data import load
from stnas.data.idx import FASHION_CLASSES, read_idx

STEMS = {"images": "{}-images-idx3-ubyte", "labels": "{}-labels-idx1-ubyte"}
PACK = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}


def encode(array, *, magic=None, shape=None):
    shape = array.shape if shape is None else shape
    head = (0x800 | array.ndim if magic is None else magic).to_bytes(4, "big")
    return head + b"".join(n.to_bytes(4, "big") for n in shape) + array.astype("u1").tobytes()


def arrays(n=12, classes=3, size=6, seed=0):
    images = np.random.default_rng(seed).integers(0, 256, (n, size, size), dtype=np.uint8)
    return images, np.arange(n) % classes


def write_folder(folder, *, suffix="", train=None, test=None):
    folder.mkdir(exist_ok=True)
    for part, pair in (("train", train or arrays()), ("t10k", test or arrays(6, seed=1))):
        for kind, array in zip(("images", "labels"), pair, strict=True):
            path = folder / (STEMS[kind].format(part) + suffix)
            path.write_bytes(PACK[suffix](encode(array)))
    return folder


def load_folder(folder, **options):
    return load(DataConfig(path=str(folder), **options), seed=0)


@pytest.mark.parametrize("suffix", PACK)
def test_plain_and_compressed_folders_are_the_same_data(tmp_path, suffix):
    data = load_folder(write_folder(tmp_path / "set", suffix=suffix), validation=0.25)
    images, labels = arrays()
    assert (len(data.train), len(data.validation), len(data.test)) == (9, 3, 6)
    assert (data.name, data.classes, data.in_channels) == ("set", ("0", "1", "2"), 1)
    found = {
        bytes(i.numpy()) + bytes([k])
        for s in (data.train, data.validation)
        for i, k in zip(s.images, s.labels, strict=True)
    }
    assert found == {bytes(i) + bytes([k]) for i, k in zip(images, labels, strict=True)}
    np.testing.assert_array_equal(data.test.images[:, 0], arrays(6, seed=1)[0])


def test_the_spelling_with_a_dot_is_found(tmp_path):
    folder = write_folder(tmp_path / "set")
    for path in list(folder.iterdir()):
        path.rename(folder / path.name.replace("-idx", ".idx"))
    assert len(load_folder(folder).test) == 6


def test_fashion_mnist_is_known_by_its_folder(tmp_path):
    folder = write_folder(tmp_path / "Fashion-MNIST", train=arrays(40, 10), test=arrays(10, 10))
    assert load_folder(folder).classes == FASHION_CLASSES


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "header must have 16 bytes, got 0"),
        (b"\0\0\x08", "header must have 16 bytes, got 3"),
        (encode(arrays()[0], magic=0x0D03), "magic must be 0x00000803 .*, got 0x00000d03"),
        (encode(arrays()[1]) + b"\0" * 16, "magic must be 0x00000803 .*, got 0x00000801"),
        (encode(arrays()[0])[:-1], "need 432 bytes of data, got only 431"),
        (encode(arrays()[0]) + b"x", "need 432 bytes of data, got more"),
        (encode(arrays()[0], shape=(2**32 - 1,) * 3), r"multiply to at most .*, got \[4294967295"),
    ],
    ids=["empty", "short", "floats", "labels", "truncated", "long", "bomb"],
)
@pytest.mark.parametrize("suffix", PACK)
def test_broken_images_are_refused(tmp_path, suffix, content, message):
    folder = write_folder(tmp_path / "set", suffix=suffix)
    path = folder / f"train-images-idx3-ubyte{suffix}"
    path.write_bytes(PACK[suffix](content))
    with pytest.raises(ValueError, match=rf"train-images-idx3-ubyte{suffix}: .*{message}"):
        load_folder(folder)


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d[:-20],
        lambda d: b"no" + d,
        lambda d: d[:40] + bytes(b ^ 255 for b in d[40:60]) + d[60:],
    ],
)
def test_broken_compression_is_refused(tmp_path, suffix, damage):
    path = tmp_path / f"images{suffix}"
    path.write_bytes(damage(PACK[suffix](encode(arrays()[0]))))
    with pytest.raises(ValueError, match=r"images.*: cannot be read \(.*\): fetch the file again"):
        read_idx(path, rank=3)


def test_a_compression_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(encode(np.zeros((1, 2, 2))) + bytes(2**27), compresslevel=1))
    with pytest.raises(ValueError, match="need 4 bytes of data, got more"):
        read_idx(path, rank=3)


def test_a_missing_file_is_named(tmp_path):
    folder = write_folder(tmp_path / "set")
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(ValueError, match=r"file t10k-labels-idx1-ubyte .* must be there, got none"):
        load_folder(folder)


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ((arrays()[0], arrays(11)[1]), None, "train must have one label .* 12 images and 11 lab"),
        ((arrays()[0], np.full(12, 200)), None, "train labels must be 0 to K-1 .*, got 200"),
        ((arrays()[0], arrays()[1] * 2), None, "every class must have .*, got none for label 1"),
        ((arrays()[0], np.zeros(12)), None, "at least 2 classes, got 1"),
        (None, (arrays(6)[0], arrays(6)[1] + 1), "test labels must be classes .* 0 to 2, got 3"),
        (None, arrays(6, size=5), r"must have one shape .*, got \[1, 6, 6\] and \[1, 5, 5\]"),
        (None, (arrays()[0][:0], arrays()[1][:0]), "test must not be empty"),
    ],
    ids=["count", "range", "gap", "single", "test", "sizes", "empty"],
)
def test_files_that_do_not_fit_together_are_refused(tmp_path, train, test, message):
    with pytest.raises(ValueError, match=rf"set: .*{message}.*: "):
        load_folder(write_folder(tmp_path / "set", train=train, test=test))
