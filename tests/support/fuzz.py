"""Mutations of checkpoint files: damage, and attacks that keep the checksum right.

``python -m tests.support.fuzz 10000`` runs that many and prints how they ended.
"""

import collections
import json
import struct
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np

import xbnet
from xbnet.errors import XbnetError
from xbnet.io.tensorfile import checksum, read_tensors, write_tensors
from xbnet.training.checkpoints import describe_settings, resume_from
from xbnet.training.trainer import Trainer

NUMBERS = [0, -1, 1, 2, 3, 7, 10**6, 2**31, 2**63, 10**12, 10**400, 0.5, -0.0, 1e308, True, None]
VALUES = [*NUMBERS, "", "x", "../../etc/passwd", "relu", "Linear", "float64", "int8", [], {}, [[]], "\x00", "é" * 300]
LARGEST = 64 * 2**20
"""No mutant may make the reader allocate more: the files have a few kilobytes."""


def small_network():
    layers = [xbnet.Linear(4, "relu"), xbnet.BatchNorm(), xbnet.Dropout([0.1, 0.2]), xbnet.Residual(begin="tanh")]
    return xbnet.Network([*layers, xbnet.LayerNorm(), xbnet.Linear(3)], 3, replicas=2, rng=0)


def table_networks():
    """The layers for tables, and members that share weights."""
    embedded = [
        xbnet.PiecewiseLinearEmbedding([[-1, 0, 1], [0, 0.5], [-2, 2]], 2),
        xbnet.Parametric("mish"),
        xbnet.Linear(3),
    ]
    coded = [xbnet.Embedding([3, 2, 4], 2), xbnet.Scale(), xbnet.PReLU(), xbnet.Linear(3)]
    periodic = [xbnet.PeriodicEmbedding(3, n_frequencies=2, activation="tanh"), xbnet.Linear(3)]
    for layers in (embedded, coded, periodic, xbnet.sharing_mlp([4, 3], 3, "selu", members=2)):
        yield xbnet.Network(layers, 3, rng=0)


def scalers():
    """One of each kind."""
    x = np.random.default_rng(0).normal(size=(400, 3))
    return [xbnet.datasets.Scaler.fit(x, scaling) for scaling in xbnet.datasets.scaler.SCALINGS]


def trainer_of(network):
    from xbnet.nn.losses import get_loss
    from xbnet.optim.optimizers import get_optimizer
    from xbnet.training.recipe import Recipe
    from xbnet.training.samples import Samples, check_data

    rng = np.random.default_rng(0)
    data = check_data((rng.normal(size=(30, 3)).astype(np.float32), np.arange(30) % 3))
    return Trainer(
        network,
        get_loss("cross_entropy"),
        get_optimizer("adam"),
        Samples.of(data),
        Recipe(epochs=9, batch_size=10, schedule="plateau", patience=5),
        rng=1,
    )


def write_samples(folder):
    """Models with all their parts, and a state of a run before each of them."""
    trainer = trainer_of(small_network())
    settings = describe_settings(trainer)
    trainer.run_epoch()
    quantile, *others = scalers()[::-1]
    state = folder / "state.safetensors"
    tensors, description = trainer.state().pack()
    write_tensors(state, "training state", tensors, {"settings": settings, **description})
    paths = []
    networks = [trainer.network, *table_networks()]
    for k, (network, preparation) in enumerate(zip(networks, [quantile, quantile, *others], strict=True)):
        paths += [state, folder / f"model{k}.safetensors"]
        about = {"history": trainer.history} if network is trainer.network else {}
        xbnet.save(network, paths[-1], classes=["a", "b", "c"], preparation=preparation, **about)
    return paths


def damaged(rng, raw):
    """Bytes flipped, cut off, doubled, zeroed or replaced."""
    raw = bytearray(raw)
    i, n = int(rng.integers(len(raw))), int(rng.integers(1, 200))
    kind = rng.integers(6)
    if kind == 0:
        for j in rng.integers(len(raw), size=rng.integers(1, 8)):
            raw[j] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        del raw[i:]
    elif kind == 2:
        raw[i:i] = raw[i : i + n]
    elif kind == 3:
        raw[i : i + n] = bytes(len(raw[i : i + n]))
    elif kind == 4:
        raw[:8] = struct.pack("<Q", int(rng.choice([0, 1, 2**20, 2**40, 2**63, len(raw), len(raw) - 8])))
    else:
        raw[i : i + n] = rng.bytes(n)
    return bytes(raw)


