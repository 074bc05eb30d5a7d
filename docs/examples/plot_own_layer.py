"""
A layer of your own, with a mistake that a test finds
=====================================================

A layer is a class with `forward` and `backward`. A test proves whether
`backward` is the derivative of `forward`.
"""
# sphinx_gallery_thumbnail_path = "_static/door-wrong.png"

import numpy as np

import xbnet
from xbnet.nn.initializers import ones

# %%
# A gain per feature, with a mistake: the gradient of the gain forgets to multiply by the input.


class Gains(xbnet.Layer):
    """y = gain * x."""

    def parameters(self):
        return (xbnet.ParameterSpec("gain", (1, self.n_inputs), ones),)

    def buffers(self):
        return {"y": (xbnet.BATCH, self.n_inputs)}

    def forward(self, x, training):
        self.x = x
        return self.xp.multiply(x, self.gain, out=self.y)

    def backward(self, dy, dx):
        self.ops.batch_sum(dy, self.dgain)  # the mistake
        if dx is not None:
            self.xp.multiply(dy, self.gain, out=dx)


x = np.random.default_rng(0).normal(size=(6, 3)) + 1
result = xbnet.jacobian_test(Gains(), x)
print(result)

# %%
# The block `Gains.gain` is wrong, and the input's gradient is right, so the mistake is in one line. The picture shows
# it: without the right slope, the remainder (red) falls no faster than the difference itself (blue).
result.plot()

# %%
# The mended layer passes, and may be used wherever a built-in one is.


class MendedGains(Gains):
    """y = gain * x."""

    def scratch(self):
        return {"work": (xbnet.BATCH, self.n_inputs)}

    def backward(self, dy, dx):
        self.xp.multiply(dy, self.x, out=self.work)
        self.ops.batch_sum(self.work, self.dgain)
        if dx is not None:
            self.xp.multiply(dy, self.gain, out=dx)


xbnet.jacobian_test(MendedGains(), x).raise_if_failed()
data = xbnet.load_dataset("swissroll")
network = xbnet.Network([MendedGains(), xbnet.Linear(10, "tanh"), xbnet.Linear(2)], n_inputs=2, rng=0)
xbnet.fit(network, "cross_entropy", xbnet.Adam(lr=0.01), data, epochs=3, rng=0)
