"""Whatever stands in a file or an argument: a refusal with words, no crash, no code run from it."""

import io
import json
import pickle
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from stnas import _core
from stnas.cli.parser import parse
from stnas.config import DataConfig
from stnas.data.idx import read_idx
from stnas.data.npz import npz_source
from stnas.space import SearchSpace
from stnas.space.topology import SpaceSpec
from stnas.store import files
from stnas.store.checksum import BLANK, seal
from stnas.store.settings import read_settings
from stnas.store.tensors import read_tensors, write_tensors
from stnas.supernet.load import load_network

REFUSED = (ValueError, TypeError, OSError)
SPACE = SearchSpace.profile("nano")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=9,
)
NUMBERS = [np.int8, np.uint8, np.int64, np.float32, np.float64, np.complex64, np.bool_, object]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile")


class Bomb:
    """Leaves a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def attempt(call, *words):
    """Make a call that may be refused, but by these errors alone and with some words."""
    try:
        return call(*words)
    except REFUSED as error:
        if not str(error):
            raise AssertionError(f"{type(error).__name__} without words") from error
        return None


def changed(draw, content):
    """Change, cut out or repeat some bytes."""
    content = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        piece = draw(st.binary(max_size=8))
        content[at : at + draw(st.integers(0, 8))] = piece
    return bytes(content)


@given(st.data())
def test_genotypes(data):
    text = SPACE.format(SPACE.sample(1, p_drop=0.5, seed=0)[0])
    attempt(SPACE.parse, data.draw(st.text(max_size=40)))
    mutated = changed(data.draw, text.encode()).decode(errors="replace")
    assert mutated == text or attempt(SPACE.parse, mutated) is None


@given(JSON, st.sampled_from(sorted(dict(SPACE.recipe))))
def test_descriptions_of_spaces(value, key):
    attempt(SpaceSpec.from_json, value)
    changed_spec = {**dict(SPACE.recipe), key: value}
    if isinstance(value, int) and value > 64:
        return
    attempt(lambda: SpaceSpec.from_json(json.loads(json.dumps(changed_spec))).fingerprint)


@given(st.data())
def test_files_of_the_run_folder(place, data):
    path = place / "file"
    body = data.draw(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
    blank = f'{{"checksum": "{BLANK}", "version": 1, '.encode()
    for content in (body, bytes(seal(blank + body)), bytes(seal(blank + b'"a": ' + body + b"}"))):
        path.write_bytes(content)
        for read in (files.read_json, files.read_rows, read_tensors, files.scan_rows):
            attempt(read, path)
        attempt(load_network, place)


@settings(max_examples=60)
@given(st.data())
def test_headers_of_safetensors_with_a_right_checksum(place, data):
    path = place / "file.safetensors"
    write_tensors(path, {"a": torch.arange(6.0), "b": torch.ones(2, 2)}, epochs=1)
    content = path.read_bytes().replace(content_mark(path), BLANK.encode(), 1)
    end = content.index(BLANK.encode()) + len(BLANK)
    length = data.draw(st.just(content[:8]) | st.binary(min_size=8, max_size=8))
    path.write_bytes(seal(length + content[8:end] + changed(data.draw, content[end:])))
    attempt(read_tensors, path)


def content_mark(path):
    content = path.read_bytes()
    at = content.index(b"checksum") + 14
    return content[at : at + 16]


@pytest.mark.parametrize(
    "content",
    [
        b'{"a": ' + b"[" * 100_000,
        b'{"a": ' + b"9" * 100_000 + b"}",
        b'{"checksum": "' + b"0" * 16 + b'", "a": ' + b'{"a": ' * 50_000,
    ],
)
def test_deep_and_long_json(place, content):
    path = place / "deep.json"
    sealed = content if b"checksum" not in content else bytes(seal(content))
    for form in (sealed, bytes(seal(b'{"checksum": "' + BLANK.encode() + b'", "x": ' + content))):
        path.write_bytes(form)
        with pytest.raises(ValueError, match=r"deep\.json"):
            files.read_json(path)
        assert files.scan_rows(path) == [None]


@given(st.text(max_size=60))
def test_settings(place, text):
    path = place / "config.yaml"
    path.write_text(text, encoding="utf-8")
    attempt(read_settings, path)


@pytest.mark.parametrize(
    "text",
    [
        "seed: !!python/object/apply:pathlib.Path.touch [PLACE]",
        "seed: !!python/object/new:os.system [touch PLACE]",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\ntrain: *c",
        "train: [[[[[[[1]]]]]]]",
        "space: {stages: [1e99]}",
        "seed: .nan",
        "train:\n  epochs: " + "9" * 5000,
        "\ud7ff: 1",
    ],
)
def test_configurations_run_no_code(place, text, capsys):
    mark, file = place / "mark", place / "hostile.yaml"
    file.write_text(text.replace("PLACE", str(mark)), encoding="utf-8")
    with pytest.raises(REFUSED):
        parse(["train", "--config", str(file)])
    assert not mark.exists()


@given(st.data())
def test_idx_files(place, data):
    path = place / "x-idx1-ubyte"
    header = b"\0\0\x08" + bytes([data.draw(st.integers(0, 255))])
    sizes = data.draw(st.lists(st.integers(0, 2**32 - 1), max_size=4))
    body = b"".join(size.to_bytes(4, "big") for size in sizes) + data.draw(st.binary(max_size=20))
    path.write_bytes(changed(data.draw, header + body))
    for rank in (1, 3):
        attempt(lambda rank=rank: read_idx(path, rank=rank))


def npz(path, **members):
    """Write members: arrays as they are, bytes as the content of a .npy file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in members.items():
            content = io.BytesIO()
            if isinstance(value, bytes):
                content.write(value)
            else:
                np.save(content, value, allow_pickle=True)
            archive.writestr(f"{name}.npy", content.getvalue())


