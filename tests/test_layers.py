"""The package's layers: an import may only point down, and a file has a name of its own."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import stnas

PACKAGE = Path(stnas.__file__).parent
LAYERS = {
    **{"config": 0},
    **dict.fromkeys(["space", "ops", "store", "group"], 1),
    **dict.fromkeys(["data", "supernet", "learn", "classifier", "engine"], 2),
    **dict.fromkeys(
        [
            "train",
            "sgld",
            "search",
            "verdict",
            "rank",
            "retrain",
            "report",
            "export",
            "evaluate",
            "predict",
            "latency",
            "detect",
            "init",
            "runs",
        ],
        3,
    ),
    **{"pipeline": 4, "cli": 5},
}
SIDEWAYS = {
    ("store", "group"),
    *((package, part) for package in ("learn", "classifier") for part in ("data", "supernet")),
}
EVERYWHERE = {"", "_core", "_C", "__version__"}  # "" is the root itself, which holds these alone
NAMELESS = {"utils", "helpers", "common", "misc", "manager", "base"}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)


def imported_names(path: Path) -> Iterator[str]:
    """Yield the full dotted name of everything that a module imports, at any depth of the code."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            folders = path.relative_to(PACKAGE.parent).parts[: -node.level or None]
            above = list(folders) if node.level else []
            start = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{start}.{alias.name}" for alias in node.names)


def own_package(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0]


def allowed(source: str, target: str) -> bool:
    if target in EVERYWHERE or target == source or (source, target) in SIDEWAYS:
        return True
    return target in LAYERS and LAYERS[target] < LAYERS[source]


def label(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def test_every_package_has_a_layer():
    assert MODULES
    assert {own_package(path) for path in MODULES} <= set(LAYERS)


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_imports_point_down(path):
    for name in imported_names(path):
        root, _, rest = name.partition(".")
        if root == "stnas":
            target = rest.partition(".")[0]
            assert allowed(own_package(path), target), f"{label(path)} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_config_knows_the_standard_library_alone_and_space_no_torch(path):
    roots = {name.partition(".")[0] for name in imported_names(path)} - {"stnas"}
    if own_package(path) == "config":
        assert roots <= set(sys.stdlib_module_names)
    if own_package(path) == "space":
        assert "torch" not in roots


def test_the_layer_of_every_package_is_told():
    text = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()
    told = {
        name: int(row[1])
        for row in re.finditer(r"^\| (\d) \| (`[^|]*) \|", text, re.MULTILINE)
        for name in re.findall(r"`(?:stnas/)?(\w+)`", row[2])
    }
    assert told == {name: layer for name, layer in LAYERS.items() if name != "engine"}


def test_no_file_is_nameless():
    names = {part for path in PACKAGE.rglob("*.py") for part in (path.stem, path.parent.name)}
    assert not names & NAMELESS


@pytest.mark.parametrize("module", ["stnas", "stnas.config", "stnas.space"])
def test_importing_the_base_leaves_torch_out(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("source", "target", "verdict"),
    [
        ("train", "sgld", False),
        ("config", "space", False),
        ("space", "ops", False),
        ("supernet", "learn", False),
        ("learn", "supernet", True),
        ("cli", "report", True),
        ("space", "_core", True),
        ("search", "SearchSpace", False),
    ],
)
def test_the_rule_itself(source, target, verdict):
    assert allowed(source, target) is verdict
