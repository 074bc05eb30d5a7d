"""Errors are matched by their whole line."""

import re

import pytest


def refuses(kind, line):
    """A context in which exactly this error line must be raised."""
    return pytest.raises(kind, match=rf"\A{re.escape(line)}\Z")
