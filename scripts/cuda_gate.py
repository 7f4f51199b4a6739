"""Check what nvcc made of the kernels, without a GPU: spills, instructions, registers, occupancy.

    python scripts/cuda_gate.py [LIBRARY]

Reads the resource report and the machine code of a library, ``stnas._C`` unless named, with
cuobjdump (``pip install nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm``), and holds every kernel
against ``csrc/device/rules.json``: instructions that must be there (by prefix, with the least
number), or must not, and the least occupancy. No kernel may use local memory. A rule that matches
no kernel fails, and so does a kernel that no rule matches.
"""

import importlib.util
import json
import math
import re
import subprocess
import sys
import sysconfig
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RULES = Path(__file__).parents[1] / "csrc/device/rules.json"
# Of a multiprocessor: registers, warps, blocks, bytes of shared memory. Source: CUDA C++
# Programming Guide 13.0, table "Technical Specifications per Compute Capability".
LIMITS = {"sm_80": (65536, 64, 32, 164 << 10), "sm_90": (65536, 64, 32, 228 << 10)}
RESERVED = 1024  # bytes of shared memory that a block takes in addition


@dataclass
class Kernel:
    """One kernel for one device: its resources and how often each instruction occurs."""

    arch: str
    name: str
    registers: int = 0
    shared: int = 0
    instructions: Counter[str] = field(default_factory=Counter)

    def count(self, prefix: str) -> int:
        """Count the instructions whose name begins so."""
        return sum(n for name, n in self.instructions.items() if name.startswith(prefix))


def occupancy(arch: str, *, registers: int, shared: int, threads: int) -> float:
    """Return the share of a multiprocessor's warps that can be resident.

    Registers are given to warps in units of 256, and to the four quarters of a multiprocessor;
    shared memory to blocks in units of 128 bytes.
    """
    all_registers, all_warps, blocks, all_shared = LIMITS[arch]
    warps = math.ceil(threads / 32)
    per_warp = math.ceil(max(registers, 1) * 32 / 256) * 256
    by_registers = all_registers // 4 // per_warp * 4 // warps
    by_shared = all_shared // (math.ceil((shared + RESERVED) / 128) * 128)
    return min(blocks, all_warps // warps, by_registers, by_shared) * warps / all_warps


def parse(resources: str, code: str) -> list[Kernel]:
    """Read the texts of ``cuobjdump -res-usage`` and ``cuobjdump -sass``."""
    found: dict[tuple[str, str], Kernel] = {}
    arch = name = ""
    for line in [*resources.splitlines(), *code.splitlines()]:
        text = line.strip()
        if match := re.match(r"arch = (sm_\d+)", text):
            arch = match[1]
        elif match := re.match(r"Function\s*:?\s*(\w+)", text):
            name = match[1]
            found.setdefault((arch, name), Kernel(arch, name))
        elif match := re.search(r"REG:(\d+) STACK:\d+ SHARED:(\d+)", text):
            kernel = found[arch, name]
            kernel.registers = int(match[1])
            # From sm_90 on the report includes what is reserved.
            kernel.shared = max(0, int(match[2]) - (RESERVED if int(arch[3:]) >= 90 else 0))
        elif match := re.match(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)", text):
            found[arch, name].instructions[match[1]] += 1
    return list(found.values())


def break_rule(kernel: Kernel, rule: dict[str, Any]) -> list[str]:
    """Return what a kernel breaks of a rule."""
    broken = []
    for prefix, least in rule.get("at_least", {}).items():
        if kernel.count(prefix) < least:
            broken.append(f"{prefix} occurs {kernel.count(prefix)} times, not {least}")
    for prefix, most in {"LDL": 0, "STL": 0, **rule.get("at_most", {})}.items():
        if kernel.count(prefix) > most:
            broken.append(f"{prefix} occurs {kernel.count(prefix)} times, more than {most}")
    share = reach(kernel, rule)
    if share < rule["occupancy"]:
        broken.append(f"occupancy {share:.0%} is less than {rule['occupancy']:.0%}")
    return broken


def reach(kernel: Kernel, rule: dict[str, Any]) -> float:
    """Return the occupancy of a kernel with the threads and dynamic shared memory of its rule."""
    shared = kernel.shared + rule.get("dynamic", 0)
    return occupancy(
        kernel.arch, registers=kernel.registers, shared=shared, threads=rule["threads"]
    )


def judge(kernels: list[Kernel], rules: list[dict[str, Any]]) -> list[str]:
    """Return everything that is broken, one line each."""
    broken = [] if kernels else ["the library holds no kernel: was it built with STNAS_CUDA=0?"]
    matched = {kernel.name for kernel in kernels for rule in rules if fits(kernel, rule)}
    for rule in rules:
        own = [kernel for kernel in kernels if fits(kernel, rule)]
        if not own:
            broken.append(f"the rule {rule['kernel']!r} matches no kernel")
        broken += [f"{k.arch} {k.name}: {text}" for k in own for text in break_rule(k, rule)]
    names = sorted({kernel.name for kernel in kernels} - matched)
    return broken + [f"no rule matches the kernel {name}" for name in names]


def fits(kernel: Kernel, rule: dict[str, Any]) -> bool:
    """Tell whether a rule is for a kernel."""
    return re.search(rule["kernel"], kernel.name) is not None


def dump(library: Path) -> list[Kernel]:
    """Run cuobjdump on a library and write the kernels' names as C++ does."""
    tools = Path(sysconfig.get_path("purelib")) / "nvidia/cu13/bin"
    texts = []
    for option in ("-res-usage", "-sass"):
        command = [str(tools / "cuobjdump"), option, str(library)]
        texts.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    kernels = parse(*texts)
    names = "\n".join(kernel.name for kernel in kernels)
    plain = subprocess.run(["c++filt"], input=names, capture_output=True, text=True, check=True)
    for kernel, name in zip(kernels, plain.stdout.splitlines(), strict=True):
        kernel.name = re.sub(r"^void |stnas::(cuda|cpu)::|\(.*", "", name)
    return kernels


def main() -> None:
    """Print a line per kernel and stop where a rule is broken."""
    library = Path(sys.argv[1]) if len(sys.argv) > 1 else find_library()
    kernels, rules = dump(library), json.loads(RULES.read_text())
    for kernel in sorted(kernels, key=lambda kernel: (kernel.arch, kernel.name)):
        rule = next((rule for rule in rules if fits(kernel, rule)), {"threads": 128})
        wide = {name: kernel.count(name) for name in ("LDG.E.128", "STG.E.128", "LDS.128", "HMMA")}
        counts = ", ".join(f"{name} {n}" for name, n in wide.items() if n)
        print(
            f"{kernel.arch} {kernel.name}: {kernel.registers} registers, "
            f"occupancy {reach(kernel, rule):.0%}, {counts or 'no wide access'}"
        )
    broken = judge(kernels, rules)
    print(*broken, f"{len(kernels)} kernels, {len(broken)} rules broken", sep="\n")
    sys.exit(bool(broken))


def find_library() -> Path:
    """Return the path of ``stnas._C``."""
    spec = importlib.util.find_spec("stnas")
    assert spec is not None
    assert spec.origin is not None
    return next(Path(spec.origin).parent.glob("_C.*.so"))


if __name__ == "__main__":
    main()
