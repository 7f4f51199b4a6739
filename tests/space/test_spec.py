"""The description of a space: configuration, JSON form, fingerprint, errors."""

import json
from dataclasses import fields, replace

import pytest

from stnas.config import SpaceConfig
from stnas.space import SearchSpace
from stnas.space.topology import SpaceSpec, spec_of
from stnas.space.topology.profiles import PROFILES

NANO = PROFILES["nano"]
VALUES_OUTSIDE = {
    "factory": "chain",
    "profile": "huge",
    "family": "mobile",
    "stages": (2, 0),
    "widths": (),
    "kernels": (3, 4),
    "expands": (3, 1),
    "branch_distances": (1, 2),
    "stem_width": 0,
    "stem_stride": 0,
    "tail_width": 0,
    "scales": (0,),
    "bits": ("w0a4",),
    "channels": 0,
    "cells": -1,
    "activation": "gelu",
    "residual": "branch",
    "merge": "max",
    "se_ratio": 0.0,
    "dropout": 1.0,
}
KINDS_OUTSIDE = {
    "stages": [2, 2],
    "widths": (8.0, 16),
    "kernels": 3,
    "expands": (True, 3),
    "branch_distances": "23",
    "stem_width": (8,),
    "stem_stride": 1.5,
    "tail_width": "64",
    "scales": (6.0,),
    "bits": "w2a4",
    "channels": 8.0,
    "cells": "1",
    "se_ratio": "0.25",
    "dropout": False,
}


def test_the_tables_name_every_field():
    assert set(VALUES_OUTSIDE) == {field.name for field in fields(SpaceConfig)}


@pytest.mark.parametrize("name", VALUES_OUTSIDE)
def test_a_value_outside_is_refused_by_name(name):
    with pytest.raises(ValueError, match=rf"^space\.{name} .*, got .*: "):
        SpaceConfig(**{name: VALUES_OUTSIDE[name]})


@pytest.mark.parametrize("name", KINDS_OUTSIDE)
def test_a_wrong_kind_is_refused_by_name(name):
    with pytest.raises(TypeError, match=rf"^space\.{name} .*, got .*: "):
        SpaceConfig(**{name: KINDS_OUTSIDE[name]})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1])
@pytest.mark.parametrize("name", ["se_ratio", "dropout"])
def test_numbers_that_are_none_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"space\.{name} must lie in"):
        SpaceConfig(**{name: value})


def test_more_bottlenecks_than_digits_are_refused():
    SpaceConfig(kernels=(3, 5), expands=tuple(range(1, 18)))
    with pytest.raises(ValueError, match="at most 34 bottlenecks, got 36"):
        SpaceConfig(kernels=(3, 5), expands=tuple(range(1, 19)))


def test_a_configuration_is_hashable_and_equal_to_its_copy():
    assert hash(SpaceConfig(stages=(2, 2))) == hash(replace(SpaceConfig(), stages=(2, 2)))


def test_from_config_overrides_the_profile():
    config = SpaceConfig(profile="nano", widths=(8, 8, 8), merge="mean", branch_distances=())
    space = SearchSpace.from_config(config, image_size=28, in_channels=1, num_classes=7)
    changed = {"widths": (8, 8, 8), "merge": "mean", "branch_distances": ()}
    images = {"image_size": 28, "in_channels": 1, "num_classes": 7}
    assert spec_of(space) == replace(NANO, **changed, **images)
    assert space.nodes[0].resolution == 14


def test_from_config_checks_fields_with_each_other():
    with pytest.raises(ValueError, match=r"space\.widths must have one entry per stage, got 3"):
        SearchSpace.from_config(
            SpaceConfig(profile="nano", stages=(2, 2)), image_size=32, in_channels=3, num_classes=2
        )


def test_profiles_are_checked_by_name():
    with pytest.raises(ValueError, match=r"space\.profile must be one of imagenet, .*'tiny'"):
        SearchSpace.profile("tiny")
    with pytest.raises(ValueError, match="got 'wdths'"):
        SearchSpace.profile("nano", wdths=(1, 2, 3))


@pytest.mark.parametrize("name", PROFILES)
def test_json_round_trip(name):
    spec = PROFILES[name]
    assert SpaceSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, r"space\.version must be 1, got 2"),
        ({"version": True}, r"space\.version must be 1, got True"),
        ({"extra": 1}, r"\['extra'\] too many"),
        ({"merge": "max"}, r"space\.merge must be one of"),
        ({"widths": [1, 2]}, r"one entry per stage"),
        ({"image_size": 0}, r"space\.image_size must be at least 1, got 0"),
    ],
)
def test_json_is_read_strictly(change, message):
    with pytest.raises(ValueError, match=message):
        SpaceSpec.from_json({**NANO.to_json(), **change})


@pytest.mark.parametrize("value", [None, "text", 2.5, [[1]]])
@pytest.mark.parametrize("key", ["image_size", "stages", "in_channels"])
def test_json_of_another_kind_is_refused(key, value):
    with pytest.raises(TypeError, match=rf"space\.{key} must"):
        SpaceSpec.from_json({**NANO.to_json(), key: value})


def test_json_lacking_a_key_is_refused():
    value = NANO.to_json()
    del value["merge"]
    with pytest.raises(ValueError, match=r"\['merge'\] missing"):
        SpaceSpec.from_json(value)


def test_json_that_is_no_object_is_refused():
    with pytest.raises(TypeError, match="must be a JSON object, got list"):
        SpaceSpec.from_json([1])


@pytest.mark.parametrize("nodes", [1, 1001, 10**12])
def test_too_few_and_too_many_nodes_are_refused(nodes):
    with pytest.raises(ValueError, match=rf"space\.stages must hold 2 to 1000 nodes, got {nodes}"):
        SpaceSpec(stages=(nodes,), widths=(8,), tail_width=8)


def test_the_fingerprint_changes_with_the_genes_meaning_alone():
    same = {"image_size": 64, "in_channels": 1, "num_classes": 3, "dropout": 0.0}
    for name, value in same.items():
        assert replace(NANO, **{name: value}).fingerprint == NANO.fingerprint
    other = {
        "stages": (2, 3, 2),
        "widths": (16, 32, 48),
        "kernels": (3, 7),
        "expands": (1, 2),
        "branch_distances": (2,),
        "residual": "all",
        "merge": "mean",
        "activation": "silu",
        "se_ratio": 0.5,
        "stem_stride": 1,
        "tail_width": 32,
    }
    found = {replace(NANO, **{name: value}).fingerprint for name, value in other.items()}
    assert len(found | {NANO.fingerprint}) == len(other) + 1


def test_fingerprints_of_the_profiles_never_move():
    assert {name: spec.fingerprint for name, spec in PROFILES.items()} == {
        "imagenet": "39179913",
        "parity": "e2c38d4e",
        "small": "4230f8e6",
        "micro": "c67988ae",
        "nano": "3200c639",
    }
