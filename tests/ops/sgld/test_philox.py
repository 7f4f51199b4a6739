"""The noise: Philox's published vectors, its twin, its distribution, its independence."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

import stnas
from stnas.ops.sgld import reference as sgld_reference
from stnas.ops.sgld import standard_normal

# Counter, key and output of Philox4x32-10 in the known-answer file of Random123 1.14.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
DIGEST = """
import hashlib, torch
from stnas.ops.sgld import sgld_step_, standard_normal
print(torch.ops.stnas.isa())
for threads in (1, 2):
    torch.set_num_threads(threads)
    z = standard_normal(100_003, seed=2**63 + 5, step=2**40 + 1, tensor=7)
    w = z.clone()
    sgld_step_([w], [z.flip(0)], ids=[3], lr=0.1, weight_decay=0.01, mode="relative", rho=0.5,
               seed=1, step=2)
    print(hashlib.sha256(b"".join(t.numpy().tobytes() for t in (z, w))).hexdigest())
"""


def signed(value):
    return value - 2**64 if value >= 2**63 else value


def words(count, *, seed=0, step=0, tensor=0, block=0):
    out = torch.empty(count, dtype=torch.int32)
    torch.ops.stnas.random_words_(out, signed(seed), signed(step), tensor, block)
    return out.numpy().astype(np.int64) & 0xFFFFFFFF


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_the_published_vectors(counter, key, expected):
    ours = words(
        4,
        block=counter[0],
        tensor=counter[1],
        step=counter[2] | counter[3] << 32,
        seed=key[0] | key[1] << 32,
    )
    assert tuple(ours) == expected
    twin = sgld_reference.philox(np.array(counter, np.uint64)[:, None], key=key[0] | key[1] << 32)
    assert tuple(twin[:, 0]) == expected


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 63, 64, 65, 127, 1000])
def test_words_and_normals_equal_the_twin(count):
    names = {"seed": 2**64 - 3, "step": 2**33 + 5, "tensor": 2**32 - 1}
    np.testing.assert_array_equal(
        words(count, **names), sgld_reference.random_words(count, **names)
    )
    np.testing.assert_allclose(
        standard_normal(count, **names), sgld_reference.standard_normal(count, **names), atol=2.5e-6
    )


def test_every_normal_lies_close_to_its_formula():
    ours = standard_normal(2_000_000, seed=3, step=4, tensor=5).double().numpy()
    exact = sgld_reference.standard_normal(2_000_000, seed=3, step=4, tensor=5)
    assert np.abs(ours - exact).max() < 2.5e-6
    assert np.sqrt(np.mean((ours - exact) ** 2)) < 2e-7


def run(**environment):
    done = subprocess.run(
        [sys.executable, "-c", DIGEST],
        env={**os.environ, "PYTHONPATH": str(Path(stnas.__file__).parents[1]), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.split(), done.stderr


def test_all_instruction_sets_and_thread_counts_give_the_same_bits():
    found = {}
    for name in torch.ops.stnas.isas().split():
        (first, *found[name]), _ = run(STNAS_ISA=name)
        assert first == name
    assert len(found["generic"]) == 2
    assert len({digest for digests in found.values() for digest in digests}) == 1, found


def test_the_bits_are_those_of_every_machine():
    z = standard_normal(1_000, seed=1, step=2, tensor=3).numpy()
    assert hashlib.sha256(z.tobytes()).hexdigest()[:16] == "9da2957dec2cac04"


@pytest.fixture(scope="module")
def sample():
    return standard_normal(4_000_000, seed=11, step=12, tensor=13).double().numpy()


def test_moments(sample):
    """Each within five standard errors: 1, 2, 15 and 96 are variances of z, z^2, z^3 and z^4."""
    for power, mean, variance in [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)]:
        error = 5 * np.sqrt(variance / len(sample))
        assert np.mean(sample**power) == pytest.approx(mean, abs=error)


def test_kolmogorov_smirnov(sample):
    assert stats.kstest(sample, "norm").pvalue > 1e-3


@pytest.mark.parametrize("bound", [3.0, 4.0, 4.5])
def test_tails(sample, bound):
    expected = 2 * stats.norm.sf(bound) * len(sample)
    for tail in (sample > bound, sample < -bound):
        assert tail.sum() == pytest.approx(expected / 2, abs=5 * np.sqrt(expected / 2))


def test_the_far_tail_is_there():
    """Of 60 million numbers 2.3 are expected beyond 5.5; none can lie beyond 6.6."""
    largest = max(
        float(standard_normal(6_000_000, seed=1, step=step, tensor=0).abs().max())
        for step in range(10)
    )
    assert 5.2 < largest < 6.6


def test_neighbours_tensors_steps_and_seeds_are_independent(sample):
    n = 1_000_000
    base = {"seed": 1, "step": 1, "tensor": 1}
    first = standard_normal(n, **base).double().numpy()
    others = [standard_normal(n, **{**base, name: 2}).double().numpy() for name in base]
    others += [np.roll(first, lag) for lag in (1, 2, 3, 4, 32, 64, 128)]
    for other in others:
        assert abs(np.mean(first * other)) < 5 / np.sqrt(n)
        assert abs(np.mean((first**2 - 1) * (other**2 - 1))) < 10 / np.sqrt(n)


def test_a_longer_tensor_begins_with_the_noise_of_a_shorter_one():
    long = standard_normal(5000, seed=1, step=1, tensor=1)
    for count in (1, 127, 128, 129, 4096):
        assert torch.equal(standard_normal(count, seed=1, step=1, tensor=1), long[:count])
