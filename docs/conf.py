"""Sphinx: the pages of this folder, and the reference from docstrings, as one site."""

import stnas

project = "stnas"
copyright = "the authors of stnas"
version = release = stnas.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = "stnas"
exclude_patterns = ["pictures"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
