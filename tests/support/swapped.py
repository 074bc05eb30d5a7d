"""scikit-learn's own tests, with our search and our estimators in the places of its own.

    python -m tests.support.swapped search      test_search.py: StackedSearchCV for GridSearchCV and RandomizedSearchCV
    python -m tests.support.swapped estimators  the tests of its meta-estimators, over XBClassifier and XBRegressor

Each file is read from the installed scikit-learn, the names that it imports are bound again below its imports, and the
tests run twice: with what is already there (GridSearchCV over our estimators; scikit-learn's own networks in the places
of its other predictors) and with ours. What passes the first time and not the second is ours to explain: it ends the
command with 1, unless `DIFFERENCES` says why it is right. The whole takes some minutes and is no part of the tests.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from .standins import BASES, PREDICTORS, SEARCHES

FILES = {
    "search": ("model_selection/tests/test_search",),
    "estimators": (
        *("tests/test_multiclass", "tests/test_multioutput", "tests/test_calibration", "tests/test_pipeline"),
        *("ensemble/tests/test_voting", "ensemble/tests/test_bagging", "ensemble/tests/test_stacking"),
        *("ensemble/tests/test_weight_boosting", "feature_selection/tests/test_from_model"),
        *("feature_selection/tests/test_rfe", "feature_selection/tests/test_sequential"),
        *("model_selection/tests/test_validation", "model_selection/tests/test_classification_threshold"),
        *("model_selection/tests/test_plot", "model_selection/tests/test_successive_halving"),
        *("semi_supervised/tests/test_self_training", "compose/tests/test_target", "frozen/tests/test_frozen"),
        *("inspection/tests/test_permutation_importance", "inspection/tests/test_partial_dependence"),
        *("tests/test_metaestimators", "tests/test_metaestimators_metadata_routing"),
    ),
}
DIFFERENCES: dict[str, str] = {
    "cv_results_multimetric": "it wants fit times below 1 s: ours last until the whole stack is trained",
    "test_multi_metric_search_forwards_metadata": "it looks for the search among the callers: ours scores in a thread",
    "partial_fit_no_first_classes_exception": "the error has other words",
}
"""Part of a test's name -> why our answer is another one, and right."""


def swap(source: str, names: Iterable[str]) -> str:
    """The text of a test file in which the imported `names` are those of `standins`."""
    tree = ast.parse(source)
    imports = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    known = {alias.asname or alias.name for node in imports for alias in node.names}
    text = "".join(f"from tests.support.standins import {name}\n" for name in names if name in known)
    lines = source.splitlines(keepends=True)
    end = imports[-1].end_lineno
    return "".join(lines[:end]) + "\n" + text + "".join(lines[end:])


def run(files: tuple[str, ...], names: Iterable[str], base: str, seconds: int) -> dict[str, str]:
    """Test -> "passed", "skipped" or the first line of its error."""
    home = Path(importlib.util.find_spec("sklearn").origin).parent  # type: ignore[union-attr,arg-type]
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            text = (home / f"{file}.py").read_text()
            (Path(folder) / f"test_{file.replace('/', '_')}.py").write_text(swap(text, names))
        found = Path(folder) / "found.json"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "STAND_IN": base, "FOUND": str(found)}
        options = ["-q", "-p", "sklearn.conftest", "-p", "tests.support.swapped", "-p", "no:cacheprovider", "--tb=no"]
        command = [sys.executable, "-m", "pytest", *options, "--rootdir", folder, folder]
        subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, timeout=seconds, check=False)
        return json.loads(found.read_text()) if found.exists() else {}


RESULTS: dict[str, str] = {}


def pytest_runtest_logreport(report):
    """A hook of pytest: this module is its plugin in the process that runs the tests."""
    if report.when == "call" or report.outcome != "passed":
        text = report.outcome
        if report.outcome == "failed":
            crash = getattr(report.longrepr, "reprcrash", None)
            text = (crash.message if crash else str(report.longrepr)).strip().splitlines()[0][:150]
        RESULTS[report.nodeid.rpartition("/")[2]] = text


def pytest_sessionfinish(session):
    """Keep what was found."""
    Path(os.environ["FOUND"]).write_text(json.dumps(RESULTS))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=FILES)
    parser.add_argument("--files", default="", help="only files whose path has one of these, with commas, in it")
    parser.add_argument("--json", metavar="FILE", help="what came of each test, before and after")
    parser.add_argument("--seconds", type=int, default=3600)
    arguments = parser.parse_args()
    files = tuple(file for file in FILES[arguments.which] if any(part in file for part in arguments.files.split(",")))
    if arguments.which == "search":
        before = run(files, PREDICTORS, "xbnet", arguments.seconds)
        after = run(files, (*PREDICTORS, *SEARCHES), "xbnet", arguments.seconds)
    else:
        before = run(files, PREDICTORS, BASES[0], arguments.seconds)
        after = run(files, PREDICTORS, "xbnet", arguments.seconds)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps({"before": before, "after": after}, indent=1))
    passed = [test for test, outcome in before.items() if outcome == "passed"]
    failed = {test: after.get(test, "did not run") for test in passed if after.get(test) != "passed"}
    unexplained = 0
    for test, error in sorted(failed.items()):
        reason = next((why for part, why in DIFFERENCES.items() if part in test), None)
        unexplained += reason is None
        print(f"{'ours' if reason is None else 'meant'}  {test}\n      {reason or error}")
    print(f"{len(before)} tests; {len(passed)} pass before, of which {len(passed) - len(failed)} pass with ours;")
    print(f"{len(failed) - unexplained} differ for a reason, {unexplained} without one")
    return int(unexplained > 0)


if __name__ == "__main__":
    sys.exit(main())
