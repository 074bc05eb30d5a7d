"""
Halving: most epochs for the best
=================================

A search that trains every configuration to the end spends most of its time on those that an early look rules out.
Successive halving gives all of them a few epochs, trains the best third for three times as many, and so on.
`StackedHalvingSearchCV` does it in stacks: the configurations and folds of a rung train as one, and while others start
each rung from scratch, these networks continue from where they are.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler

import xbnet

X, y = load_digits(return_X_y=True)
X = StandardScaler().fit_transform(X)
grid = {"learning_rate_init": np.geomspace(1e-4, 1, 9), "alpha": [1e-5, 1e-2, 1]}
network = xbnet.XBClassifier((16,), batch_size=100, n_iter_no_change=np.inf, random_state=0)

# %%
# 27 configurations in three folds are 81 networks. Each rung lets one configuration in three go on.
search = xbnet.StackedHalvingSearchCV(network, grid, cv=3, factor=3, max_resources=27, random_state=0)
with warnings.catch_warnings(action="ignore"):  # the first rung's epochs are too few to converge, on purpose
    search.fit(X, y)
print(f"epochs of the rungs {search.n_resources_}, configurations {search.n_candidates_}")
rate, alpha = (search.best_params_[name] for name in grid)
print(f"best: learning rate {rate:.3g}, alpha {alpha:g}, accuracy {search.best_score_:.3f}")

# %%
# Each line is a configuration, and ends where it was let go. The colour is its learning rate: with the smallest ones
# learning has hardly begun at the first rung.
results = search.cv_results_
figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
colours = plt.cm.viridis(np.linspace(0, 1, len(grid["learning_rate_init"])))
places = {}
for epochs, params, score in zip(results["n_resources"], results["params"], results["mean_test_score"]):
    key = tuple(params[name] for name in grid)
    places.setdefault(key, []).append((epochs, score, params["learning_rate_init"]))
for line in places.values():
    epochs, scores, rates = zip(*line)
    colour = colours[np.searchsorted(grid["learning_rate_init"], rates[0])]
    axis.plot(epochs, scores, "o-", color=colour, lw=1, ms=4)
axis.set(xlabel="epochs", ylabel="accuracy, mean of three folds", xscale="log")
axis.set_xticks(search.n_resources_, [str(n) for n in search.n_resources_])
axis.minorticks_off()
scale = plt.cm.ScalarMappable(plt.matplotlib.colors.LogNorm(1e-4, 1), "viridis")
figure.colorbar(scale, ax=axis, label="learning rate")

# %%
# The savings: the epochs of all networks, compared with a search that trains all of them to the end.
before, spent = 0, 0
for epochs, candidates in zip(search.n_resources_, search.n_candidates_):
    spent += 3 * candidates * (epochs - before)
    before = epochs
print(f"{spent} epochs of one network; {3 * search.n_candidates_[0] * search.n_resources_[-1]} without halving")
