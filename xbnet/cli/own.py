"""Parts of a user's own, named on the command line: ``mymodule:Class``, from a module that Python finds here."""

from __future__ import annotations

import importlib
import os
import sys

from ..errors import ConfigError, reason


def is_own(text: str) -> bool:
    """Whether a flag's text names one: ``mymodule:Class``, and no name of ours with settings, ``adam:beta2=0.9``."""
    module, colon, name = text.partition(":")
    return bool(colon) and module.replace(".", "").isidentifier() and name.partition(":")[0].isidentifier()


def own_object(flag: str, text: str) -> object:
    """Return the object that ``mymodule:name`` names; the module may also be in the working directory.

    Raises
    ------
    ConfigError
        There is no such module or name in it, or the module fails when it is imported: why.
    """
    module, _, name = text.partition(":")
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and not module.startswith(error.name):
            raise ConfigError(f"{flag}: {module} could not be imported: {error}") from error
        raise ConfigError(f"{flag}: there is no module {module!r} here; {text} has the form MODULE:NAME") from None
    except Exception as error:  # it is the user's code: whatever it is
        raise ConfigError(f"{flag}: {module} could not be imported: {type(error).__name__}: {reason(error)}") from error
    finally:
        sys.path.remove(here)
    if not hasattr(found, name):
        raise ConfigError(f"{flag}: module {module!r} has no {name!r}")
    return getattr(found, name)
