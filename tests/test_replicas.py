import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.errors import refuses
from xbnet import ConfigError, replica_seeds
from xbnet.replicas import numbers, replica_values, select_values, stream

PURPOSES = ["init", "shuffle", "dropout", "split", "verify"]


def draw(seed, purpose="init"):
    return stream(seed, purpose).random(3).tolist()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**70), st.integers(1, 5), st.integers(1, 5))
def test_a_replica_does_not_see_how_many_there_are(seed, few, more):
    few, more = sorted((few, more))
    assert [draw(s) for s in replica_seeds(seed, few)] == [draw(s) for s in replica_seeds(seed, more)][:few]


def test_replicas_and_purposes_have_streams_of_their_own():
    drawn = [tuple(draw(seed, purpose)) for seed in replica_seeds(0, 3) for purpose in PURPOSES]
    assert len(set(drawn)) == len(drawn)


def test_sources_of_seeds():
    three = replica_seeds(7, 3)
    assert [draw(replica_seeds([seed], 1)[0]) for seed in three] == [draw(seed) for seed in three]
    assert draw(replica_seeds(np.random.SeedSequence(7), 3)[1]) == draw(three[1])
    assert draw(replica_seeds(np.int64(7), 3)[1]) == draw(three[1])
    assert draw(replica_seeds(None, 1)[0]) != draw(replica_seeds(None, 1)[0])
    generator = np.random.default_rng(0)
    assert draw(replica_seeds(generator, 1)[0]) != draw(replica_seeds(generator, 1)[0])
    again = np.random.default_rng(0)
    assert draw(replica_seeds(np.random.default_rng(0), 1)[0]) == draw(replica_seeds(again, 1)[0])


SEEDS = "rng: expected an integer >= 0, a SeedSequence, a Generator or None, got "


@pytest.mark.parametrize("rng", [-1, 1.5, "a", True, {}])
def test_bad_seeds(rng):
    with refuses(ConfigError, f"{SEEDS}{rng!r}"):
        replica_seeds(rng, 1)


def test_wrong_number_of_seeds():
    with refuses(ConfigError, "rng: expected 3 seeds, one per replica, got 2"):
        replica_seeds([1, 2], 3)


def test_values():
    assert replica_values("lr", 2, 3).tolist() == [2, 2, 2]
    assert replica_values("lr", [1, 2, 3], 3).tolist() == [1, 2, 3]
    assert replica_values("lr", np.float32(0.5), 1).dtype == np.float64
    assert select_values(0.5, np.array([1])) == 0.5
    assert select_values([1, 2, 3], np.array([2, 0])).tolist() == [3, 1]


@pytest.mark.parametrize("value", ["fast", [[1.0]], [1, [2]], {}])
def test_no_numbers(value):
    with refuses(ConfigError, f"lr: expected a number or one per replica, got {value!r}"):
        numbers("lr", value)


def test_wrong_number_of_values():
    with refuses(ConfigError, "lr: expected a number or one per replica (R=3), got shape (2,)"):
        replica_values("lr", [1, 2], 3)
