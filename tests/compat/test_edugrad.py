"""edugrad programs run unchanged: what they print is what they print on edugrad itself, to ten digits.

NNKIT_EDUGRAD_PYTHON names an interpreter that has edugrad 0.1.0; with it the programs run on both, side by side. Without
it they are held against PRINTED, which was recorded from edugrad 0.1.0 (NumPy 2.4).
"""

import copy
import gc
import importlib.util
import inspect
import math
import os
import pickle
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest

from nnkit.compat.edugrad import Tensor, __main__, data, nn, ops, optim, tensor
from nnkit.compat.edugrad.tensor import Operation, tensor_op

PROGRAMS = Path(__file__).parent / "programs"
PRINTED = {
    "word2vec.py --epochs 5": """
words 28 examples 856
epoch 0 loss 0.69524921521745 grad 0.34034474410652 labels 0.17598871166307
epoch 1 loss 0.64949193397169 grad 0.22339994047294 labels 0.40238708954507
epoch 2 loss 0.60313554868221 grad 0.39530242306371 labels 0.41005866254278
epoch 3 loss 0.55915308555055 grad 0.31049026382199 labels 0.92179408934878
epoch 4 loss 0.52235183951285 grad 0.32871796484474 labels 0.85583217197706
fox dog 0.713438029010 see 0.703581837862 lazy 0.648497889304
bridge cow 0.880414008141 walks 0.801030233042 old 0.747063545777
lazy see 0.885557584435 and 0.767154727589 fox 0.648497889304
""",
    "deep_averaging_network.py": """
epoch 0 loss 1.14067819229394 probs 3.092710154088
epoch 1 loss 1.11093730700614 probs 3.001103083762
epoch 2 loss 1.10718166286194 probs 3.000958830531
epoch 3 loss 1.10520984763636 probs 3.004911237500
epoch 4 loss 1.10292071868522 probs 3.001538844847
epoch 5 loss 1.09462545678903 probs 2.966283477157
epoch 6 loss 1.05733365537747 probs 2.968054588814
epoch 7 loss 0.95452877050931 probs 2.428219991429
epoch 8 loss 0.82155631403189 probs 2.651539061320
epoch 9 loss 0.76488229860568 probs 2.277380924220
epoch 10 loss 0.73318813212022 probs 2.600795746302
epoch 11 loss 0.73160956688733 probs 2.214386173960
accuracy 0.6666666666666666
None (29, 6) -0.848329973439 0.614061678714
W (6, 8) 0.265506531710 0.043569328514
b (8,) 0.912882232809 0.605948472179
W (8, 8) 1.221968862142 0.142320774968
b (8,) 0.298274006751 0.355634406486
W (8, 3) -0.583481069897 0.165864637543
""",
    "language_model.py 6": """
[(22, 5), (20, 16), (16,), (16, 22), (22,), (20, 22)]
epoch 0 perplexity 19.733047594082 grads -0.06875376611568 0.06003978014312 1.7027265230
epoch 1 perplexity 15.014436790641 grads -0.12621833809941 0.04886420097808 2.3464600573
epoch 2 perplexity 12.780139092011 grads -0.12493242251102 0.07796428956355 2.9587427520
epoch 3 perplexity 10.822216492516 grads -0.22260493511321 0.06046157257288 2.2649765130
epoch 4 perplexity 9.221851595738 grads -0.26447538851332 0.06454414592849 2.0667340307
epoch 5 perplexity 7.793272567142 grads -0.18536836870990 0.09393540686360 4.4765491340
steps 48 operations 25
'it whmyn\\nm\\nerntad naeeenat eheduh '
""",
}
NAMES = {  # of edugrad 0.1.0, module by module
    "edugrad": "Tensor data nn ops optim tensor",
    "edugrad.tensor": "Callable Iterable List Operation Tensor np tensor_op",
    "edugrad.ops": "Operation Tensor add copy_rows matmul minus mse_loss np power reduce_mean reduce_sum relu tensor_op",
    "edugrad.nn": "Linear List Module Tensor np ops uniform_initializer",
    "edugrad.optim": "Iterable Optimizer SGD Tensor np",
    "edugrad.data": "Batch BatchIterator DataIterator Iterator NamedTuple Tensor np",
}


