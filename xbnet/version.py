"""The version that is installed."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("xbnet-stacks")  # the distribution's name, see pyproject.toml
except PackageNotFoundError:  # run from a checkout that was never installed
    __version__ = "0+unknown"
