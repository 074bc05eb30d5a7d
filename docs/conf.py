"""Sphinx configuration: ``python -m sphinx -W --keep-going docs docs/_build``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from docutils.parsers.rst import directives  # noqa: E402
from docutils.statemachine import StringList  # noqa: E402
from sphinx.directives.other import TocTree  # noqa: E402
from sphinx.util.docutils import SphinxDirective  # noqa: E402

import xbnet  # noqa: E402
from xbnet.cli import VERBS, build_parser  # noqa: E402

project = "xbnet"
author = "The xbnet developers"
copyright = author
release = version = xbnet.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
templates_path = ["_templates"]

autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
maximum_signature_line_length = 88
numpydoc_show_class_members = False
python_use_unqualified_type_names = True

html_theme = "pydata_sphinx_theme"
html_title = "xbnet"
html_static_path = ["_static"]
html_css_files = ["xbnet.css"]
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "xbnet"},
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": True,
}

# -- the API reference: all that `xbnet.__all__` names, by the module it comes from ------------------------------------

GROUPS = {
    "Networks and training": ("network", "training", "history", "replicas"),
    "Layers": ("layers", "parameters", "activations"),
    "Losses": ("losses",),
    "Optimizers": ("optimizers",),
    "Data sets": ("datasets",),
    "Files": ("checkpoint",),
    "Backends": ("backend",),
    "Errors": ("errors",),
}


def api_page() -> str:
    """A table per group; names of modules that no group claims come last, so that none is forgotten."""
    groups: dict[str, list[str]] = {title: [] for title in (*GROUPS, "More")}
    for name in xbnet.__all__:
        module = getattr(getattr(xbnet, name), "__module__", "xbnet.layers")  # BATCH is a text: it has no module
        room = module.split(".")[1]
        title = next((title for title, rooms in GROUPS.items() if room in rooms), "More")
        groups[title].append(name)
    lines = ["Names of ``xbnet``", "==================", "", ".. currentmodule:: xbnet", ""]
    for title, names in groups.items():
        if names:
            lines += [title, "-" * len(title), "", ".. autosummary::", "   :toctree: .", "   :nosignatures:", ""]
            lines += [f"   {name}" for name in sorted(names, key=str.lower)] + [""]
    return "\n".join(lines)


def write_api_page(app: object, config: object) -> None:
    """Before Sphinx looks for pages; an unchanged page is left alone, so that it is not built again."""
    page = HERE / "api" / "generated" / "xbnet.rst"
    page.parent.mkdir(parents=True, exist_ok=True)
    if not page.exists() or page.read_text() != api_page():
        page.write_text(api_page())


# -- the command's flags, from its parser ------------------------------------------------------------------------------


class Flags(SphinxDirective):
    """Tables of a verb's flags, one per group: ``{flags} train``."""

    required_arguments = 1

    def run(self) -> list:
        """Write MyST tables and let it parse them."""
        verb = directives.unchanged(self.arguments[0])
        parser = build_parser(verb).child(verb)
        lines: list[str] = []
        for group in parser._action_groups:
            rows = [self.row(action) for action in group._group_actions if action.dest != "help"]
            if rows:
                title = "Flags" if group.title in ("options", "positional arguments") else group.title.capitalize()
                lines += [f"**{title}**", "", "| flag | default | |", "|---|---|---|", *rows, ""]
        return self.parse_text_to_nodes("\n".join(lines))

    def row(self, action: argparse.Action) -> str:
        """One flag."""
        metavar = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
        flag = f"{', '.join(action.option_strings)} {'' if action.nargs == 0 else metavar}".strip()
        default = action.default
        if isinstance(default, tuple):
            default = ",".join(map(str, default))
        shown = "" if default in (None, False, argparse.SUPPRESS) else f"`{default}`"
        text = (action.help or "").replace("%(default)s", str(default))
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in (f"`{flag}`", shown, text)) + " |"


class Verbs(SphinxDirective):
    """A section with a summary and the flags for each verb that the command has."""

    def run(self) -> list:
        """Write MyST sections and let it parse them."""
        lines: list[str] = []
        for verb, summary in VERBS.items():
            lines += [f"## `xbnet {verb}`", "", f"{summary[0].upper()}{summary[1:]}.", ""]
            lines += ["```{flags} " + verb, "```", ""]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


class Pages(TocTree):
    """A toctree of those of the named pages that are there; one that is not written yet is no error."""

    def run(self) -> list:
        """Leave out the names of other pages."""
        self.content = StringList([name for name in self.content if name in self.env.found_docs], self.env.docname)
        return super().run() if self.content else []


def setup(app: object) -> None:
    """Called by Sphinx."""
    app.add_directive("pages", Pages)
    app.connect("config-inited", write_api_page)
    app.add_directive("flags", Flags)
    app.add_directive("verbs", Verbs)
