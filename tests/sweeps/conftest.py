import numpy as np
import pytest

import xbnet


def make_data(n=120, n_val=40, n_inputs=3, n_classes=3, seed=0):
    """A small classification with a validation part; class c is around c in every input."""
    rng = np.random.default_rng(seed)
    parts = []
    for size in (n, n_val):
        y = np.arange(size) % n_classes
        parts.append(xbnet.Part((rng.normal(size=(size, n_inputs)) + y[:, None]).astype("float32"), y))
    return xbnet.Dataset("small", *parts)


@pytest.fixture(scope="session")
def data():
    return make_data()


def assert_same_table(a, b):
    """Two results agree in every bit of everything but time."""
    assert len(a) == len(b)
    for one, two in zip(a.rows(), b.rows(), strict=True):
        assert repr({**one, "seconds": 0}) == repr({**two, "seconds": 0})  # NaN equals NaN
    for member in range(len(a)):
        (o, r), (p, q) = a.place(member), b.place(member)
        np.testing.assert_array_equal(o.theta[r], p.theta[q])
        np.testing.assert_array_equal(o.state[r], p.state[q])
        for name, curve in a.history(member).records[-1].items():
            if name not in ("seconds", "samples_per_second"):
                np.testing.assert_array_equal(curve, b.history(member).records[-1][name])