def good():
    images = np.zeros((8, 4, 4), np.uint8)
    labels = np.arange(8) % 2
    names = ("train_images", "train_labels", "test_images", "test_labels")
    return dict(zip(names, (images, labels, images, labels), strict=True))


def test_pickled_arrays_are_never_read(place):
    path, mark = place / "pickled.npz", place / "pickled"
    for name in good():
        npz(path, **{**good(), name: np.array([Bomb(mark)], dtype=object)})
        with pytest.raises(ValueError, match="pickled objects are never read"):
            npz_source(path, config=DataConfig())
    npz(path, **{**good(), "train_images": pickle.dumps(Bomb(mark))})
    with pytest.raises(ValueError, match="broken header"):
        npz_source(path, config=DataConfig())
    assert not mark.exists()


def test_bombs_are_refused_before_they_are_unpacked(place):
    path = place / "bomb.npz"
    head = io.BytesIO()
    shape = {"descr": "|u1", "fortran_order": False, "shape": (2**20, 64, 64)}
    np.lib.format.write_array_header_1_0(head, shape)
    npz(path, **{**good(), "train_images": head.getvalue() + bytes(1000)})
    with pytest.raises(ValueError, match=r"must have the 4294967296 bytes of its shape"):
        npz_source(path, config=DataConfig())


def test_names_in_an_archive_are_no_paths(place):
    path = place / "names.npz"
    npz(path, **good(), **{"../../escaped": np.zeros(3), "/tmp/escaped": np.zeros(3)})
    source = npz_source(path, config=DataConfig())
    assert len(source.train_labels) == 8
    assert not list(place.parent.rglob("escaped*"))


@settings(max_examples=60)
@given(st.data())
def test_npz_files(place, data):
    path = place / "changed.npz"
    npz(path, **good())
    path.write_bytes(changed(data.draw, path.read_bytes()))
    attempt(lambda: npz_source(path, config=DataConfig()))


@given(st.data())
def test_arguments_of_the_compiled_core(data):
    shapes = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)
    kinds = st.sampled_from([kind for kind in NUMBERS if kind is not object])
    any_array = arrays.arrays(kinds, shapes) | st.just(np.array([None, 3], dtype=object))
    odd = any_array.map(lambda a: a[::-1].T if a.ndim else a) | any_array | JSON
    first, second = data.draw(odd), data.draw(odd)
    threads = data.draw(st.integers(-(2**40), 2**40))
    attempt(lambda: _core.count_madds(first, second))
    if threads < 1 or threads > 1024:
        attempt(lambda: _core.count_madds(first, second, threads=threads))
    attempt(_core.nondominated_sort, first)
    attempt(_core.crowding_distance, first)
    attempt(_core.hypervolume, first, second)


def test_huge_and_overlapping_arrays_of_the_compiled_core():
    wide = np.lib.stride_tricks.as_strided(np.zeros(1), (3, 2), (0, 0))
    assert _core.nondominated_sort(wide).tolist() == [0, 0, 0]
    huge = np.lib.stride_tricks.as_strided(np.zeros(1), (2**50, 2), (0, 0))
    for call in (_core.nondominated_sort, _core.crowding_distance):
        with pytest.raises((MemoryError, ValueError)):
            call(huge)
    packed = np.zeros(3, dtype=[("x", "i1"), ("y", "f8", (2,))])["y"]
    assert _core.nondominated_sort(packed).tolist() == [0, 0, 0]


@settings(max_examples=60)
@given(st.data())
def test_arguments_of_the_compiled_operators(data):
    kinds = st.sampled_from([torch.float32, torch.float64, torch.int64, torch.bfloat16])
    sides = st.lists(st.integers(0, 3), max_size=3)

    def tensor():
        made = torch.zeros(data.draw(sides), dtype=data.draw(kinds))
        return made.expand(2, *made.shape) if data.draw(st.booleans()) else made

    def numbers(least, most):
        return data.draw(st.integers(least, most))

    lists = [[tensor() for _ in range(numbers(0, 2))] for _ in range(3)]
    ids = [numbers(-2, 2**33) for _ in range(numbers(0, 2))]
    rate, noise = data.draw(st.floats()), data.draw(st.floats())
    step = torch.ops.stnas.sgld_step_
    attempt_operator(step, *lists, ids, rate, 0.0, noise, False, 1, 2, 1.0)
    key = (numbers(-(2**63), 2**63 - 1), numbers(-(2**63), 2**63 - 1))
    attempt_operator(torch.ops.stnas.standard_normal_, tensor(), *key, numbers(-(2**63), 2**63 - 1))


def attempt_operator(call, *words):
    """Make a call of an operator, whose refusals are RuntimeErrors with some words."""
    with suppress(RuntimeError):
        attempt(call, *words)
