"""
Reading asv's pages: noise or slower?
=====================================

``asv`` measures commits and draws a curve per benchmark. A curve goes up because of the code or because of the machine,
and the eye alone can't tell. This page reads a history of this repository, as ``asv publish`` wrote it, and a slowdown
that was planted. The script needs ``asv_history.json`` from ``docs/examples`` in its folder.
"""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

kept = json.loads(Path("asv_history.json").read_text())
history, planted = kept["history"], kept["planted"]
print(f"{len(history['commits'])} commits, {history['dates'][0]} to {history['dates'][-1]}, {history['machine']}")

# %%
# A history
# ---------
# Each curve is relative to its own median. The import of the package varies by a factor of ten between commits that did
# not touch it: so much noise had this machine, which was busy with other work, and a step that varies by less tells
# nothing yet. On a machine of its own the import is a flat line, and a step that leaves its own line is worth a look.
figure, axis = plt.subplots(figsize=(8, 4), layout="constrained")
for name, seconds in history["seconds"].items():
    seconds = np.array(seconds, float)
    axis.plot(seconds / np.nanmedian(seconds), ".-", label=f"{name} (median {1e3 * np.nanmedian(seconds):.3g} ms)")
axis.set_xticks(range(len(history["commits"])), history["commits"], rotation=60, fontsize=8)
axis.set(ylabel="time, relative to the median", ylim=(0, None))
axis.legend(frameon=False, fontsize=8)

# %%
# Asked directly
# --------------
# ``asv continuous main slower`` measures two commits in turn, in two rounds, so that a slow minute of the machine meets
# both. On the branch `slower` each linear layer notes the condition of its weights, which is one line:
print(planted["change"])
print(planted["printed"])

# %%
# The bars are the medians, and the whiskers asv's intervals, which are wide because the machine was busy. A slowdown of
# this size shows all the same. A smaller one does not: of a check that costs a tenth of a step, one run here said 1.65
# and the next one that nothing had changed. To see those, asv needs a quiet machine.
names = list(planted["before"])
figure, axis = plt.subplots(figsize=(7, 3.4), layout="constrained")
for shift, when, colour in ((-0.2, "before", "#1f77b4"), (0.2, "after", "#d62728")):
    values = np.array([planted[when][name] for name in names])
    base = np.array([planted["before"][name][0] for name in names])
    places = np.arange(len(names)) + shift
    spread = abs(values[:, 1:].T - values[:, 0]) / base
    axis.bar(places, values[:, 0] / base, 0.36, yerr=spread, color=colour, label=when, capsize=3)
axis.set_xticks(range(len(names)), names)
axis.set(ylabel="time of a step, relative to before")
axis.legend(frameon=False)
