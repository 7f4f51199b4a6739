"""A run inside a real Jupyter kernel: its progress, what it shows, and its figures."""

import os
import sys
from pathlib import Path

import pytest

import stnas

CELLS = (
    """import stnas
run = stnas.run(run=RUN, threads=1, space={"profile": "nano", "stages": (2, 2), "widths": (4, 4)},
    data={"path": IMAGES}, train={"epochs": 2, "batch_size": 16}, sgld={"samples": 2},
    search={"population": 4, "generations": 2, "recalibration_images": 96},
    verdict={"candidates": 0},
    retrain={"epochs": 2, "batch_size": 16, "warmup_epochs": 0.5, "learning_rate": 0.1})""",
    "run",
    'run.figures["scatter"]',
    'run.load("A").predict(stnas.data.load(run.config.data, seed=0).test.images[0])[0].name',
    'stnas.Run("nowhere").networks',
)


@pytest.fixture(scope="module")
def executed(tiny_images, tmp_path_factory):
    """Execute the cells, the last of which is wrong, and return what each put out."""
    nbformat = pytest.importorskip("nbformat", reason="pip install nbclient ipykernel")
    nbclient = pytest.importorskip("nbclient", reason="pip install nbclient ipykernel")
    pytest.importorskip("ipykernel", reason="pip install ipykernel")
    folder = tmp_path_factory.mktemp("notebook")
    places = f"RUN, IMAGES = {str(folder / 'run')!r}, {str(tiny_images)!r}"
    cells = [nbformat.v4.new_code_cell(text) for text in (places, *CELLS)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    paths = os.pathsep.join([str(Path(stnas.__file__).parents[1]), *sys.path[1:]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", paths)
        patch.delenv("PYTHONSAFEPATH", raising=False)
        nbclient.NotebookClient(notebook, timeout=600, allow_errors=True).execute(cwd=folder)
    return [cell.outputs for cell in notebook.cells[1:]]


def whole(outputs, kind):
    """Join what a cell put out of a kind."""
    data = [out.get("data", {}).get(kind, "") for out in outputs]
    return "\n".join(text if isinstance(text, str) else repr(text) for text in data if text)


def test_stages_tell_their_progress(executed):
    told = "".join(out.get("text", "") for out in executed[0]) + whole(executed[0], "text/html")
    assert not [out for out in executed[0] if out.output_type == "error"], executed[0]
    for stage in ("train", "sgld", "search", "retrain"):
        assert stage in told
    widgets = whole(executed[0], "application/vnd.jupyter.widget-view+json")
    assert ("loss" in told) or widgets


def test_a_run_shows_what_was_found_as_tables(executed):
    shown = whole(executed[1], "text/html")
    assert shown.count("<table>") == 2
    assert "A-random-1" in shown
    assert "complete" in shown


def test_figures_and_predictions_are_ordinary_values(executed):
    assert whole(executed[2], "application/vnd.plotly.v1+json") or whole(executed[2], "text/html")
    assert whole(executed[3], "text/plain").strip("'")


def test_an_error_is_one_that_names_the_repair(executed):
    (error,) = [out for out in executed[4] if out.output_type == "error"]
    assert "stnas retrain" in error.evalue or "stnas train" in error.evalue
