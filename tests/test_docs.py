"""What the documentation shows must run: the Python and the commands of README and docs, file by file, in order."""

from __future__ import annotations

import ast
import contextlib
import doctest
import io
import re
import shlex
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.test_floors import FLOORS
from xbnet.backends.devices import INSTALL
from xbnet.cli import VERBS, main
from xbnet.datasets import Dataset, Part, load
from xbnet.datasets.load import NAMES
from xbnet.nn.activations import ACTIVATIONS
from xbnet.nn.initializers import INITIALIZERS, WITH_NUMBER
from xbnet.nn.layers import LAYERS
from xbnet.nn.losses import LOSSES
from xbnet.optim.optimizers import OPTIMIZERS
from xbnet.optim.schedules import SCHEDULES
from xbnet.optim.strategies import STRATEGIES

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SKIP = "<!-- not run -->"
OPTIONAL = {"sklearn", "torch", "jax", "cupy", "dpnp"}


class Block(NamedTuple):
    """A fenced block: ```python is executed, ```sh and ```console have their xbnet commands run."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """The blocks to run, in order; one behind a SKIP line is left out."""
    found, lines = [], page.read_text(encoding="utf-8").splitlines()
    start, language, fence = -1, "", ""
    for i, line in enumerate(lines):
        if start >= 0:
            if line.strip() == fence:
                skipped = start > 0 and lines[start - 1].strip() == SKIP
                if language in ("python", "sh", "console") and not skipped:
                    found.append(Block(language, "\n".join(lines[start + 1 : i]), start + 2))
                start = -1
        elif opening := re.fullmatch(r"(`{3,})(\S*).*", line):
            start, fence, language = i, opening[1], opening[2]
    return found


def words(line: str) -> list[str] | None:
    """The arguments of an xbnet command; None for any other."""
    command = shlex.split(line, comments=True)
    if command[:1] == ["xbnet"]:
        return command[1:]
    if command[:3] == ["python", "-m", "xbnet"]:
        return command[3:]
    return None


def run(arguments: list[str]) -> tuple[int, str]:
    """Exit code and all that was printed."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = main(arguments)
    return code, out.getvalue()


def quickly(arguments: list[str]) -> list[str]:
    """The same command, but training takes two epochs: what is tested is that it runs."""
    return [*arguments, "--epochs", "2"] if arguments[:1] == ["train"] else arguments


def run_shell(text: str) -> None:
    """Every xbnet command ends well; lines that end in a backslash go on."""
    for line in text.replace("\\\n", " ").splitlines():
        arguments = words(line)
        if arguments is not None:
            code, printed = run(quickly(arguments))
            assert code == 0, f"{line}\n{printed}"


def expect_comments(text: str, printed: str) -> None:
    """A number or list behind a ``print(...)  #`` is what was printed; other processors round otherwise."""
    for comment in re.findall(r"^print\(.*\)  # ([-\d.]+|\[.*\])$", text, re.MULTILINE):
        expected, found = ast.literal_eval(comment), [line for line in printed.splitlines() if line[:1] == comment[:1]]
        if isinstance(expected, list):
            assert comment in found, printed
        else:
            assert any(float(line) == pytest.approx(expected, abs=0.002) for line in found), printed


