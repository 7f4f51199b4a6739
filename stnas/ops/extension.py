"""Load the compiled operators ``torch.ops.stnas``."""

from importlib import import_module

try:
    import_module("stnas._C")
except ImportError as error:
    raise ImportError(
        "the compiled operators stnas._C cannot be loaded: build them with "
        "`python setup.py build_ext --inplace` or `pip install .`, with torch 2.13 or later"
    ) from error
