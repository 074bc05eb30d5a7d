"""Every public class and every entry of a table has a row in `cases`."""

import pytest

import xbnet
from tests.support import cases
from xbnet.nn import activations, initializers, layers, losses
from xbnet.optim import optimizers, schedules


def subclasses(base):
    """The public classes derived from one."""
    public = [thing for name in xbnet.__all__ if isinstance(thing := getattr(xbnet, name), type)]
    return {cls for cls in public if issubclass(cls, base) and cls is not base}


def heads(rows, separator):
    return {name.partition(separator)[0] for name in rows}


@pytest.mark.parametrize(
    ("rows", "table"),
    [
        (cases.OPTIMIZERS, optimizers.OPTIMIZERS),
        (cases.SCHEDULES, schedules.SCHEDULES),
        (heads(cases.INITIALIZERS, ":"), initializers.INITIALIZERS | initializers.WITH_NUMBER),
        (heads(cases.LOSSES, "-"), losses.LOSSES),
    ],
    ids=["optimizers", "schedules", "initializers", "losses"],
)
def test_rows_and_table_have_the_same_names(rows, table):
    assert set(rows) == set(table)


def test_rows_hold_every_public_class():
    made = [layer for row in cases.LAYERS.values() for layer in row()]
    made.append(xbnet.MemberOutputs(3, members=2))  # has its tests with its layer, for it can only be the last
    assert {type(layer) for layer in made} == subclasses(xbnet.Layer) == set(layers.LAYERS.values())
    assert {type(row()) for row in cases.OPTIMIZERS.values()} == subclasses(xbnet.Optimizer)
    assert {type(row()[0]) for row in cases.LOSSES.values()} == subclasses(xbnet.Loss)
    assert {type(row()[0]) for row in cases.SCHEDULES.values()} == set(schedules.SCHEDULES.values())


def test_every_built_in_part_is_replayed():
    """A forgotten word would cost all of the speed, and nothing else would show it."""
    for table in (layers.LAYERS, losses.LOSSES, optimizers.OPTIMIZERS, activations.ACTIVATIONS):
        assert {name for name, part in table.items() if not part.replayable} == set(), (
            "say replayable = True in its body"
        )


def test_rows_hold_every_activation():
    assert {f"linear-{name}" for name in activations.ACTIVATIONS} <= set(cases.LAYERS)


def test_rows_hold_every_task_of_a_loss():
    seen = {(type(loss), task) for loss, task in (row() for row in cases.LOSSES.values())}
    assert seen == {(loss, task) for loss in losses.LOSSES.values() for task in loss.links}


def test_optimizer_rows_leave_no_hyper_parameter_at_its_default():
    for name, row in cases.OPTIMIZERS.items():
        default = optimizers.OPTIMIZERS[name]().hyper
        assert all(row().hyper[key] != value for key, value in default.items()), name