def run(*words, python=sys.executable, module=("-m", "nnkit.compat.edugrad"), cwd=PROGRAMS):
    return subprocess.run([python, *module, *map(str, words)], cwd=cwd, capture_output=True, text=True, encoding="utf-8",
                          env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, timeout=300)


def assert_prints_the_same(ours, theirs):
    ours, theirs = ours.split(), theirs.split()
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs):
        try:
            assert math.isclose(float(a), float(b), rel_tol=1e-10, abs_tol=1e-13), f"{a} is not {b}"
        except ValueError:
            assert a == b


@pytest.fixture
def real_python():
    """An interpreter that has edugrad itself."""
    if python := os.environ.get("NNKIT_EDUGRAD_PYTHON"):
        return python
    if importlib.util.find_spec("edugrad"):
        return sys.executable
    pytest.skip("no edugrad here; NNKIT_EDUGRAD_PYTHON names an interpreter that has it")


@pytest.fixture
def seeded():
    """NumPy's global generator, seeded as programs do it; afterwards it is as it was."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    yield np.random.RandomState(0)
    np.random.set_state(state)  # noqa: NPY002


@pytest.fixture
def script(tmp_path):
    def write(text, name="script.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name
    return write


def leaf(*shape, seed=0):
    return Tensor(np.random.default_rng(seed).normal(size=shape))


# Whole programs


@pytest.mark.parametrize("program", PRINTED)
def test_a_program_prints_what_was_recorded_from_edugrad(program):
    done = run(*program.split())
    assert done.returncode == 0, done.stderr
    assert_prints_the_same(done.stdout, PRINTED[program])


@pytest.mark.parametrize("program", PRINTED)
def test_a_program_prints_what_it_prints_on_edugrad_itself(program, real_python):
    theirs = run(*program.split(), python=real_python, module=())
    assert theirs.returncode == 0, theirs.stderr
    assert_prints_the_same(run(*program.split()).stdout, theirs.stdout)


def test_there_is_every_module_and_every_name_of_edugrad():
    for module, names in NAMES.items():
        ours = __main__.MODULES[module]
        assert set(names.split()) <= set(ours.__all__)
        assert all(hasattr(ours, name) for name in ours.__all__)


def test_the_list_of_names_is_edugrads_own(real_python):
    ask = ("import importlib, sys; m = importlib.import_module(sys.argv[1]); "
           "print(*(n for n in vars(m) if n[0] != '_' and n != 'annotations'))")
    for module, names in NAMES.items():
        theirs = set(run("-c", ask, module, python=real_python, module=()).stdout.split())
        assert theirs - {"ops"} == set(names.split()) - {"ops"}  # every module of edugrad has ops, by one import or another


# Tensors and gradients


@pytest.mark.parametrize("value", [np.ones((2, 3)), np.arange(3), np.float32([1, 2]), [1.0, 2.0], 2.0, np.array(["a"])],
                         ids=["float64", "integers", "float32", "list", "number", "words"])
def test_a_value_is_kept_as_it_is_and_its_gradient_is_float64_zeros(value):
    x = Tensor(value)
    assert x.value is value
    assert x.grad.dtype == np.float64
    assert x.grad.shape == np.shape(value)
    assert not x.grad.any()


def test_every_node_is_a_tensor_with_a_name_and_zeros_before_backward():
    x = leaf(2, 3)
    hidden = ops.relu(x)
    loss = ops.reduce_sum(hidden)
    assert (type(hidden), hidden.name, hidden.parents, loss.parents) == (Tensor, "relu", (x,), (hidden,))
    assert not hidden.grad.any()
    loss.backward()
    np.testing.assert_array_equal(hidden.grad, np.ones((2, 3)))
    np.testing.assert_array_equal(x.grad, x.value > 0)
    assert loss.grad == 1


@pytest.mark.parametrize("dtype", [np.int64, np.float32])
def test_gradients_are_float64_whatever_the_values_are(dtype):
    x = Tensor(np.array([1, 2, 3], dtype))
    y = x ** 2
    ops.reduce_mean(y).backward()
    assert y.value.dtype == dtype
    assert x.grad.dtype == y.grad.dtype == np.float64
    np.testing.assert_array_equal(x.grad, 2.0 * x.value.astype(np.float64) * (1 / 3))


def test_gradients_add_up_over_paths_and_over_backwards():
    x = leaf(3)
    ops.reduce_sum(x + x - x ** 2).backward()
    np.testing.assert_allclose(x.grad, 2 - 2 * x.value, rtol=1e-15)
    ops.reduce_sum(x + x).backward()
    np.testing.assert_allclose(x.grad, 4 - 2 * x.value, rtol=1e-15)


def test_a_second_backward_passes_on_what_a_node_already_has():
    # recorded from edugrad: 1 from the first, 1 + 1 from the second
    x = leaf(3)
    hidden = ops.relu(x ** 2)
    loss = ops.reduce_sum(hidden)
    for expected in (1, 2):
        loss.backward()
        np.testing.assert_array_equal(hidden.grad, np.full(3, expected))
    np.testing.assert_allclose(x.grad, 2 * x.value * (1 + (1 + 2)), rtol=1e-15)


def test_backward_needs_a_single_number():
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        leaf(3).backward()


def test_tensors_are_equal_by_identity_and_true_and_take_attributes():
    x, y = leaf(3), leaf(3)
    assert x == x and x != y and x in [y, x] and bool(Tensor(np.zeros(2)))
    x._grad_hist = 1
    assert x._grad_hist == 1


def test_what_is_no_tensor_is_refused_by_name():
    with pytest.raises(TypeError, match="add: input 1 is a int"):
        leaf(3) + 1
    with pytest.raises(TypeError, match="unsupported operand"):
        leaf(3) * leaf(3)


def test_the_graph_above_is_listed_depth_first():
    a, b = leaf(2), leaf(2)
    h = a + b
    loss = ops.reduce_sum(h - a)
    (difference,) = loss.parents
    assert loss.get_graph_above() == [(difference, loss), (h, difference), (a, h), (b, h), (a, difference)]


def test_a_graph_of_many_thousand_operations_needs_no_recursion():
    x = leaf(1)
    y = x
    for _ in range(5000):
        y = y + x
    ops.reduce_sum(y).backward()
    assert x.grad == [5001]
    assert len(y.get_graph_above()) == 10000


def test_a_graph_is_freed_without_the_garbage_collector():
    gc.disable()
    try:
        loss = ops.reduce_sum(leaf(3) ** 2)
        loss.backward()
        node = weakref.ref(loss.parents[0])
        del loss
        assert node() is None
    finally:
        gc.enable()


def test_a_model_can_be_copied_and_pickled():
    model = nn.Linear(2, 3)
    ops.reduce_sum(model(leaf(4, 2))).backward()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.weight.grad, model.weight.grad)
        other.zero_grad()
        ops.reduce_sum(other(leaf(4, 2))).backward()
        np.testing.assert_array_equal(other.weight.grad, model.weight.grad)


# Operations of one's own


def operation(forward, backward):
    return tensor_op(type("mine", (Operation,), {"forward": staticmethod(forward), "backward": staticmethod(backward)}))


@pytest.mark.parametrize("give", [
    lambda g: [g[:2], g[2:]], lambda g: (g[:2], g[2:]), lambda g: np.split(g, [2]), lambda g: iter([g[:2], g[2:]]),
    lambda g: [1.0, np.ones(3)], lambda g: [g[:2].tolist(), g[2:]], lambda g: [g[:2], g[2:], g],
], ids=["list", "tuple", "split", "iterator", "broadcast", "nested lists", "one too many"])
def test_backward_may_return_anything_with_an_order(give):
    concat = operation(lambda ctx, *xs: np.concatenate(xs), lambda ctx, grad_output: give(grad_output))
    x, y = leaf(2, 3), leaf(4, 3)
    ops.reduce_sum(concat(x, y)).backward()
    np.testing.assert_array_equal(x.grad, np.ones((2, 3)))
    np.testing.assert_array_equal(y.grad[:3], np.ones((3, 3)))


@pytest.mark.parametrize("given", [None, [1.0]])
def test_too_few_gradients_are_refused_by_the_name_of_the_operation(given):
    mine = operation(lambda ctx, a, b: a + b, lambda ctx, grad_output: given)
    with pytest.raises(ValueError, match=r"mine\.backward returned . gradients for 2 inputs"):
        ops.reduce_sum(mine(leaf(2), leaf(2))).backward()


def test_a_gradient_of_a_wrong_shape_is_refused_by_the_name_of_the_operation():
    mine = operation(lambda ctx, a: a, lambda ctx, grad_output: [np.ones(5)])
    with pytest.raises(ValueError, match=r"mine\.backward: input 0 has shape \(2,\), its gradient \(5,\)"):
        ops.reduce_sum(mine(leaf(2))).backward()


def test_options_reach_forward_and_ctx_is_a_list():
    seen = {}

    def forward(ctx, x, by, shift=0):
        seen.update(ctx=isinstance(ctx, list), by=by, shift=shift)
        return x

    result = operation(forward, lambda ctx, grad_output: [grad_output])(leaf(2), by=3)
    assert seen == {"ctx": True, "by": 3, "shift": 0}
    assert result.name == "mine"


def test_a_class_that_is_no_operation_serves_as_one_and_values_stay_what_forward_returned():
    class total:
        def forward(ctx, x):
            return float(x.sum())

        def backward(ctx, grad_output):
            return [grad_output]

    x = leaf(3)
    loss = tensor_op(total)(x) ** 2
    loss.backward()
    assert type(loss.value) is float
    np.testing.assert_allclose(x.grad, np.full(3, 2 * x.value.sum()), rtol=1e-15)


def test_a_backward_that_writes_into_its_gradient_changes_no_other():
    def backward(ctx, grad_output):
        grad_output *= 0
        return [grad_output]

    x = leaf(3)
    a, b = operation(lambda ctx, x: x + 1, backward)(x), ops.relu(x)
    ops.reduce_sum(b + a).backward()
    np.testing.assert_array_equal(b.grad, np.ones(3))
    np.testing.assert_array_equal(x.grad, x.value > 0)


def test_a_lookup_of_repeated_rows_gives_a_dense_gradient():
    def forward(ctx, table, rows):
        ctx.extend([table, rows])
        return table[rows]

    def backward(ctx, grad_output):
        table, rows = ctx
        grad = np.zeros_like(table)
        np.add.at(grad, rows, grad_output)
        return [grad, None]

    table, rows = leaf(4, 2), Tensor(np.array([1, 3, 1]))
    ops.reduce_sum(operation(forward, backward)(table, rows)).backward()
    assert type(table.grad) is np.ndarray
    np.testing.assert_array_equal(table.grad, [[0, 0], [2, 2], [0, 0], [1, 1]])
    np.testing.assert_array_equal(rows.grad, np.zeros(3))


# edugrad's own operations


@pytest.mark.parametrize("function, inputs, expected", [
    (ops.add, [(2, 3), (2, 3)], lambda a, b: a + b),
    (ops.minus, [(2, 3), (2, 3)], lambda a, b: a - b),
    (ops.matmul, [(2, 3), (3, 4)], lambda a, b: a @ b),
    (ops.power, [(2, 3)], lambda a: a),
    (lambda x: ops.power(x, exponent=3), [(2, 3)], lambda a: a * a * a),
    (ops.relu, [(2, 3)], lambda a: np.where(a > 0, a, 0)),
    (ops.reduce_sum, [(2, 3)], np.sum),
    (ops.reduce_mean, [(2, 3)], np.mean),
    (ops.copy_rows, [(3,)], lambda a: a[None]),
    (lambda x: ops.copy_rows(x, num=4), [(3,)], lambda a: np.stack([a, a, a, a])),
    (ops.mse_loss, [(2, 3), (2, 3)], lambda a, b: np.mean((a - b) * (a - b))),
], ids="add minus matmul power cube relu reduce_sum reduce_mean copy_row copy_rows mse_loss".split())
def test_an_operation_has_its_value_and_the_gradient_of_the_difference_quotient(function, inputs, expected):
    xs = [leaf(*shape, seed=i) for i, shape in enumerate(inputs)]
    result = function(*xs)
    np.testing.assert_allclose(result.value, expected(*(x.value for x in xs)), rtol=1e-14)
    weights = np.random.default_rng(9).normal(size=result.value.shape)
    weighted = operation(lambda ctx, y: (y * weights).sum(), lambda ctx, grad_output: [grad_output * weights])
    weighted(result).backward()
    for i, x in enumerate(xs):
        for place in np.ndindex(x.value.shape):
            step = np.zeros_like(x.value)
            step[place] = 1e-5
            up, down = ((expected(*(y.value + (sign * step if y is x else 0) for y in xs)) * weights).sum() for sign in (1, -1))
            assert x.grad[place] == pytest.approx((up - down) / 2e-5, rel=1e-6, abs=1e-8), (i, place)


# Modules, optimizers, batches


def test_linear_draws_weight_and_bias_as_edugrad_does(seeded):
    layer = nn.Linear(3, 2)
    np.testing.assert_array_equal(layer.weight.value, seeded.uniform(-1, 1, (3, 2)) * (1 / np.sqrt(3)))
    np.testing.assert_array_equal(layer.bias.value, seeded.uniform(-1, 1, 2) * (1 / np.sqrt(3)))
    x = leaf(4, 3)
    np.testing.assert_allclose(layer(x).value, x.value @ layer.weight.value + layer.bias.value, rtol=1e-14)
    assert nn.Linear(3, 2, bias=False)(x).name == "matmul"


def test_parameters_are_the_attributes_in_the_order_they_were_first_set():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 3)
            self.table = leaf(5, 2)
            self.unseen = [leaf(7)]

        def forward(self, x, power=1):
            return self.layer(x) ** power

    model = Model()
    model.layer.weight = Tensor(np.ones((2, 3)))
    model.layer.bias.value = np.arange(3)
    assert [p.value.shape for p in model.parameters()] == [(5, 2), (2, 3), (3,)]
    assert model.parameters()[1:] == [model.layer.weight, model.layer.bias]
    ops.reduce_sum(model(leaf(4, 2), power=2)).backward()
    assert model.layer.weight.grad.any()
    model.zero_grad()
    assert not any(p.grad.any() for p in model.parameters())
    assert len(model._params) == len(model._modules) == 1


def test_sgd_steps_in_place_and_counts():
    x = Tensor(np.ones(3))
    value, optimizer = x.value, optim.SGD([x], lr=0.5)
    x.grad += 1
    optimizer.step()
    assert x.value is value
    np.testing.assert_array_equal(value, np.full(3, 0.5))
    optimizer.zero_grad()
    assert not x.grad.any()
    assert (optimizer._cur_step, optim.SGD([]).lr) == (1, 1e-4)


@pytest.mark.parametrize("call", [lambda: nn.Module()(1), optim.Optimizer([]).step, lambda: data.DataIterator()([], [])])
def test_what_a_subclass_has_to_write_is_named(call):
    with pytest.raises(NotImplementedError, match="has no"):
        call()


def test_batches_are_slices_in_the_order_that_edugrad_shuffles_them(seeded):
    inputs, targets = np.arange(14).reshape(7, 2), np.arange(7) * 10
    batches = data.BatchIterator(3)
    for recorded in ([[60], [30, 40, 50], [0, 10, 20]], [[60], [0, 10, 20], [30, 40, 50]]):
        found = list(batches(inputs, targets))
        assert [batch.targets.value.tolist() for batch in found] == recorded
        assert all(np.array_equal(batch.inputs.value[:, 0] * 5, batch.targets.value) for batch in found)
    (x, y), *_ = data.BatchIterator(32, shuffle=False)(inputs, list(targets))
    assert (len(x.value), x.name, y.name) == (7, "x", "y")


# The runner


def test_importing_nnkit_gives_nothing_the_name_of_edugrad():
    code = "import sys, nnkit, nnkit.nn, nnkit.compat.edugrad; print([m for m in sys.modules if m.startswith('edugrad')])"
    assert run("-c", code, module=()).stdout.strip() == "[]"


def test_a_script_finds_itself_as_python_starts_it(script, tmp_path):
    path = script("import sys, helper, edugrad.ops as ops\nprint(sys.argv, sys.path[0], __name__, __file__, ops.__name__)\n")
    script("from edugrad.tensor import Tensor\n", "helper.py")
    done = run("script.py", "-v", "--lr=1", cwd=tmp_path)
    assert done.stdout.split() == [*f"['script.py', '-v', '--lr=1'] {tmp_path.resolve()} __main__".split(),
                                   str(path), "nnkit.compat.edugrad.ops"]


@pytest.mark.parametrize("statement, code, said", [
    ("sys.exit(7)", 7, ""), ("sys.exit('no data')", 1, "no data\n"), ("sys.exit()", 0, ""),
    ("raise KeyboardInterrupt", 130, None),
])
def test_the_exit_code_of_a_script_is_passed_on(script, statement, code, said):
    done = run(script(f"import sys, edugrad\n{statement}\n"))
    assert done.returncode == code
    assert said is None or done.stderr == said


def test_an_exception_shows_the_scripts_own_traceback(script):
    done = run(path := script("import edugrad\n\ndef f():\n    raise ValueError('mine')\n\nf()\n"))
    assert done.returncode == 1
    assert done.stderr.startswith(f'Traceback (most recent call last):\n  File "{path}", line 6, in <module>\n')
    assert done.stderr.endswith("ValueError: mine\n")


def test_a_mistake_in_a_script_of_its_own_is_shown_as_python_shows_it(script):
    path = script("import edugrad\nx = = 1\n")
    assert run(path).stderr == run(path, module=()).stderr


@pytest.mark.parametrize("words, said", [
    ([], "usage: python -m nnkit.compat.edugrad SCRIPT ARGS..."),
    (["absent.py"], "nnkit.compat.edugrad: absent.py: no such file"),
    (["."], "nnkit.compat.edugrad: .: a folder; name the script in it"),
    (["other.py"], "nnkit.compat.edugrad: other.py: no `import edugrad` in it, nor in the files beside it that it imports; "
                   "run it with python itself"),
])
def test_a_mistake_on_the_command_line_is_one_line_and_exit_code_2(script, capsys, monkeypatch, tmp_path, words, said):
    script("import numpy, json, helper\nprint('never')\n", "other.py")
    script("import os\n", "helper.py")
    monkeypatch.chdir(tmp_path)
    assert __main__.main(words) == 2
    assert tuple(capsys.readouterr()) == ("", said + "\n")


@pytest.mark.parametrize("name, text", [
    ("direct.py", "from edugrad import nn"), ("by_string.py", "import importlib; importlib.import_module('edugrad.nn')"),
    ("by_helper.py", "import library"), ("by_package.py", "from package.part import x"), ("by_path.py", "import not_found_here"),
])
def test_a_script_that_may_use_edugrad_is_run(script, monkeypatch, tmp_path, name, text):
    script("import edugrad", "library.py")
    script("from edugrad import Tensor as x", "package/part.py")
    monkeypatch.syspath_prepend(tmp_path)
    assert __main__.uses_edugrad(script(text, name))


@pytest.mark.parametrize("statement", ["pass", "raise SystemExit(3)", "1 / 0"])
def test_the_runner_leaves_nothing_behind(script, capsys, statement):
    def state():
        return (sys.argv, sys.path, list(sys.path), sys.modules["__main__"], [m for m in sys.modules if "edugrad" == m[:7]])

    before = state()
    try:
        __main__.main([str(script(f"import sys, edugrad\nsys.path.append('x')\n{statement}\n")), "word"])
    except SystemExit as stop:
        assert stop.code == 3
    assert state() == before


def test_signatures_are_edugrads():
    assert list(inspect.signature(nn.Linear).parameters) == ["input_size", "output_size", "bias"]
    assert list(inspect.signature(optim.SGD).parameters) == ["params", "lr"]
    assert list(inspect.signature(data.BatchIterator).parameters) == ["batch_size", "shuffle"]
    assert list(inspect.signature(tensor.Tensor).parameters) == ["value", "parents", "name"]
    assert list(inspect.signature(nn.uniform_initializer).parameters) == ["shape", "scale"]
    assert data.Batch._fields == ("inputs", "targets")
