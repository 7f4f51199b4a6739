"""The quick tests are there, and each package of the program has some."""

from pathlib import Path

import pytest

import stnas

PACKAGES = sorted(file.parent.name for file in Path(stnas.__file__).parent.glob("*/__init__.py"))
TESTS = Path(__file__).parent


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_has_quick_tests(quick_tests, package):
    assert any(word.startswith(f"{package}/") or f"test_{package}." in word for word in quick_tests)


def test_every_quick_test_is_there(quick_tests):
    for word in quick_tests:
        file, _, name = word.partition("::")
        assert (TESTS / file).exists(), word
        assert not name or f"def {name}" in (TESTS / file).read_text(), word
