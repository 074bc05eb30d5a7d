import gc
import tracemalloc

import numpy as np
import pytest

import xbnet
from xbnet.optim.tiles import BLOCK
from xbnet.parsing import human_bytes, parse_bytes
from xbnet.sweeps.build import Program, make_trainer, settings_for
from xbnet.sweeps.footprint import WORKING_SET, footprint
from xbnet.sweeps.plan import make_members, make_plan
from xbnet.sweeps.pool import make_pool
from xbnet.sweeps.space import complete, configurations

from .conftest import make_data


def planned(data, space, *, workers=2, budget=10**9, seeds=(0,), folds=None, **fixed):
    pool = make_pool(data, folds)
    rows = configurations(space, None, np.random.default_rng(0))
    rows = [settings_for(complete(row, fixed, None), pool) for row in rows]
    program = Program(pool)
    members = make_members(rows, seeds, None if pool.folds is None else len(pool.folds))
    costs = {id(m): footprint(make_trainer(program, [m])) for m in members}
    return make_plan(members, pool, workers=workers, budget=budget, footprint=lambda m: costs[id(m)]), members, costs


def test_members_are_configurations_times_seeds_times_folds(data):
    _, members, _ = planned(data, {"lr": [0.1, 0.2]}, seeds=(3, 5), folds=2)
    assert [(m.configuration, m.weight_seed, m.fold) for m in members] == [
        (c, seed, fold) for c in range(2) for seed in (3, 5) for fold in range(2)
    ]
    assert [m.index for m in members] == list(range(8))


def test_what_changes_shapes_or_the_program_sorts_into_buckets(data):
    shapes = {"hidden": [3, (3, 3)], "batch_size": [8, 16], "activation": ["tanh", "relu"]}
    plan, members, _ = planned(data, {"lr": [0.1, 0.2], "l2": [0, 1]} | shapes)
    assert plan.buckets == 8
    for chunk in plan.chunks:
        keys = [(m.settings["hidden"], m.settings["batch_size"], m.settings["activation"]) for m in chunk.members]
        assert len(set(keys)) == 1
    assert sorted(i for chunk in plan.chunks for i in chunk.indices) == list(range(len(members)))


def test_clipping_and_not_clipping_are_two_buckets(data):
    plan, _, _ = planned(data, {"clip_norm": [None, 1.0, 2.0]}, workers=1)
    assert sorted(len(chunk.members) for chunk in plan.chunks) == [1, 2]


def test_folds_of_different_sizes_are_different_buckets():
    plan, _, _ = planned(make_data(101), {"lr": [0.1]}, folds=4, workers=1)
    assert sorted(len(chunk.members) for chunk in plan.chunks) == [1, 3]


def test_one_bucket_is_shared_out_over_the_workers(data):
    plan, _, _ = planned(data, {"lr": [0.1] * 10}, workers=3)
    assert [len(chunk.members) for chunk in plan.chunks] in ([4, 3, 3], [3, 4, 3], [3, 3, 4])
    assert "10 networks in 1 bucket of equal shape, 3 chunks of 3 to 4; about" in str(plan)


def test_memory_cuts_chunks_and_one_network_must_fit(data):
    free, _, costs = planned(data, {"lr": [0.1] * 12}, workers=1)
    each = next(iter(costs.values()))
    tight, _, _ = planned(data, {"lr": [0.1] * 12}, workers=1, budget=5 * each.per_network + each.order)
    assert (len(free.chunks), len(tight.chunks)) == (1, 3)
    assert tight.bytes <= tight.budget
    line = r"^sweep: expected memory for at least one network \(.* kB with 2 at once\), got 9 kB; raise memory"
    with pytest.raises(xbnet.ConfigError, match=line):
        planned(data, {"lr": [0.1] * 12}, workers=2, budget=9_000)


def test_a_stack_ends_where_the_caches_end(data):
    plan, _, costs = planned(data, {"lr": [0.1] * 4}, workers=1, hidden=(600, 600))
    assert next(iter(costs.values())).best_stack == 1
    assert len(plan.chunks) == 4
    assert WORKING_SET < 600 * 600 * 4 * 3


