"""The former name of ``stnas.store``, for programs that import its modules under that name."""

import sys
import warnings
from importlib import import_module
from pkgutil import iter_modules

from stnas import store

for module in iter_modules(store.__path__):
    found = import_module(f"{store.__name__}.{module.name}")
    globals()[module.name] = sys.modules[f"{__name__}.{module.name}"] = found

warnings.warn(
    "stnas.engine is called stnas.store: import it from there", DeprecationWarning, stacklevel=2
)
