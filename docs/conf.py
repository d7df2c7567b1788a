"""How `make docs` builds the pages: the reference from docstrings, the gallery from the claims of all figures."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shutil
from pathlib import Path
from typing import Any

import neurocircuits
from neurocircuits.reproduce import figures

HERE = Path(__file__).parent
MADE, PICTURES = HERE / "made", HERE.parent / "build" / "figures"  # the second is where `make figures` draws
PARTS = {
    "neurocircuits": "Declaring and running",
    "neurocircuits.analysis": "Analysis",
    "neurocircuits.datasets": "Data sets",
    "neurocircuits.learn": "scikit-learn",
    "neurocircuits.readout": "Top layers",
    "neurocircuits.recurrent": "Gated recurrent networks",
    "neurocircuits.plotting": "Drawing",
    "neurocircuits.results": "Results",
    "neurocircuits.pages": "Interactive pages",
}
FOLDERS = {"neurocircuits.models": "Models", "neurocircuits.protocols": "Protocols"}

project, author, release = "neurocircuits", "the neurocircuits developers", neurocircuits.__version__
copyright = author
extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "myst_parser", "sphinx.ext.viewcode"]
exclude_patterns = ["built"]
html_theme, html_title, html_show_sourcelink = "alabaster", f"neurocircuits {release}", False
html_theme_options = {
    "description": "Circuits that learn, declared once",
    "page_width": "1100px",
    "sidebar_includehidden": False,
    "fixed_sidebar": True,
}
html_sidebars = {"**": ["about.html", "searchfield.html", "navigation.html"]}
default_role, numpydoc_show_class_members, myst_heading_anchors = "any", False, 3
autodoc_default_options = {"members": True}
autodoc_typehints = "none"  # types stand in the docstrings
autodoc_mock_imports = [] if importlib.util.find_spec("torch") else ["torch"]
suppress_warnings = ["ref.any", "ref.ref", "ref.term", "myst.xref_missing"]  # `name` in a docstring may be an argument


def setup(app: Any) -> None:
    """Write the pages that are made of code before Sphinx reads any."""
    app.connect("autodoc-process-docstring", _as_written, priority=1)  # before numpydoc
    shutil.rmtree(MADE, ignore_errors=True)
    MADE.mkdir()
    listed = [_reference(module, title) for module, title in PARTS.items()]
    listed += [_folder(package, title) for package, title in FOLDERS.items()]
    _write("reference.rst", "Reference", _toctree(listed))
    _gallery()


def _as_written(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Show |x| and * in docstrings as they are, outside of code."""
    lines[:] = [line if ">>>" in line or "..." in line else _plain(line) for line in lines]


def _plain(text: str) -> str:
    return "".join(
        part if part[:1] == "`" else re.sub(r"[|*]|_(?!\w)", r"\\\g<0>", part)
        for part in re.split(r"(`+[^`]*`+)", text)
    )


def _reference(module: str, title: str) -> str:
    names = [name for name in importlib.import_module(module).__all__ if not name.startswith("__")]
    rows = "\n".join(f"   {name}" for name in sorted(names, key=str.lower))
    what = f".. automodule:: {module}\n   :no-members:\n"
    summary = f".. autosummary::\n   :toctree: api\n   :nosignatures:\n\n{rows}\n"
    return _write(f"{module}.rst", title, f"{what}\n{summary}")


def _folder(package: str, title: str) -> str:
    folder = Path(str(importlib.import_module(package).__path__[0]))
    names = sorted(file.stem for file in folder.glob("*.py") if not file.stem.startswith("_"))
    parts = [f"{name}\n{'-' * len(name)}\n\n.. automodule:: {package}.{name}\n" for name in names]
    return _write(f"{package}.rst", title, "\n".join(parts))


def _gallery() -> None:
    parts = []
    for name, figure in figures().items():
        claims = "\n".join(f"- {_plain(claim.text)} ({' and '.join(claim.when)})" for claim in figure.claims)
        picture = PICTURES / f"{name}.png"
        shown = f".. image:: {name}.png\n   :width: 100%" if picture.exists() else "*Not drawn:* ``make figures`` does."
        if picture.exists():
            shutil.copy(picture, MADE)
        call = f"``neurocircuits figure {name}``, after {_plain(figure.source)}"
        parts.append(f"{name}\n{'-' * len(name)}\n\n{_plain(figure.title)}.\n\n{shown}\n\n{call}\n\n{claims}\n")
    _write("gallery.rst", "Figures and what they claim", "\n".join(parts))


def _toctree(pages: list[str]) -> str:
    return ".. toctree::\n   :maxdepth: 1\n\n" + "".join(f"   {page}\n" for page in pages)


def _write(file: str, title: str, text: str) -> str:
    (MADE / file).write_text(f"{title}\n{'=' * len(title)}\n\n{text}")
    return file.removesuffix(".rst")
