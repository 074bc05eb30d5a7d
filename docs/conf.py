"""Sphinx configuration: ``python -m sphinx -W --keep-going docs docs/_build``."""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from sphinx.util.docutils import SphinxDirective  # noqa: E402

import xbnet  # noqa: E402
from xbnet.cli import VERBS, build_parser  # noqa: E402

project = "xbnet"
author = "The xbnet developers"
copyright = author
release = version = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]["version"]

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "examples"]
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
templates_path = ["_templates"]

autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_inherit_docstrings = False  # what the methods of a kind of layer do is said once, in the base class
highlight_language = "none"
suppress_warnings = ["config.cache"]  # the gallery's scraper is a function
smartquotes = False  # they turn the dashes of flags into others
maximum_signature_line_length = 88
numpydoc_show_class_members = False
default_role = "py:obj"  # `Backend` in a docstring is a link
toc_object_entries_show_parents = "hide"
python_use_unqualified_type_names = True

html_theme = "pydata_sphinx_theme"
html_title = "xbnet"
html_static_path = ["_static"]
html_css_files = ["xbnet.css"]
html_show_sourcelink = False
html_sidebars = {"architecture": [], "changelog": []}
html_theme_options = {
    "logo": {"text": f"xbnet {release}"},
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_toc_level": 2,
}

# -- the gallery: scripts that run, their pictures, and both as downloads ----------------------------------------------


def figure_scraper(block: tuple, block_vars: dict, gallery_conf: dict) -> str:
    """Show the figure that a block of an example ends with, if xbnet drew it: pyplot knows nothing of those."""
    from matplotlib.figure import Figure
    from sphinx_gallery.scrapers import figure_rst

    figure = block_vars["example_globals"].get("___")  # where sphinx-gallery keeps a block's last value
    if not (isinstance(figure, Figure) and hasattr(figure, "_repr_png_")) or hasattr(figure, "in_gallery"):
        return ""
    figure.in_gallery = True  # the next block may end without a value
    path = next(block_vars["image_path_iterator"])
    figure.savefig(path, dpi=gallery_conf.get("dpi", 100))
    return figure_rst([path], gallery_conf["src_dir"])


sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "within_subsection_order": "ExampleTitleSortKey",
    "image_scrapers": ("matplotlib", figure_scraper),
    "ignore_repr_types": "Figure|Legend|Text",
    "show_memory": False,
    "min_reported_time": 1e9,
    "remove_config_comments": True,
    "copyfile_regex": r"$^",
    "nested_sections": False,
}

# -- the API reference: all that `xbnet` names, by the module it comes from --------------------------------------------

LATE = ("XBClassifier", "XBRegressor", "StackedSearchCV", "StackedHalvingSearchCV", "StackedOptunaSearchCV")
"""Names that are imported when they are asked for, and can't be without scikit-learn."""

GROUPS = {
    "Networks and training": ("nn.network", "training", "history", "replicas"),
    "Layers": ("nn.layers", "nn.parameters", "nn.activations"),
    "Losses": ("nn.losses",),
    "Optimizers": ("optim.optimizer", "optim.optimizers"),
    "Strategies": ("optim.strategies",),
    "Data sets": ("datasets",),
    "Files": ("io",),
    "Sweeps": ("sweeps",),
    "Reports": ("reports",),
    "scikit-learn": ("estimators",),
    "Gradient and Jacobian tests": ("verify",),
    "Backends": ("backends",),
    "Errors": ("errors",),
}


def can_be_had(name: str) -> bool:
    """Whether `xbnet` has the name in this environment."""
    try:
        return hasattr(xbnet, name)
    except ImportError:
        return False


def api_page() -> str:
    """A table per group; names of modules that no group claims come last, so that none is forgotten."""
    groups: dict[str, list[str]] = {title: [] for title in (*GROUPS, "More")}
    late = [name for name in LATE if name not in xbnet.__all__ and can_be_had(name)]
    for name in [*xbnet.__all__, *late]:
        if name == "BATCH":  # a text: it has neither a module nor a docstring of its own
            groups["Layers"].append("nn.layers.base.BATCH")
            continue
        module = getattr(xbnet, name).__module__.removeprefix("xbnet.") + "."
        title = next(
            (title for title, rooms in GROUPS.items() if any(module.startswith(f"{r}.") for r in rooms)), "More"
        )
        groups[title].append(name)
    lines = ["Names of xbnet", "==============", "", ".. currentmodule:: xbnet", ""]
    for title, names in groups.items():
        if names:
            lines += [title, "-" * len(title), "", ".. autosummary::", "   :toctree: .", "   :nosignatures:", ""]
            lines += [f"   {name}" for name in sorted(names, key=str.lower)]
            lines.append("")
    return "\n".join(lines)