def run_console(text: str) -> None:
    """What a command prints is what stands below it; ``...`` stands for anything."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, _, expected = part.partition("\n")
        arguments = words(line)
        assert arguments is not None, line
        _, printed = run(arguments)
        same = doctest.OutputChecker().check_output(expected.strip() + "\n", printed.strip() + "\n", doctest.ELLIPSIS)
        assert same, f"{line}\nprinted {printed}"


def seventh(name: str, whole: Callable[[str], Dataset] = load._shipped) -> Dataset:
    """Of a shipped set each seventh sample, of the classes, which take turns, all; and whole batches of 50."""
    data = whole(name)
    taken = {field: slice(0, len(part) // 350 * 350, 7) for field, part in data.parts()}
    return replace(data, **{field: Part(part.x[taken[field]], part.y[taken[field]]) for field, part in data.parts()})


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda p: p.name)
def test_examples_run(page, tmp_path, monkeypatch):
    """Figures of the README and of error lines come out on all samples; what other pages show holds on fewer."""
    monkeypatch.chdir(tmp_path)
    if page.name not in ("README.md", "errors.md"):
        monkeypatch.setattr(load, "_shipped", seventh)
    names: dict = {"__name__": "example"}
    for block in blocks(page):
        if block.language == "python":
            code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
            out = io.StringIO()
            try:
                with contextlib.redirect_stdout(out):
                    exec(code, names)
                expect_comments(block.text, out.getvalue())
            except ModuleNotFoundError as error:
                if (error.name or "").split(".")[0] in OPTIONAL:
                    pytest.skip(f"{page.name} needs {error.name}")
                raise
        else:
            {"sh": run_shell, "console": run_console}[block.language](block.text)


def test_a_wrong_example_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    fences = ("sh", "xbnet train --epochs nonsense"), ("python", "1 / 0"), ("python", "x = 1")
    wrong, skipped, right = (f"```{language}\n{text}\n```\n" for language, text in fences)
    page.write_text(wrong + f"{SKIP}\n" + skipped + right)
    first, last = blocks(page)
    assert (first.line, last) == (2, Block("python", "x = 1", 9))
    with pytest.raises(AssertionError, match="nonsense"):
        run_shell(first.text)
    with pytest.raises(AssertionError, match="unknown verb"):
        run_console("$ xbnet trian\nxbnet: all is well\n")


def test_a_wrong_comment_is_noticed():
    text = "print(x)  # 0.98688\nprint(status)  # ['finished', 'diverged']"
    expect_comments(text, "0.98700\n['finished', 'diverged']\n")
    for printed in ("0.99136\n['finished', 'diverged']\n", "0.98688\n['finished', 'finished']\n"):
        with pytest.raises(AssertionError):
            expect_comments(text, printed)


def test_readme_opens_with_the_two_commands():
    text = (ROOT / "README.md").read_text()
    assert re.findall(r"^python3 -m venv .*", text, re.MULTILINE) == [
        "python3 -m venv .venv && .venv/bin/pip install '.[fast]' && .venv/bin/python -m xbnet.train",
        "python3 -m venv .venv && .venv/bin/pip install '.[test]' && .venv/bin/python -m pytest -n 2 --dist worksteal",
    ]


@pytest.mark.parametrize(
    ("page", "known"),
    [
        ("README.md", [*ACTIVATIONS, *LAYERS, *LOSSES, *OPTIMIZERS, *SCHEDULES, *STRATEGIES, *INSTALL]),
        ("README.md", NAMES),
        ("docs/layers.md", [*ACTIVATIONS, *LAYERS, *INITIALIZERS, *WITH_NUMBER]),
        ("docs/losses.md", LOSSES),
        ("docs/optimizers.md", [*OPTIMIZERS, *SCHEDULES]),
        ("docs/strategies.md", STRATEGIES),
        ("docs/datasets.md", NAMES),
    ],
)
def test_tables_name_all_that_is_there(page, known):
    text = (ROOT / page).read_text()
    missing = [name for name in known if not re.search(rf"[`.~]{name}\b|### {name}", text)]
    assert not missing


def test_hyper_parameters_are_documented_with_their_defaults():
    text = (ROOT / "docs/optimizers.md").read_text()
    for name, kind in OPTIMIZERS.items():
        if name == "adamw":  # the row says "as Adam"
            continue
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}`"))
        for key, value in kind().hyper.items():
            assert f"{key} {value:g}".replace("e-08", "e-8") in row


def test_every_extra_is_documented():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    text = (ROOT / "docs/install.md").read_text()
    assert not [extra for extra in extras if f"'.[{extra}]'" not in text]


def test_every_verb_has_help(capsys):
    for verb in VERBS:
        with pytest.raises(SystemExit, match="0"):
            main([verb, "--help"])
        assert f"xbnet {verb}" in capsys.readouterr().out


def test_every_layer_and_loss_is_derived():
    page = (ROOT / "docs/backward.md").read_text()
    for kind in (*LAYERS.values(), *LOSSES.values()):
        assert f":pyobject: {kind.__name__}." in page, f"backward.md: derive {kind.__name__} next to its code"


def test_pictures_are_small():
    for picture in (ROOT / "docs/_static").glob("*.png"):
        assert picture.stat().st_size < 100_000


def test_links_within_the_repository_lead_somewhere():
    for page in [*PAGES, ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md"]:
        for target in re.findall(r"\]\(([^)#]+)\)|src=\"([^\"]+)\"", page.read_text()):
            place = target[0] or target[1]
            if "://" not in place:
                assert (page.parent / place).exists(), f"{page.name}: {place}"


def test_links_of_the_readme_are_absolute_and_of_pages_that_are_there():
    """Package indexes show it too, where no link within the repository leads anywhere."""
    site = "https://xbnet.readthedocs.io/en/latest/"
    links = re.findall(r"\]\(([^)]+)\)|src=\"([^\"]+)\"", (ROOT / "README.md").read_text())
    assert links
    for target in [a or b for a, b in links if a[:1] != "#"]:
        assert target.startswith(site), target
        name = target.removeprefix(site)
        page = f"docs/{name}" if name.startswith("_static/") else f"docs/{name[:-5]}.md"
        assert name == "gallery/index.html" or (ROOT / page).exists(), target


def test_architecture_names_every_module_on_its_floor():
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE)
    named = {name: int(floor) for floor, names in rows for name in re.findall(r"`(\w+)`", names)}
    floors = {name: i for i, names in enumerate(FLOORS) for name in names}
    assert named == floors, "the table of floors in ARCHITECTURE.md is that of FLOORS in test_floors.py"
