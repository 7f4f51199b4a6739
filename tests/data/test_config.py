"""The section data of a configuration: defaults and every refusal."""

import dataclasses
import subprocess
import sys

import pytest

from stnas.config.data import DataConfig


def test_defaults_hold_out_a_tenth_of_the_data_that_is_found():
    config = DataConfig()
    assert (config.path, config.validation, config.train_limit) == ("auto", 0.1, None)
    assert (config.crop_padding, config.flip, config.jitter) == (4, True, 0.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.path = "embedded"


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("path", " ", "must not be empty"),
        ("validation", 0.0, r"must lie in \(0, 1\)"),
        ("validation", 1.0, r"must lie in \(0, 1\)"),
        ("validation", float("nan"), r"must lie in \(0, 1\)"),
        ("train_limit", 3, r"must lie in \[4, "),
        ("test_limit", 0, r"must lie in \[1, "),
        ("image_size", 3, r"must lie in \[4, 1024\]"),
        ("image_size", 1025, r"must lie in \[4, 1024\]"),
        ("crop_padding", -1, r"must lie in \[0, 256\]"),
        ("jitter", 1.0, r"must lie in \[0, 1\)"),
        ("jitter", float("inf"), r"must lie in \[0, 1\)"),
    ],
)
def test_values_out_of_range_are_refused(key, value, rule):
    with pytest.raises(ValueError, match=rf"^data\.{key} {rule}.*got .*: "):
        DataConfig(**{key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("path", 3),
        ("validation", "0.1"),
        ("validation", True),
        ("train_limit", 10.0),
        ("crop_padding", None),
        ("flip", 1),
        ("jitter", None),
    ],
)
def test_wrong_kinds_are_refused(key, value):
    with pytest.raises(TypeError, match=rf"^data\.{key} must be .*got "):
        DataConfig(**{key: value})


def test_padding_larger_than_the_image_is_refused():
    with pytest.raises(ValueError, match=r"data\.crop_padding must not exceed .* = 8, got 9: "):
        DataConfig(image_size=8, crop_padding=9)


def test_the_section_needs_neither_torch_nor_numpy():
    code = (
        "import stnas.config.data, sys; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'PIL')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
