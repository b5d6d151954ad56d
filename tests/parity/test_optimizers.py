"""Do optimizers, clipping and Plateau give PyTorch's numbers? Random options and gradients, 20 steps, float64 to 1e-10."""

import numpy as np
import pytest
from comparing import examples, same
from drawing import numbers, seeds
from hypothesis import assume, given
from hypothesis import strategies as st

from nnkit import RowGrad, Tensor, optim

torch = pytest.importorskip("torch")

STEPS = 20
SHAPES = [(3, 2), (4,), (), (2, 1, 3)]
kinds = {name: c for name, c in vars(optim).items() if isinstance(c, type) and issubclass(c, optim.Optimizer)}
del kinds["Optimizer"]

rates = st.floats(1e-4, 0.5)
decays = st.sampled_from([0.0, 1e-2, 0.3])
momenta = st.one_of(st.just(0.0), st.floats(0.1, 0.99))
averages = st.floats(0.0, 0.999)
epsilons = st.sampled_from([1e-10, 1e-8, 1e-3])  # 0 / 0 where a gradient is 0
adam = {"lr": rates, "betas": st.tuples(averages, averages), "eps": epsilons, "weight_decay": decays, "amsgrad": st.booleans()}

TABLE = {
    "SGD": (torch.optim.SGD, st.one_of(
        st.fixed_dictionaries({"lr": rates}, optional={"momentum": momenta, "weight_decay": decays}),
        st.fixed_dictionaries({"lr": rates, "momentum": st.floats(0.1, 0.99), "nesterov": st.just(True)},
                              optional={"weight_decay": decays}))),
    "Adagrad": (torch.optim.Adagrad, st.fixed_dictionaries({}, optional={
        "lr": rates, "lr_decay": st.floats(0, 1), "weight_decay": decays, "initial_accumulator_value": st.floats(0, 1),
        "eps": epsilons})),
    "Adam": (torch.optim.Adam, st.fixed_dictionaries({}, optional=adam)),
    "AdamW": (torch.optim.AdamW, st.fixed_dictionaries({}, optional=adam)),
    "RMSProp": (torch.optim.RMSprop, st.fixed_dictionaries({}, optional={
        "lr": rates, "alpha": st.floats(0.3, 0.999), "eps": epsilons, "weight_decay": decays, "momentum": momenta,
        "centered": st.booleans()}))}  # with alpha near 0, centered divides by a variance of 0 and its rounding


def test_every_optimizer_is_in_the_table():
    assert set(TABLE) == set(kinds)


def pairs(draw):
    """Parameters of the same numbers for nnkit and for PyTorch."""
    starts = [numbers(draw, shape, "normal") for shape in SHAPES]
    return [Tensor(x.copy()) for x in starts], [torch.tensor(x, requires_grad=True) for x in starts]


def set_gradients(rng, ours, theirs):
    """New ones, of all sizes; now and then a parameter has none."""
    for p, t in zip(ours, theirs):
        if rng.random() < 0.1:
            p.grad = t.grad = None
            continue
        p.grad = np.asarray(rng.standard_normal(p.shape) * 10 ** rng.uniform(-3, 2))
        t.grad = torch.tensor(p.grad)


@pytest.mark.parametrize("name", TABLE)
@examples
@given(st.data())
def test_twenty_steps(name, data):
    draw = data.draw
    ours, theirs = pairs(draw)
    options = draw(TABLE[name][1])
    one, other = kinds[name](ours, **options), TABLE[name][0](theirs, **options)
    rng = np.random.default_rng(draw(seeds))
    for _ in range(STEPS):
        set_gradients(rng, ours, theirs)
        one.step()
        other.step()
        for p, t in zip(ours, theirs):
            same(p.value, t, "steps of optimizers")


@pytest.mark.parametrize("name", TABLE)
@examples
@given(st.data())
def test_twenty_steps_of_groups_under_a_schedule(name, data):
    draw = data.draw
    ours, theirs = pairs(draw)
    base, own = draw(TABLE[name][1]), draw(TABLE[name][1])
    assume(not {**base, **own}.get("nesterov") or own.get("momentum") != 0)  # which we refuse, of a group as well
    base["lr"], own["lr"] = draw(rates), draw(rates)
    one = kinds[name]([{"params": ours[:2], **own}, {"params": ours[2:]}], **base)
    other = TABLE[name][0]([{"params": theirs[:2], **own}, {"params": theirs[2:]}], **base)
    end = draw(st.floats(0, 1))
    schedule = torch.optim.lr_scheduler.LinearLR(other, 1.0, end, total_iters=STEPS)  # a factor to each group's own lr
    rng = np.random.default_rng(draw(seeds))
    if name == "Adagrad":  # PyTorch begins all groups alike
        for state in one.state[0]:
            state["total"][...] = base.get("initial_accumulator_value", 0.0)
    for step in range(STEPS):
        one.lr = optim.schedules.linear(base["lr"], base["lr"] * end)(step / STEPS)
        set_gradients(rng, ours, theirs)
        one.step()
        other.step()
        schedule.step()
        for p, t in zip(ours, theirs):
            same(p.value, t, "steps of optimizers")


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # that PyTorch makes inside of its Adagrad
@pytest.mark.parametrize("name, options", [("SGD", {"lr": 0.1}), ("Adagrad", {})])
@examples
@given(st.data())
def test_rows_of_a_table_are_pytorchs_sparse_gradients(name, options, data):
    start = numbers(data.draw, (6, 3), "normal")
    ours, theirs = Tensor(start.copy()), torch.tensor(start, requires_grad=True)
    one, other = kinds[name]([ours], **options), TABLE[name][0]([theirs], **options)
    rng = np.random.default_rng(data.draw(seeds))
    for _ in range(STEPS):
        rows, values = rng.integers(0, 6, 4), rng.standard_normal((4, 3))
        ours.grad = RowGrad(rows, values, (6, 3))
        theirs.grad = torch.sparse_coo_tensor(torch.tensor(rows[None]), torch.tensor(values), (6, 3), check_invariants=True)
        one.step()
        other.step()
        same(ours.value, theirs, "steps of optimizers")


@examples
@given(st.data())
def test_clipping(data):
    ours, theirs = pairs(data.draw)
    limit = data.draw(st.floats(1e-3, 1e3))
    set_gradients(np.random.default_rng(data.draw(seeds)), ours, theirs)
    norm = optim.clip_grad_norm(ours, limit)
    same(np.float64(norm), torch.nn.utils.clip_grad_norm_(theirs, limit), "norms")
    for p, t in zip(ours, theirs):
        if p.grad is not None:
            same(p.grad, t.grad, "clipped gradients")
    optim.clip_grad_value(ours, limit / 10)
    torch.nn.utils.clip_grad_value_(theirs, limit / 10)
    for p, t in zip(ours, theirs):
        if p.grad is not None:
            same(p.grad, t.grad, "clipped gradients")


@examples
@given(st.lists(st.floats(0, 10, width=16), max_size=40), st.sampled_from(["min", "max"]), st.floats(0.1, 0.9),
       st.integers(0, 4), st.sampled_from([0.0, 1e-4, 0.1]), st.sampled_from([0.0, 0.01]))
def test_plateau(measured, mode, factor, patience, threshold, end):
    other = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(other, mode, factor, patience, threshold, min_lr=end, eps=0)
    ours = optim.schedules.Plateau(0.1, factor, patience, threshold, end, mode)
    for x in measured:
        theirs.step(x)
        ours.observe(x)
        assert ours(0.5) == pytest.approx(other.param_groups[0]["lr"], rel=1e-12)