def write_api_page(app: object, config: object) -> None:
    """Before Sphinx looks for pages; an unchanged page is left alone, so that it is not built again."""
    page = HERE / "api" / "generated" / "xbnet.rst"
    page.parent.mkdir(parents=True, exist_ok=True)
    if not page.exists() or page.read_text() != api_page():
        page.write_text(api_page())


# -- the command's flags, from its parser ------------------------------------------------------------------------------


class Flags(SphinxDirective):
    """Tables of a verb's flags, one per group, and of each of its actions: ``{flags} train``."""

    required_arguments = 1

    def run(self) -> list:
        """Write MyST tables and let it parse them."""
        verb = self.arguments[0]
        return self.parse_text_to_nodes("\n".join(self.tables(build_parser(verb).child(verb))))

    def tables(self, parser: argparse.ArgumentParser) -> list[str]:
        """A table per group of flags; an action's come below its name."""
        lines: list[str] = []
        for group in parser._action_groups:
            nested = [action for action in group._group_actions if isinstance(action, argparse._SubParsersAction)]
            shown = [a for a in group._group_actions if a.dest != "help" and a.help != argparse.SUPPRESS]
            rows = [self.row(action) for action in shown if action not in nested]
            if rows:
                title = {"options": "Flags", "positional arguments": "Arguments"}.get(group.title, group.title)
                lines += [f"**{title.capitalize()}**", "", "| flag | default | meaning |", "|---|---|---|", *rows, ""]
            for action in nested:
                for name, child in action.choices.items():
                    summary = next(choice.help for choice in action._choices_actions if choice.dest == name)
                    lines += [f"`{parser.prog} {name}`: {summary}.", "", *self.tables(child)]
        return lines

    def row(self, action: argparse.Action) -> str:
        """One flag or argument."""
        names = "|".join(action.choices) if action.choices else action.dest.upper()
        value = "" if action.nargs == 0 else action.metavar or names
        flag = f"{', '.join(action.option_strings)} {value}".strip()
        silent = action.nargs == 0 or action.default in (None, [], argparse.SUPPRESS)
        shown = "" if silent else f"`{action.default}`"
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in (f"`{flag}`", shown, action.help or "")) + " |"


class Verbs(SphinxDirective):
    """A section with a summary and the flags for each verb that the command has."""

    def run(self) -> list:
        """Write MyST sections and let it parse them."""
        lines: list[str] = []
        for verb, summary in VERBS.items():
            lines += [f"## xbnet {verb}", "", f"{summary[0].upper()}{summary[1:]}.", ""]
            lines += ["```{flags} " + verb, "```", ""]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def skip(app: object, what: str, name: str, member: object, leave_out: bool, options: object) -> bool | None:
    """Leave out what scikit-learn adds to its estimators."""
    return True if (getattr(member, "__module__", None) or "").startswith("sklearn") else None


def mend_back_links(app: object, pagename: str, templatename: str, context: dict, doctree: object) -> None:
    """Let the links from sources lead to the names they document: Sphinx takes one module's name for all of a file's,
    where some are documented as `xbnet.NAME` and others by the module they are in.
    """
    if pagename.startswith("_modules/"):

        def mended(link: re.Match) -> str:
            room, _, name = link["page"].rpartition(".")
            rest = link["anchor"].removeprefix("xbnet.")
            same = rest == name or rest.startswith(f"{name}.")
            return f'{link["before"]}#{room}.{rest}"' if same else link[0]

        pattern = r'(?P<before>href="[^"#]*api/generated/(?P<page>xbnet[\w.]+)\.html)#(?P<anchor>[\w.]+)"'
        context["body"] = re.sub(pattern, mended, context["body"])


def setup(app: object) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-skip-member", skip)
    app.connect("config-inited", write_api_page)
    app.connect("html-page-context", mend_back_links)
    app.add_directive("flags", Flags)
    app.add_directive("verbs", Verbs)
