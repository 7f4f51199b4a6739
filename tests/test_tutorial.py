"""The tutorial's commands run as they stand, but for the length of the trainings."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import stnas
from stnas.store.files import read_json

ROOT = Path(__file__).parents[1]
INSTALLED = Path(stnas.__file__).parents[1]
TUTORIAL = ROOT / "docs/tutorial.md"
SHORT = """
--threads 1 --data.train_limit 120 --data.test_limit 60 --train.epochs 1 --train.batch_size 16
--sgld.samples 2 --search.population 4 --search.generations 2 --search.recalibration_images 32
--search.recalibration_batch 16 --search.random 2 --verdict.candidates 2 --verdict.epochs 1
--retrain.epochs 1 --retrain.batch_size 16 --retrain.warmup_epochs 0 --retrain.random_twins 1
--retrain.baselines [] --search.limits [1e6,2e6]
"""


def blocks(language: str) -> list[str]:
    """List the tutorial's blocks of code in a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", TUTORIAL.read_text(), re.M | re.S)


def commands() -> list[str]:
    """List the lines that a shell is given, those that go on in the next line joined."""
    text = "\n".join(blocks("sh")).replace("\\\n", " ")
    lines = [line.partition(" #")[0].strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("pip ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Do what the tutorial says in an empty folder beside which the examples lie."""
    pytest.importorskip("onnxruntime", reason="pip install 'stnas[export]'")
    folder = tmp_path_factory.mktemp("tutorial")
    (folder / "examples").symlink_to(ROOT / "examples")
    python = f'python() {{ "{sys.executable}" "$@"; }}'
    words = f'{python}; stnas() {{ python -P -m stnas "$@"; }}; '
    paths = os.pathsep.join([str(INSTALLED), os.environ.get("PYTHONPATH", "")])
    for line in commands():
        short = f" {SHORT}" if line.startswith("stnas run") else ""
        done = subprocess.run(
            ["bash", "-c", words + " ".join(f"{line}{short}".split())],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return folder


def test_every_command_leaves_what_the_tutorial_says(folder):
    for name in ("shapes.yaml", "runs/shapes/report/report.html", "runs/shapes/evaluate"):
        assert (folder / name).exists()
    assert (folder / "runs/shapes/export/B/B.onnx").exists()
    names = {
        row["role"] for row in read_json(folder / "runs/shapes/retrain/result.json")["networks"]
    }
    assert names == {"chosen", "random"}


def test_the_pages_images_are_the_folders(folder):
    page = (folder / "runs/shapes/report/report.html").read_text()
    assert '<img src="data:image/png;base64,' in page


def test_the_lines_of_python_run(folder):
    for code in blocks("python"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(INSTALLED)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{code}\n{done.stdout}{done.stderr}"


def test_pages_name_files_that_are_there():
    """Links and pictures of the pages lead to files of the repository."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            if not re.match(r"[a-z]+:", target):
                assert (page.parent / target).exists(), f"{page.name}: {target}"