def changed(rng, value):
    """A JSON value with one place changed, removed, added or exchanged; nearly all of it stays valid."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = str(rng.choice(list(value)))
        kind = rng.random()
        if kind < 0.04:
            return {k: v for k, v in value.items() if k != key}
        if kind < 0.06:
            return {**value, str(rng.choice(["extra", "", "__class__"])): VALUES[rng.integers(len(VALUES))]}
        return {**value, key: changed(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.9:
        i = int(rng.integers(len(value)))
        kind = rng.random()
        if kind < 0.04:
            return value[:i] + value[i + 1 :]
        if kind < 0.08:
            return value + value[i:]
        return [*value[:i], changed(rng, value[i]), *value[i + 1 :]]
    if isinstance(value, int) and rng.random() < 0.3:
        return value + int(rng.integers(-2, 3))
    return VALUES[rng.integers(len(VALUES))]


def attacked(rng, path, raw):
    """The sound file `path`, of content `raw`, whose header or description says something else, with the right checksum."""
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + size])
    text = header["__metadata__"]["xbnet"]
    if rng.random() < 0.15:  # the header of safetensors itself: types, shapes and offsets
        header = changed(rng, header)
    else:
        try:
            text = json.dumps(changed(rng, json.loads(text)))
        except (TypeError, ValueError):
            return damaged(rng, raw)
        if rng.random() < 0.02:
            text = "[" * 100_000
        arrays = dict(read_tensors(path, json.loads(header["__metadata__"]["xbnet"])["kind"]).arrays)
        header["__metadata__"] = {"xbnet": text, "crc32": checksum(text, arrays)}
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + raw[8 + size :]


def run(n, seed=0):
    """Count how n mutants end; raise where one does not end as it should."""
    with np.errstate(all="ignore"):  # a mutant may hold any number that is one
        return _run(n, np.random.default_rng(seed))


def _run(n, rng):
    ends = collections.Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_samples(folder)
        samples = [(path, path.read_bytes()) for path in paths]
        network = small_network()
        trainer = trainer_of(network)
        settings = describe_settings(trainer)
        theta, streams = network.theta.copy(), str([g.bit_generator.state for g in network.streams])
        tracemalloc.start()
        for i in range(n):
            path, raw = samples[i % len(samples)]
            mutant = folder / "mutant.safetensors"
            mutant.write_bytes(damaged(rng, raw) if rng.random() < 0.4 else attacked(rng, path, raw))
            tracemalloc.reset_peak()
            try:
                if path.name.startswith("model"):
                    xbnet.load_model(mutant).network.predict_proba(np.zeros((2, 3)))
                else:
                    resume_from(trainer, read_tensors(mutant, "training state"), settings)
                ends["loaded"] += 1
                network = small_network()  # a state that was right has been taken over: begin anew
                trainer = trainer_of(network)
            except XbnetError as error:
                line = str(error)
                if "\n" in line or len(line) > 300 or not line.isprintable():
                    raise AssertionError(f"mutant {i}: expected one line: {line}") from error
                ends[type(error).__name__] += 1
                if not path.name.startswith("model"):
                    assert (network.theta == theta).all(), f"mutant {i} was refused, but changed the weights"
                    now = str([g.bit_generator.state for g in network.streams])
                    assert now == streams, f"mutant {i} was refused, but changed a stream"
                    assert not trainer.history.records, f"mutant {i} was refused, but changed the history"
            except Exception as error:
                raise AssertionError(f"mutant {i} raised {type(error).__name__}: {error}") from error
            peak = tracemalloc.get_traced_memory()[1]
            assert peak < LARGEST, f"mutant {i} made the reader take {peak:,} bytes"
        tracemalloc.stop()
        assert len(list(folder.iterdir())) == len(set(paths)) + 1
    return dict(ends)


if __name__ == "__main__":
    started = time.perf_counter()
    print(run(int(sys.argv[1])), f"{time.perf_counter() - started:.0f} s")
