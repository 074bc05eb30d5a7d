import tracemalloc

import numpy as np
import pytest

import xbnet
from xbnet.settings import human_bytes, parse_bytes
from xbnet.sweep.build import Program, make_trainer, settings_for
from xbnet.sweep.footprint import WORKING_SET, footprint
from xbnet.sweep.plan import make_members, make_plan
from xbnet.sweep.pool import make_pool
from xbnet.sweep.space import complete, configurations

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
    space = {
        "lr": [0.1, 0.2],
        "l2": [0, 1],
        "hidden": [3, (3, 3)],
        "batch_size": [8, 16],
        "activation": ["tanh", "relu"],
    }
    plan, members, _ = planned(data, space)
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
    with pytest.raises(
        xbnet.ConfigError,
        match=r"^sweep: expected memory for at least one network \(.* kB with 2 at once\), got 9 kB; ",
    ):
        planned(data, {"lr": [0.1] * 12}, workers=2, budget=9_000)


def test_a_stack_ends_where_the_caches_end(data):
    plan, _, costs = planned(data, {"lr": [0.1] * 4}, workers=1, hidden=(600, 600))
    assert next(iter(costs.values())).best_stack == 1
    assert len(plan.chunks) == 4
    assert WORKING_SET < 600 * 600 * 4 * 3


@pytest.mark.parametrize(("hidden", "optimizer"), [((10, 7), "adam"), ((64, 64), "sgd"), ((8,), "momentum")])
def test_the_estimate_is_what_a_stack_takes(hidden, optimizer):
    data, R = make_data(256, 64), 60
    pool = make_pool(data)
    fixed = {"hidden": hidden, "optimizer": optimizer, "epochs": 3, "patience": 1}
    rows = [settings_for(complete({"lr": 0.01 * (1 + r), "order_seed": r % 3}, fixed, None), pool) for r in range(R)]
    program, members = Program(pool), make_members(rows, [0], None)
    cost = footprint(make_trainer(program, members[:1]))
    tracemalloc.start()
    trainer = make_trainer(program, members)
    while not trainer.done:
        trainer.run_epoch()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.85 < peak / (cost.per_network * R + 3 * cost.order) < 1.1


def test_bytes_in_and_out():
    assert human_bytes(1_500_000) == "1.5 MB"
    assert human_bytes(12) == "12 B"
    assert parse_bytes("x", "500 MB") == 500_000_000
    assert parse_bytes("x", "1.5GB") == 1_500_000_000
    assert parse_bytes("x", 1e6) == 1_000_000
    for wrong in ("0", "-1 MB", "MB", "nan"):
        with pytest.raises(xbnet.ConfigError, match="^x: expected bytes, a number or text like '500 MB', got "):
            parse_bytes("x", wrong)
