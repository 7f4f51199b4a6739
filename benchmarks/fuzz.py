"""Repeat the tests of hostile input with other seeds for some time.

    nice python benchmarks/fuzz.py SECONDS

Stops at the first seed that fails and prints it; the exit code is then that of pytest.
"""

import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests" / "test_hostile_input.py"


def main() -> None:
    """Run round after round, each with a seed of its own."""
    end, seed = time.monotonic() + float(sys.argv[1]), 0
    while time.monotonic() < end:
        seed += 1
        words = [sys.executable, "-m", "pytest", "-q", f"--hypothesis-seed={seed}", str(TESTS)]
        done = subprocess.run(words, check=False, capture_output=True, text=True)
        if done.returncode:
            print(done.stdout[-8000:], f"seed {seed} fails")
            raise SystemExit(done.returncode)
    print(f"{seed} rounds, none failed")


if __name__ == "__main__":
    main()
