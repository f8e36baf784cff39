# SPDX-License-Identifier: MIT
"""Sphinx makes a small documentation, in a temporary directory."""

import pathlib
import tempfile

from sphinx.cmd.build import main

with tempfile.TemporaryDirectory() as directory:
    source = pathlib.Path(directory, "source")
    source.mkdir()
    (source / "conf.py").write_text('extensions = ["sphinx.ext.autodoc"]\n', encoding="ascii")
    text = "Title\n=====\n\n.. automodule:: json\n   :members:\n"
    (source / "index.rst").write_text(text, encoding="ascii")
    assert main(["-q", "-b", "html", str(source), f"{directory}/html"]) == 0
