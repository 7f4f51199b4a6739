"""One .npz file: layouts, names, and what hostile files are told."""

import io
import zipfile

import numpy as np
import pytest

from stnas.config.data import DataConfig
from stnas.data import load


def make(n=12, shape=(6, 6), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)


def arrays(shape=(6, 6), **replaced):
    return {
        "train_images": make(12, shape),
        "train_labels": np.arange(12) % 3,
        "test_images": make(6, shape, 1),
        "test_labels": np.arange(6) % 3,
        **replaced,
    }


def load_npz(tmp_path, content, **options):
    path = tmp_path / "set.npz"
    np.savez_compressed(path, **content)
    return load(DataConfig(path=str(path), **options), seed=0)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((6, 6), (1, 6, 6)),
        ((6, 6, 3), (3, 6, 6)),
        ((6, 6, 1), (1, 6, 6)),
        ((3, 6, 6), (3, 6, 6)),
        ((3, 3, 3), (3, 3, 3)),
        ((1, 4, 4), (1, 4, 4)),
    ],
    ids=str,
)
def test_layouts_become_channels_first(tmp_path, shape, expected):
    content = arrays(shape)
    data = load_npz(tmp_path, content)
    assert tuple(data.test.images.shape[1:]) == expected
    images = content["test_images"]
    if len(shape) == 3 and shape[-1] in (1, 3):
        images = np.moveaxis(images, 3, 1)
    np.testing.assert_array_equal(data.test.images, images.reshape(6, *expected))


def test_the_other_names_the_column_of_labels_and_fortran_order_are_read(tmp_path):
    content = arrays()
    reference = load_npz(tmp_path, content)
    names = ("x_train", "y_train", "x_test", "y_test")
    other = dict(zip(names, content.values(), strict=True))
    other["y_train"] = other["y_train"].astype(np.uint8)[:, None]
    other["x_train"] = np.asfortranarray(other["x_train"])
    assert load_npz(tmp_path, other).fingerprint == reference.fingerprint


def test_class_names_may_come_along(tmp_path):
    data = load_npz(tmp_path, arrays(classes=np.array(["a", "b <i>", "ç"])))
    assert data.classes == ("a", "b <i>", "ç")
    assert load_npz(tmp_path, arrays()).classes == ("0", "1", "2")


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"train_images": make().astype(np.float32)}, "train_images must hold integers .* float32"),
        ({"train_images": make().astype(np.int64)}, "train_images must be uint8, got int64"),
        (
            {"test_images": np.zeros((6, 6, 6), np.float16)},
            r"got float16: scale pictures in \[0, 1\] to 0\.\.255: save \(255 \* x\)\.round",
        ),
        ({"train_images": make() > 5}, r"got bool: save pictures of 0\.\.255 with \.astype"),
        ({"train_labels": np.zeros(12)}, r"got float64: save class numbers 0\.\.K-1 with "),
        ({"train_images": make().astype(np.uint16)}, r"got uint16: scale to .* with x // 257 and"),
        ({"train_images": np.array([{}] * 12)}, "train_images must hold integers .*got object"),
        ({"train_labels": np.array([None] * 12)}, "pickled objects are never read"),
        ({"train_images": make(shape=(6, 6, 4))}, r"got \[12, 6, 6, 4\]: save x\[\.\.\., :3"),
        ({"train_images": make(shape=())}, r"must have the shape .*, got \[12\]"),
        (
            {"train_labels": np.eye(12, dtype=int)},
            r"integers of the shape \[N\], got int64 \[12, .*y\.argmax",
        ),
        ({"train_labels": np.array(["a"] * 12)}, "must be integers .*, got <U1"),
        ({"train_labels": np.arange(12) - 1}, "train labels must be 0 to K-1 .*, got -1"),
        ({"train_labels": np.full(12, 2**63, np.uint64)}, r"must be 0\.\.K-1, got 922337203"),
        ({"train_labels": np.full(12, 2**62)}, "train labels must be 0 to K-1"),
        ({"test_labels": np.arange(6)}, "test labels must be classes of the training set"),
        ({"test_labels": np.arange(5) % 3}, "one label for each image, got 6 images and 5 labels"),
        ({"classes": np.array(["a"])}, "one name for each of the 3 classes, got 1"),
    ],
)
def test_arrays_that_break_a_rule_are_refused(tmp_path, replaced, message):
    with pytest.raises(ValueError, match=rf"set\.npz: .*{message}"):
        load_npz(tmp_path, arrays(**replaced))


def test_missing_arrays_are_named(tmp_path):
    content = arrays()
    del content["test_labels"]
    with pytest.raises(ValueError, match=r"test_labels .* must be there, got \['test_images'"):
        load_npz(tmp_path, content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: b"",
        lambda d: b"text",
        lambda d: d[: len(d) // 2],
        lambda d: d[:60] + bytes(b ^ 255 for b in d[60:90]) + d[90:],
    ],
)
def test_files_that_are_no_archives_are_refused(tmp_path, damage):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays())
    path = tmp_path / "set.npz"
    path.write_bytes(damage(buffer.getvalue()))
    with pytest.raises(ValueError, match=r"set\.npz.*: .*write it with numpy\.savez_compressed"):
        load(DataConfig(path=str(path)), seed=0)


def write_members(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays().items():
            buffer = io.BytesIO()
            np.save(buffer, array)
            archive.writestr(f"{name}.npy", members.get(name, buffer.getvalue()))


def header(shape, descr="|u1"):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (header((10**9, 10**6)) + b"x", "must have the 1000000000000000 bytes of its shape"),
        (header((2,)) + b"xyz", r"must have the 2 bytes of its shape \[2\], got 3"),
        (b"not an array", "must be an array in .npy format, got a broken header"),
        (b"", "must be an array in .npy format, got a broken header"),
        (header("__import__('os')"), "must be an array in .npy format, got a broken header"),
    ],
    ids=["bomb", "long", "text", "empty", "code"],
)
def test_hostile_headers_are_refused(tmp_path, member, message):
    path = tmp_path / "set.npz"
    write_members(path, train_images=member)
    with pytest.raises(ValueError, match=rf"set\.npz: train_images {message}"):
        load(DataConfig(path=str(path)), seed=0)


def test_a_large_archive_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("stnas.data.npz.MAX_BYTES", 1000)
    with pytest.raises(ValueError, match="arrays must have at most 1000 bytes, got "):
        load_npz(tmp_path, arrays())


@pytest.mark.parametrize("labels", [np.int64(3), np.array("cat"), np.zeros((2, 2, 2), int)])
def test_labels_of_a_wrong_number_of_dimensions_name_their_key(tmp_path, labels):
    images = np.zeros((8, 4, 4), np.uint8)
    path = tmp_path / "x.npz"
    np.savez(path, train_images=images, train_labels=labels, test_images=images, test_labels=labels)
    with pytest.raises(ValueError, match=r"train_labels must be integers of the shape \[N\]"):
        load(DataConfig(path=str(path)), seed=0)