@pytest.fixture
def no_collection():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("leaving", [False, True])
@pytest.mark.parametrize(
    ("hidden", "optimizer", "R"),
    [((10, 7), "adam", 40), ((64, 64), "sgd", 40), ((8,), "momentum", 40), ((256, 256), "adam", 8)],
)
def test_the_estimate_is_what_a_stack_takes(hidden, optimizer, R, leaving, no_collection):
    """And what a stack no longer needs is free at once, not when Python looks for cycles."""
    pool = make_pool(make_data(256, 64))
    fixed = {"hidden": hidden, "optimizer": optimizer, "epochs": 2}
    beyond = []
    for replicas in (R, 2 * R):
        rates = [1e38 if leaving and r == 5 else 0.01 + 0.5 * r / replicas for r in range(replicas)]
        rows = [
            settings_for(complete({"lr": lr, "order_seed": r % 3, "l2": 1e-4}, fixed, None), pool)
            for r, lr in enumerate(rates)
        ]
        program, members = Program(pool), make_members(rows, [0], None)
        cost = footprint(make_trainer(program, members[:1]))
        tracemalloc.start()
        trainer = make_trainer(program, members)
        while not trainer.done:
            trainer.run_epoch()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert ("diverged" in trainer.history.status) == leaving
        block = min(BLOCK, replicas * trainer.network.n_parameters)
        block *= trainer.network.dtype.itemsize  # of the optimizer: one per stack, however large it is
        beyond.append(peak - block - 3 * cost.order)
    each = (beyond[1] - beyond[0]) / R
    once = beyond[0] - each * R
    assert 0.85 < each / cost.per_network < 1.08
    assert once < 1_000_000  # recorded calls, and constants


@pytest.mark.parametrize(("optimizer", "schedule"), [("adam", "constant"), ("adamw", "cosine"), ("sgd", "cosine")])
def test_the_estimate_knows_what_many_steps_take(optimizer, schedule):
    pool, R = make_pool(make_data(3200, 64)), 80
    fixed = {"optimizer": optimizer, "schedule": schedule, "epochs": 2, "batch_size": 16}
    rows = [settings_for(complete({"lr": 0.001 * (1 + r)}, fixed, None), pool) for r in range(R)]
    program, members = Program(pool), make_members(rows, [0], None)
    cost = footprint(make_trainer(program, members[:1]))
    tracemalloc.start()
    trainer = make_trainer(program, members)
    while not trainer.done:
        trainer.run_epoch()
    peak = tracemalloc.get_traced_memory()[1] - trainer.train.x.nbytes - trainer.train.y.nbytes
    tracemalloc.stop()
    assert trainer.batches.steps == 200
    assert 0.6 < peak / (cost.per_network * R + cost.order) < 1.2


def test_a_stack_that_gets_smaller_takes_no_more_memory():
    """Neither while its networks leave nor afterwards, where activations count as much as theta."""
    pool, peaks = make_pool(make_data(256, 64)), []
    for worst in (0.1, 1e38):
        rows = [settings_for(complete({"lr": lr, "hidden": (64, 64)}, {}, None), pool) for lr in [worst, *[0.1] * 31]]
        tracemalloc.start()
        trainer = make_trainer(Program(pool), make_members(rows, [0], None))
        for _ in range(3):
            trainer.run_epoch()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.05 * peaks[0]


def test_bytes_in_and_out():
    assert human_bytes(1_500_000) == "1.5 MB"
    assert human_bytes(12) == "12 B"
    assert parse_bytes("x", "500 MB") == 500_000_000
    assert parse_bytes("x", "1.5GB") == 1_500_000_000
    assert parse_bytes("x", 1e6) == 1_000_000
    sizes = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "B": 1}
    for unit, size in sizes.items():
        for text in (f"3{unit}", f"3 {unit.upper()}", f" 3.0 {unit.lower()} "):
            assert parse_bytes("x", text) == 3 * size
    for wrong in ("0", "-1 MB", "MB", "nan", "3 M", "1 bk", "1 MB 2"):
        line = (
            "x: expected bytes, a number or text like '500 MB' or '2 GiB' "
            f"(B, kB, MB, GB, TB; KiB, MiB, GiB, TiB), got {wrong!r}"
        )
        with pytest.raises(xbnet.ConfigError) as caught:
            parse_bytes("x", wrong)
        assert str(caught.value) == line
