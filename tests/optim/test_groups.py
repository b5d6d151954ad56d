"""Groups with hyper-parameters of their own, and what setting a hyper-parameter means for them."""

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit import Tensor, optim
from nnkit.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSProp, schedules

EVERY = [c for c in vars(optim).values() if inspect.isclass(c) and issubclass(c, Optimizer) and c is not Optimizer]
each_kind = pytest.mark.parametrize("kind", EVERY)
rates = st.floats(1e-6, 10)


def ones(n=1):
    return Tensor(np.ones(n))


def learning_rates(optimizer):
    return [group["lr"] for group in optimizer.groups]


@each_kind
def test_each_group_takes_the_steps_of_an_optimizer_of_its_own(kind):
    rng = np.random.default_rng(0)
    options = [{"lr": 0.1, "weight_decay": 0.1}, {"lr": 0.2}, {"lr": 0.05, "weight_decay": 0.5}]
    together, alone = [ones(3) for _ in options], [ones(3) for _ in options]
    one = kind([{"params": [p], **own} for p, own in zip(together, options)], lr=0.7)
    others = [kind([p], **own) for p, own in zip(alone, options)]
    for grads in rng.standard_normal((5, 3, 3)):
        for p, q, grad in zip(together, alone, grads):
            p.grad = q.grad = grad
        for optimizer in (one, *others):
            optimizer.step()
    for p, q in zip(together, alone):
        np.testing.assert_array_equal(p.value, q.value)


def test_the_state_of_each_group_begins_with_its_own_hyper_parameters():
    optimizer = Adagrad([{"params": ones(), "initial_accumulator_value": 2.0}, {"params": ones()}])
    assert [states[0]["total"] for states in optimizer.state] == [2.0, 0.0]


@given(rates, rates)
def test_the_lr_of_one_group_is_read_and_set_as_it_is(lr, later):
    for optimizer in (SGD([ones()], lr=lr), SGD([{"params": ones(), "lr": lr}], lr=3.0)):
        assert optimizer.lr == lr
        optimizer.lr = later
        assert optimizer.lr == later and learning_rates(optimizer) == [later]


@given(rates, rates, rates, st.booleans())
def test_an_lr_of_its_own_keeps_its_ratio_and_0_stays_0(lr, own, later, first):
    groups = [{"params": ones()}, {"params": ones(), "lr": own}, {"params": ones(), "lr": 0.0}]
    optimizer = SGD(groups if first else groups[::-1], lr=lr)
    for value in (0.0, later, lr):  # through 0 and back
        optimizer.lr = value
        found = learning_rates(optimizer) if first else learning_rates(optimizer)[::-1]
        assert optimizer.lr == value and found == [value, pytest.approx(value * own / lr), 0.0]


def test_where_all_have_their_own_lr_the_first_that_moves_is_the_optimizers():
    optimizer = Adam([{"params": ones(), "lr": 0.0}, {"params": ones(), "lr": 0.1}, {"params": ones(), "lr": 0.2}])
    assert optimizer.lr == 0.1
    optimizer.lr *= 0.5
    assert learning_rates(optimizer) == [0.0, 0.05, 0.1]
    frozen = SGD([{"params": ones(), "lr": 0.0}, {"params": ones(), "lr": 0.0}], lr=1)
    frozen.lr = 0.5
    assert learning_rates(frozen) == [0.5, 0.0]


def test_a_frozen_group_moves_once_it_is_given_an_lr():
    frozen, moving = ones(), ones()
    optimizer = SGD([{"params": frozen, "lr": 0.0}, {"params": moving}], lr=0.5)
    schedule = schedules.linear(0.5, 0.1)
    for progress in (0.0, 0.5):
        optimizer.lr = schedule(progress)
        frozen.grad = moving.grad = np.ones(1)
        optimizer.step()
    assert frozen.value == 1 and moving.value != 1
    optimizer.own[0]["lr"] = 0.25
    optimizer.lr = schedule(1.0)
    assert learning_rates(optimizer) == [0.05, 0.1]


def test_a_ratio_to_0_is_refused():
    optimizer = SGD([{"params": ones(), "lr": 0.1}, {"params": ones()}], lr=0)
    with pytest.raises(ValueError, match=r"SGD: a group's lr=0.1 has no ratio to lr=0; give the optimizer an lr above 0"):
        optimizer.lr = 0.5


def test_any_other_hyper_parameter_of_its_own_stays():
    optimizer = RMSProp([{"params": ones(), "alpha": 0.5}, {"params": ones()}])
    optimizer.set(alpha=0.75, momentum=0.9)
    assert [group["alpha"] for group in optimizer.groups] == [0.5, 0.75]
    assert [group["momentum"] for group in optimizer.groups] == [0.9, 0.9]


