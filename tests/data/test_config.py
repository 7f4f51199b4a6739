"""The section data of a configuration: defaults and every refusal."""

import dataclasses
import subprocess
import sys

import pytest

from stnas.config.data import DataConfig


def test_defaults_hold_out_a_tenth_of_the_data_that_is_found():
    config = DataConfig()
    assert (config.path, config.validation, config.train_limit) == ("auto", 0.1, None)
    assert (config.crop_padding, config.flip, config.jitter) == (0.125, True, 0.0)
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
        ("crop_padding", 1.0, r"must be a whole number of pixels or a share in \[0, 1\)"),
        ("crop_padding", float("nan"), r"must be a whole number of pixels or a share"),
        ("crop_padding", -0.1, r"must be a whole number of pixels or a share"),
        ("jitter", 1.0, r"must lie in \[0, 1\)"),
        ("jitter", float("inf"), r"must lie in \[0, 1\)"),
        ("backend", "torch", "must be one of memory, auto, dali, pillow"),
        ("decoder", "gpu", "must be one of cpu, mixed"),
        ("broken", "ignore", "must be one of refuse, skip"),
        ("workers", 0, r"must lie in \[1, 1024\]"),
        ("workers", 2, "must be left out with data.backend memory"),
        ("resize", 256, "must be left out with data.backend memory"),
        ("orientation", "follow", "must be one of apply, ignore"),
        ("background", (0, 0), "must be red, green and blue in 0 to 255"),
        ("background", (0, 0, 256), "must be red, green and blue in 0 to 255"),
        ("background", "white", "must be red, green and blue in 0 to 255"),
        ("crop_scale", (0.0, 1.0), "must be two shares with 0 < least <= greatest <= 1"),
        ("crop_scale", (0.5, 0.2), "must be two shares with 0 < least <= greatest <= 1"),
        ("crop_scale", (0.5, 1.0), "must be left out with data.backend memory"),
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


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"image_size": None}, r"data\.image_size must be given with data\.backend pillow"),
        ({"resize": 223}, r"data\.resize must lie in \[224, 2048\]"),
        ({"decoder": "mixed"}, r"data\.decoder must be cpu with data\.backend pillow"),
    ],
)
def test_streaming_has_rules_of_its_own(options, rule):
    assert DataConfig(backend="pillow", image_size=224).streamed
    with pytest.raises(ValueError, match=rf"^{rule}.*got .*: "):
        DataConfig(**{"backend": "pillow", "image_size": 224, **options})


@pytest.mark.parametrize(
    ("size", "share", "pixels"),
    [
        (28, 0.125, 4),
        (32, 0.125, 4),
        (36, 0.125, 5),
        (4, 0.125, 1),
        (224, 0.125, 28),
        (28, 0.036, 1),
        (64, 0.036, 2),
        (28, 4, 4),
        (64, 4, 4),
        (64, 0, 0),
        (64, 0.0, 0),
    ],
)
def test_padding_follows_the_size_as_a_share(size, share, pixels):
    assert DataConfig(crop_padding=share).padding(size) == pixels


def test_windows_of_small_images_cover_more_of_them():
    config = DataConfig()
    assert config.window_scale(224) == config.window_scale(512) == (0.08, 1.0)
    assert config.window_scale(112) == (0.16, 1.0)
    assert config.window_scale(8) == config.window_scale(16) == (0.6, 1.0)
    shares = [config.window_scale(size)[0] for size in range(4, 300)]
    assert shares == sorted(shares, reverse=True)
    given = DataConfig(backend="pillow", image_size=16, crop_scale=(0.08, 1.0))
    assert given.window_scale(16) == (0.08, 1.0)


def test_a_size_may_be_left_to_the_images():
    assert DataConfig(image_size="auto", crop_padding=200).image_size == "auto"
    assert DataConfig(image_size="auto", backend="pillow", resize=40).streamed
    with pytest.raises(TypeError, match=r"data\.image_size must be an integer"):
        DataConfig(image_size="automatic")


def test_the_section_needs_neither_torch_nor_numpy():
    code = (
        "import stnas.config.data, sys; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'PIL')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
