"""Module finds what it is made of, wherever it lies, and hands it out and takes it back by name."""

import copy
import gc

import numpy as np
import pytest

from nnkit import Tensor, losses, nn, no_grad, optim


class Holder(nn.Module):
    """A module with the attributes it is given."""

    def __init__(self, **attributes):
        vars(self).update(attributes)


def names(module):
    return [name for name, _ in module.named_parameters()]


def linear(rng=0):
    return nn.Linear(2, 3, rng=rng)


@pytest.mark.case("autograd", 32)
@pytest.mark.parametrize("layers, expected", [
    (lambda: [linear(), linear()], ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"]),
    (lambda: (linear(), nn.Tanh(), linear()), ["layers.0.weight", "layers.0.bias", "layers.2.weight", "layers.2.bias"]),
    (lambda: {"in": linear(), "out": linear()}, ["layers.in.weight", "layers.in.bias", "layers.out.weight", "layers.out.bias"]),
    (lambda: [{"a": (linear(),)}], ["layers.0.a.0.weight", "layers.0.a.0.bias"]),
    (lambda: [Tensor([1.0]), {"w": Tensor([2.0])}], ["layers.0", "layers.1.w"]),
    (lambda: nn.Sequential(linear(), linear()), ["layers.layers.0.weight", "layers.layers.0.bias", "layers.layers.1.weight",
                                                "layers.layers.1.bias"]),
    (lambda: [], [])])
def test_parameters_are_found_in_lists_tuples_and_dicts(layers, expected):
    assert names(Holder(layers=layers())) == expected


@pytest.mark.case("autograd", 32)
def test_layers_in_a_plain_list_are_trained():
    model = Holder(layers=[linear(), linear()])
    before = [p.value.copy() for p in model.parameters()]
    optimizer = optim.SGD(model.parameters(), lr=1)
    sum((layer(np.ones((1, 2))) * (i + 1)).sum() for i, layer in enumerate(model.layers)).backward()
    optimizer.step()
    assert all((p.value != b).all() for p, b in zip(model.parameters(), before))


def test_names_are_in_the_order_things_were_set():
    assert names(Holder(b=Tensor([1.0]), a=Tensor([1.0]))) == ["b", "a"]


def test_parameters_buffers_and_results_are_told_apart():
    w = Tensor([1.0])
    module = Holder(w=w, frozen=Tensor([1.0], requires_grad=False), ids=Tensor(np.arange(3)), last=w * 2, n=3, text="x",
                    array=np.ones(2))
    assert names(module) == ["w"]
    assert [name for name, _ in module.named_buffers()] == ["frozen", "ids"]
    assert list(module.state_dict()) == ["w", "frozen", "ids"]


def test_a_module_that_contains_itself_is_walked_once():
    parent = Holder(child=linear())
    parent.child.parent = parent
    parent.all = [parent, parent.child]
    assert names(parent) == ["child.weight", "child.bias"] and len(list(parent.modules())) == 2


@pytest.mark.case("autograd", 33)
def test_tied_weights_are_listed_saved_and_updated_once():
    first, second = nn.Linear(3, 3, bias=False, rng=0), nn.Linear(3, 3, bias=False, rng=1)
    second.weight = first.weight
    model = Holder(first=first, second=second)
    assert names(model) == ["first.weight"] == list(model.state_dict())
    before, x = first.weight.value.copy(), np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    second(first(x)).sum().backward()
    one, other = Tensor(before), Tensor(before)
    (Tensor(x, requires_grad=False) @ one @ other).sum().backward()
    optimizer.step()
    np.testing.assert_allclose(first.weight.value, before - 0.1 * (one.grad + other.grad), rtol=1e-5)


@pytest.mark.case("autograd", 33)
def test_tied_weights_are_still_tied_after_loading():
    model = Holder(a=linear(), b=linear(1))
    model.b.weight = model.a.weight
    model.load_state_dict({name: np.full_like(value, 7) for name, value in model.state_dict().items()})
    assert model.a.weight is model.b.weight and (model.b.weight.value == 7).all()


def test_tied_weights_stay_tied_in_a_deep_copy():
    model = Holder(a=linear(), b=linear(1))
    model.b.weight = model.a.weight
    other = copy.deepcopy(model)
    assert other.a.weight is other.b.weight and other.a.weight is not model.a.weight


def test_state_dict_round_trip():
    model, other = (nn.Sequential(linear(rng), nn.ReLU(), nn.Embedding(3, 2, rng=rng)) for rng in (0, 1))
    other.load_state_dict(model.state_dict())
    for (name, a), (other_name, b) in zip(model.named_parameters(), other.named_parameters(), strict=True):
        assert name == other_name and not np.shares_memory(a.value, b.value)
        np.testing.assert_array_equal(a.value, b.value)


def test_loading_keeps_dtype_and_arrays():
    model = linear()
    array = model.weight.value
    model.load_state_dict({"weight": np.ones((2, 3)), "bias": [1, 2, 3]})
    assert model.weight.value is array and array.dtype == np.float32 and (array == 1).all()


@pytest.mark.case("autograd", 46)
def test_every_name_that_does_not_fit_is_listed_and_nothing_is_changed():
    model = nn.Sequential(linear(), linear(1))
    before = {name: value.copy() for name, value in model.state_dict().items()}
    state = {name: value + 1 for name, value in before.items()}
    del state["layers.0.bias"], state["layers.1.bias"]
    state["layers.7.weight"] = np.ones(2)
    state["layers.1.weight"] = np.ones((3, 2))
    with pytest.raises(ValueError) as error:
        model.load_state_dict(state)
    for part in ("Sequential", "missing layers.0.bias", "missing layers.1.bias", "unexpected layers.7.weight",
                 "layers.1.weight has shape (3, 2), the model's (2, 3)"):
        assert part in str(error.value)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_train_and_eval_reach_every_module():
    model = Holder(layers=[nn.Dropout(0.5, rng=0), {"x": nn.Sequential(nn.Dropout(0.5, rng=0))}])
    assert all(m.training for m in model.modules())
    assert model.eval() is model and not any(m.training for m in model.modules())
    assert model.train() is model and all(m.training for m in model.modules())


def test_zero_grad_clears_every_parameter():
    model = linear()
    model(np.ones((1, 2))).sum().backward()
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_generators_are_found_so_that_a_checkpoint_can_keep_them():
    shared = np.random.default_rng(0)
    model = nn.Sequential(nn.Dropout(rng=shared), nn.Dropout(rng=shared), nn.Dropout(rng=1))
    assert [name for name, _ in model.named_generators()] == ["layers.0.rng", "layers.2.rng"]


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="Holder has no forward"):
        Holder()(1)


def test_repr_shows_the_layers():
    assert repr(nn.Sequential(linear(), nn.ReLU())) == "Sequential(Linear(2, 3), ReLU())"
    assert repr(Holder(a=linear(), n=1)) == "Holder(a=Linear(2, 3))"


def test_a_whole_training_lowers_the_loss_of_a_problem_that_a_line_cannot_solve():
    rng = np.random.default_rng(0)
    x = rng.choice([0.0, 1.0], (200, 2)).astype(np.float32)
    y = (x[:, 0] != x[:, 1]).astype(int)
    model = nn.Sequential(nn.Linear(2, 8, rng=rng), nn.Tanh(), nn.Linear(8, 2, rng=rng))
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    for _ in range(200):
        loss = losses.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with no_grad():
        assert (model(x).value.argmax(axis=1) == y).all() and float(loss) < 0.1


def test_asking_for_parameters_leaves_nothing_to_the_cycle_collector():
    """It left six objects a call, from a function that held itself."""
    model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Linear(3, 2, rng=0))
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            list(model.parameters())
            model.zero_grad()
        assert gc.collect() == 0
    finally:
        gc.enable()
