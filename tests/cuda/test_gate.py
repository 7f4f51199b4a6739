"""The static gate over nvcc's output: that every kind of rule can break."""

import copy
import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("cuda_gate", ROOT / "scripts/cuda_gate.py")
gate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(gate)

RESOURCES = """
arch = sm_90
 Function add_kernel:
  REG:32 STACK:0 SHARED:1024 LOCAL:0 CONSTANT[0]:3480 TEXTURE:0
"""
CODE = """
arch = sm_90
\t\tFunction : add_kernel
        /*0000*/                   LDG.E.128 R4, desc[UR4][R2.64] ;
        /*0010*/              @!P0 FADD R4, R4, 1 ;
        /*0020*/              @UP1 STG.E.128 desc[UR4][R2.64], R4 ;
"""
RULE = {
    "kernel": "^add_kernel",
    "threads": 128,
    "occupancy": 1.0,
    "at_least": {"LDG.E.128": 1, "STG.E.128": 1, "FADD": 1},
    "at_most": {"DFMA": 0},
}


def test_a_sound_kernel_breaks_nothing():
    (kernel,) = gate.parse(RESOURCES, CODE)
    assert (kernel.registers, kernel.shared) == (32, 0)
    assert gate.judge([kernel], [RULE]) == []


@pytest.mark.parametrize(
    ("resources", "code", "change", "message"),
    [
        (RESOURCES, CODE, {"kernel": "^sub_kernel"}, "matches no kernel"),
        (RESOURCES, CODE, {"kernel": "^sub_kernel"}, "no rule matches the kernel add_kernel"),
        (RESOURCES, CODE.replace("LDG.E.128", "LDG.E"), {}, "LDG.E.128 occurs 0 times, not 1"),
        (RESOURCES, CODE.replace("FADD R4, R4, 1", "STL [R1], R4"), {}, "STL occurs 1 times"),
        (RESOURCES, CODE.replace("FADD", "DFMA"), {}, "DFMA occurs 1 times, more than 0"),
        (RESOURCES.replace("REG:32", "REG:33"), CODE, {}, "occupancy 75% is less than 100%"),
        (RESOURCES, CODE, {"dynamic": 60000}, "occupancy 19% is less than 100%"),
        ("", "", {}, "holds no kernel"),
    ],
)
def test_every_rule_can_break(resources, code, change, message):
    broken = gate.judge(gate.parse(resources, code), [{**copy.deepcopy(RULE), **change}])
    assert any(message in line for line in broken), broken


@pytest.mark.parametrize(
    ("arch", "registers", "shared", "threads", "share"),
    [
        ("sm_80", 32, 0, 128, 1.0),
        ("sm_80", 64, 0, 256, 0.5),
        ("sm_80", 255, 0, 1024, 0.0),
        ("sm_80", 32, 48 << 10, 128, 3 * 4 / 64),
        ("sm_90", 32, 48 << 10, 128, 4 * 4 / 64),
        ("sm_90", 40, 0, 32, 0.5),
    ],
)
def test_occupancy(arch, registers, shared, threads, share):
    found = gate.occupancy(arch, registers=registers, shared=shared, threads=threads)
    assert found == share


def test_every_rule_names_what_it_needs():
    rules = json.loads(gate.RULES.read_text())
    assert rules
    assert all({"kernel", "threads", "occupancy"} <= set(rule) for rule in rules)
