"""
From scikit-learn's MLP to ours, and back
=========================================

`XBClassifier` takes the parameters of `MLPClassifier`, starts from the same weights, and sees the same batches. So a
script changes one import, and a model can be compared weight by weight.
"""

import time
import warnings

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

import xbnet

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(StandardScaler().fit_transform(X), y, random_state=0)
settings = {"hidden_layer_sizes": (16,), "max_iter": 40, "n_iter_no_change": 50, "random_state": 0}

# %%
# Same settings, same seed:
theirs = MLPClassifier(**settings)
ours = xbnet.XBClassifier(dtype="float64", **settings)
seconds = {}
for name, model in (("scikit-learn", theirs), ("xbnet", ours)):
    started = time.perf_counter()
    with warnings.catch_warnings(action="ignore"):  # forty epochs are too few to converge
        model.fit(X_train, y_train)
    seconds[name] = time.perf_counter() - started
    print(f"{name:<14}accuracy {model.score(X_test, y_test):.4f}, loss {model.loss_curve_[-1]:.6f}")

figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
axis.plot(theirs.loss_curve_, lw=4, alpha=0.4, label="MLPClassifier")
axis.plot(ours.loss_curve_, "--", color="black", label="XBClassifier")
axis.set(xlabel="epoch", ylabel="training loss")
axis.legend(frameon=False)

# %%
# A search over a grid trains all its candidates and folds as stacks, with the same results:
grid = {"alpha": [1e-4, 1e-2], "learning_rate_init": [1e-3, 1e-2]}
base = xbnet.XBClassifier(dtype="float64", **settings)
with warnings.catch_warnings(action="ignore"):
    one_by_one = GridSearchCV(base, grid, cv=3).fit(X_train, y_train)
    stacked = xbnet.StackedSearchCV(base, grid, cv=3).fit(X_train, y_train)
print(one_by_one.best_params_, one_by_one.best_score_)
print(stacked.best_params_, stacked.best_score_)

# %%
# And back: weights have the same shapes and the same meaning.
theirs.coefs_ = [weight.astype(float) for weight in ours.coefs_]
theirs.intercepts_ = [bias.astype(float) for bias in ours.intercepts_]
print((theirs.predict(X_test) == ours.predict(X_test)).all())
