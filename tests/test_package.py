"""What `import stnas` gives, and what it says when its compiled part is missing."""

import os
import shutil
import subprocess
import sys
import sysconfig
from importlib import import_module, metadata
from pathlib import Path

import pytest

import stnas
from stnas import _core

SOURCE = Path(stnas.__file__)


def import_copy(folder: Path) -> str:
    """Import the copy of stnas in a folder in a fresh interpreter; return what it wrote last.

    Without installed packages, as an editable stnas would lend its extension to the copy.
    """
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-S", "-c", "import stnas"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    return done.stderr.strip().splitlines()[-1]


@pytest.fixture
def folder(tmp_path):
    """Hold a copy of stnas/__init__.py alone."""
    (tmp_path / "stnas").mkdir()
    shutil.copy(SOURCE, tmp_path / "stnas")
    return tmp_path


def test_a_missing_extension_says_how_to_build_it(folder):
    message = import_copy(folder)
    assert message.startswith("ImportError: stnas._core")
    assert "pip install ." in message
    assert "python setup.py build_ext --inplace" in message
    assert "No module named 'stnas._core'" in message


def test_a_broken_extension_says_why_it_does_not_load(folder):
    name = f"_core{sysconfig.get_config_var('EXT_SUFFIX')}"
    (folder / "stnas" / name).write_bytes(b"not a library")
    message = import_copy(folder)
    assert message.startswith("ImportError: stnas._core")
    assert str(folder / "stnas" / name) in message


def test_the_extension_lies_beside_the_package_that_is_tested():
    assert Path(_core.__file__).parent == SOURCE.parent


def test_an_installed_package_is_the_one_that_is_tested():
    try:
        files = metadata.files("stnas") or []
    except metadata.PackageNotFoundError:
        files = []
    installed = [Path(file.locate()) for file in files if str(file) == "stnas/__init__.py"]
    assert installed in ([], [SOURCE])


def test_the_version_is_that_of_the_metadata():
    try:
        assert stnas.__version__ == metadata.version("stnas")
    except metadata.PackageNotFoundError:
        assert stnas.__version__ == "0+not.installed"


def test_public_names_resolve_and_are_listed():
    for name in stnas.__all__:
        assert getattr(stnas, name) is not None
        assert name in dir(stnas)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'stnas' has no attribute 'nothing'"):
        stnas.nothing  # noqa: B018


def test_the_former_name_of_store_gives_its_modules(monkeypatch):
    monkeypatch.delitem(sys.modules, "stnas.engine", raising=False)
    with pytest.deprecated_call(match=r"stnas\.store: import it from there"):
        import_module("stnas.engine")
    for name in ("files", "journal", "checksum", "run_folder"):
        assert import_module(f"stnas.engine.{name}") is import_module(f"stnas.store.{name}")
