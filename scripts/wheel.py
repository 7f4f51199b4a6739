"""Build, repair and test a wheel as ``[tool.cibuildwheel]`` says, without a container.

    python scripts/wheel.py [--into wheelhouse]

cibuildwheel runs these steps in a container of manylinux; here they run on this machine, with this
Python, and the wheel is for systems with a C library no older than this one's, which its name says.
It needs auditwheel and patchelf on PATH. Variables of the section that are set already, such as
``PIP_EXTRA_INDEX_URL``, stay; ``STNAS_ISAS=generic`` builds one instruction set.
"""

import argparse
import os
import shlex
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]


def settings() -> dict[str, object]:
    """Read the section of ``pyproject.toml``."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)["tool"]["cibuildwheel"]


def run(*words: str, env: dict[str, str]) -> None:
    """Run a command of this repository; its failure ends the script."""
    print("$", shlex.join(words), flush=True)
    subprocess.run(words, cwd=ROOT, env=env, check=True)


def built(folder: Path, env: dict[str, str], repair: str) -> Path:
    """Build a wheel in a new environment and repair it; return it."""
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", str(folder), ".", env=env)
    (raw,) = folder.glob("*.whl")
    into = folder / "repaired"
    run(*shlex.split(repair.format(dest_dir=into, wheel=raw)), env=env)
    (wheel,) = into.glob("*.whl")
    return wheel


def tested(wheel: Path, folder: Path, env: dict[str, str], known: dict[str, object]) -> None:
    """Install a wheel with what its tests need in a new environment, and run them."""
    run(sys.executable, "-m", "venv", str(folder), env=env)
    extras, needs = ",".join(known["test-extras"]), known["test-requires"]
    target = f"stnas[{extras}] @ {wheel.resolve().as_uri()}"
    run(str(folder / "bin/pip"), "install", "--quiet", target, *needs, env=env)
    inside = {**env, "PATH": f"{folder / 'bin'}{os.pathsep}{env['PATH']}"}
    run("bash", "-c", str(known["test-command"]).format(project=ROOT), env=inside)


def main() -> None:
    """Do the steps, and say what each took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=ROOT / "wheelhouse")
    words = parser.parse_args()
    known, begin = settings(), time.monotonic()
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    env = {**known["environment"], **env}
    with TemporaryDirectory() as place:
        wheel = built(Path(place), env, known["repair-wheel-command"])
        made = time.monotonic()
        tested(wheel, Path(place) / "venv", env, known)
        size = wheel.stat().st_size
        words.into.mkdir(exist_ok=True)
        kept = words.into / wheel.name
        kept.write_bytes(wheel.read_bytes())
    end = time.monotonic()
    print(
        f"{kept}: {size / 1e6:.1f} MB; built in {made - begin:.0f} s, tested in {end - made:.0f} s"
    )


if __name__ == "__main__":
    main()
