"""What `xbnet sweep` makes of its networks when all have trained: nothing of that may cost the user the sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import DivergenceError, say

if TYPE_CHECKING:  # imported where they are used: so the help comes quickly
    from ..io.ensembles import Ensemble
    from ..sweeps import SweepResult
    from ..sweeps.refit import Refit


def refit_of(result: SweepResult) -> Refit | None:
    """The best configuration, trained again on all rows; None, and a line, where it diverges there."""
    try:
        return result.refit()
    except DivergenceError:
        say("the best configuration diverged when it was trained again on all rows; the best network is one of a fold")
        return None


def ensemble_of(result: SweepResult, members: int) -> Ensemble:
    """The ensemble of so many networks, or of all that have not diverged, and a line, where these are fewer."""
    most = int(np.isfinite(result.column("score")).sum())
    if members > most:
        but = "" if most == len(result) else " without those that diverged"
        say(f"--ensemble {members}: takes the {most} networks that there are{but}")
    return result.ensemble(min(members, most))
