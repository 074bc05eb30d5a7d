"""Short training runs on a few samples."""

from tests.support import cases
from xbnet import SGD, Dataset, Part, fit

X, Y = cases.samples(n=20)
TARGETS = cases.samples("regression", 20)


def train(net=None, loss="cross_entropy", optimizer=None, data=(X, Y), **settings):
    net = cases.network() if net is None else net
    return net, fit(net, loss, optimizer or SGD(0.1), data, **{"epochs": 2, "batch_size": 8, **settings})


def with_validation(n=9):
    x, y = cases.samples(n=n, seed=8)
    return Dataset("small", Part(X, Y), val=Part(x, y))