def test_what_is_set_is_what_the_next_step_takes():
    p = ones()
    optimizer = SGD([p], lr=0.5)
    p.grad = np.ones(1)
    optimizer.step()
    optimizer.set(lr=0.25, momentum=0.5)
    optimizer.step()
    optimizer.set(momentum=0.75)
    optimizer.step()
    assert p.value == 1 - 0.5 - 0.25 - 0.25 * 1.75


@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_betas_are_two_hyper_parameters(kind):
    optimizer = kind([{"params": ones(), "betas": (0.5, 0.75)}, {"params": ones(), "beta2": 0.25}, {"params": ones()}])
    assert [(group["beta1"], group["beta2"]) for group in optimizer.groups] == [(0.5, 0.75), (0.9, 0.25), (0.9, 0.999)]
    optimizer.set(beta1=0.8)
    assert [group["beta1"] for group in optimizer.groups] == [0.5, 0.8, 0.8]


def test_numbers_of_numpy_become_pythons():
    optimizer = SGD([{"params": ones(), "momentum": np.float32(0.5)}, {"params": ones()}], lr=np.float64(0.1))
    optimizer.set(weight_decay=np.float64(0.25))
    assert {type(value) for group in optimizer.groups for name, value in group.items() if name != "params"} == {float, bool}


SENSELESS = [(SGD, name, -0.1) for name in ("lr", "momentum", "weight_decay")]
SENSELESS += [(Adagrad, name, -0.1) for name in ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")]
SENSELESS += [(kind, name, value) for kind in (Adam, AdamW) for name, value in [
    ("lr", -1), ("eps", -1e-9), ("weight_decay", -1), ("beta1", 1.0), ("beta1", -0.1), ("beta2", 1.5), ("beta2", -0.1)]]
SENSELESS += [(RMSProp, name, value) for name, value in [
    ("lr", -1), ("alpha", 1.0), ("alpha", -0.1), ("eps", -1), ("weight_decay", -1), ("momentum", -1)]]
SENSELESS += [(kind, "lr", value) for kind in EVERY for value in (np.nan, np.inf, None, "fast")]


@pytest.mark.parametrize("kind, name, value", SENSELESS)
def test_senseless_values_are_refused_by_name_in_the_defaults_in_a_group_and_later(kind, name, value):
    text = rf"{kind.__name__}: expected 0 <= {name} < (1|inf), got "
    given = {name: value} if not name.startswith("beta") else {"betas": (value, 0.5) if name == "beta1" else (0.5, value)}
    with pytest.raises(ValueError, match=text):
        kind([ones()], **{"lr": 0.1, **given})
    with pytest.raises(ValueError, match=text):
        kind([{"params": ones(), **given}], lr=0.1)
    optimizer = kind([ones()], lr=0.1)
    with pytest.raises(ValueError, match=text):
        optimizer.set(**{name: value})


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="SGD: unknown beta1; known: lr, momentum, nesterov, weight_decay"):
        SGD([ones()], lr=0.1).set(beta1=0.5)


@each_kind
@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_a_frozen_group_keeps_every_bit_of_its_values_and_its_state(kind, bad):
    frozen, moving = Tensor(np.array([-0.0, 1.0])), ones(2)
    optimizer = kind([{"params": frozen, "lr": 0.0, "weight_decay": 0.5}, {"params": moving}], lr=0.5)
    optimizer.load_state_arrays(optimizer.state_arrays())
    before = frozen.value.tobytes(), {name: a.tobytes() for name, a in optimizer.state_arrays().items() if name.startswith("0.")}
    for value in (0.5, 0.0, 0.25):  # through 0 and back
        optimizer.lr = value
        frozen.grad, moving.grad = np.array([0.0, bad]), np.ones(2)
        optimizer.step()
    after = {name: a.tobytes() for name, a in optimizer.state_arrays().items() if name.startswith("0.")}
    assert (frozen.value.tobytes(), after) == before and (moving.value != 1).all()


@given(rates, rates)
def test_an_empty_group_without_values_of_its_own_carries_the_optimizers(lr, later):
    optimizer = SGD([{"params": ones(), "lr": 0.5, "momentum": 0.25}, {"params": ones(), "lr": 0.0}, {"params": []}], lr=lr)
    assert optimizer.lr == optimizer.get("lr") == lr and optimizer.get("momentum") == 0
    optimizer.set(lr=later, momentum=0.75)
    assert (optimizer.get("lr"), optimizer.get("momentum")) == (later, 0.75)
    assert learning_rates(optimizer) == [pytest.approx(0.5 * later / lr), 0.0, later] and optimizer.groups[0]["momentum"] == 0.25
