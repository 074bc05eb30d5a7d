"""What a user's type checker sees of the package: mypy reads this file, nobody runs it.

A type that is another one, and a mistake that is none any more (a ``type: ignore`` that nothing needs), are errors.
"""

from typing import assert_type

import numpy as np

import xbnet

data = xbnet.load_dataset("gmm")
network = xbnet.Network(xbnet.mlp([10], 5), data.n_inputs, rng=0)
schedule = xbnet.optim.schedules.Cosine()
history = xbnet.fit(network, "cross_entropy", xbnet.Adam(0.1), data, epochs=2, schedule=schedule)
assert_type(history, xbnet.History)
labels: np.ndarray = network.predict(np.zeros((2, 5)))
assert_type(xbnet.XBClassifier((5,)), xbnet.XBClassifier)
assert_type(xbnet.Recipe().epochs, int)

xbnet.fit(network, "cross_entropy", "sgd", data, epochs="2")  # type: ignore[arg-type]
xbnet.fit(network, "cross_entropy", "sgd", data, epoch=2)  # type: ignore[call-arg]
xbnet.Network(5, 2)  # type: ignore[arg-type]
xbnet.mlp(["10"], 5)  # type: ignore[list-item]
xbnet.wobble()  # type: ignore[attr-defined]
