"""What is collected for a picture: names, boxes, values, and the gradient on every link."""

import numpy as np
import pytest

import nnkit
from nnkit import Operation, Tensor, losses, nn, ops, tensor_op
from nnkit.errors import UserError
from nnkit.show.gradients import run_backward
from nnkit.show.graph import collect, watched


def graph_of(result, grad=None, model=None):
    results, watcher = watched(result)
    graph = collect(results, watcher, model)
    run_backward(graph, results[0], grad)
    return graph


def by_title(graph):
    return {node.title: node for node in graph.nodes}


def test_the_lectures_example_has_its_numbers():
    x = Tensor(3.0, name="x")
    nodes = by_title(graph_of(x ** 2 * (3 * x)))
    assert {title: (float(node.value), float(node.gradient)) for title, node in nodes.items()} == {
        "x": (3, 81), "power(x, 2)": (9, 9), "multiply(3, x)": (9, 9), "multiply(·, ·)": (81, 1)}
    assert [float(link.given) for link in nodes["x"].arrived] == [27, 54]
    assert [float(link.local) for link in nodes["x"].arrived] == [3, 6]


def test_a_shared_expression_is_one_node_with_two_uses_and_x_times_x_two_links():
    x = Tensor(2.0, name="x")
    y = ops.tanh(x)
    graph = graph_of(y * y + y)
    nodes = by_title(graph)
    assert len(graph.nodes) == 4 and len(nodes["tanh(x)"].uses) == 3 and len(graph.links) == 5


def test_nodes_stand_after_what_they_were_computed_from():
    x = Tensor(np.ones(3))
    labels = np.ones(3)
    graph = graph_of(losses.mean_squared_error(ops.exp(x) @ Tensor(np.eye(3)), labels))
    seen = set()
    for node in graph.nodes:
        assert all(link.source in seen for link in node.inputs)
        seen.add(node)


@pytest.mark.parametrize("operation, shapes", [
    (ops.tanh, [(2, 3)]), (ops.exp, [(4,)]), (ops.multiply, [(2, 3), (3,)]), (ops.divide, [(2, 3), (2, 3)]),
    (ops.add, [(4, 1), (3,)]), (ops.sum, [(2, 2)]), (ops.relu, [()])])
def test_where_there_is_a_local_derivative_upstream_times_local_is_downstream(operation, shapes):
    rng = np.random.default_rng(0)
    y = operation(*[Tensor(rng.normal(1, 1, shape)) for shape in shapes])
    for link in graph_of(y, grad=rng.normal(size=y.shape)).links:
        product = np.broadcast_to(link.target.gradient * link.local, np.broadcast_shapes(link.local.shape, y.shape))
        # what was broadcast is summed over
        extra = product.ndim - link.given.ndim
        axes = (*range(extra), *[extra + i for i, n in enumerate(link.given.shape) if n == 1])
        np.testing.assert_allclose(product.sum(axes).reshape(link.given.shape), link.given)


@pytest.mark.parametrize("operation, shapes", [(ops.matmul, [(2, 2), (2, 2)]), (ops.softmax, [(2, 3)]), (ops.cumsum, [(4,)]),
                                               (ops.transpose, [(2, 2)])])
def test_where_elements_mix_there_is_none(operation, shapes):
    rng = np.random.default_rng(1)
    y = operation(*[Tensor(rng.normal(size=shape)) for shape in shapes])
    assert all(link.local is None for link in graph_of(y, grad=np.ones(y.shape)).links)


def test_gradients_of_leaves_are_afterwards_what_they_were():
    x = Tensor(np.array([1.0, 2.0]))
    y = ops.sum(x * x)
    y.backward()
    before = x.grad.copy()
    nodes = graph_of(y).nodes
    assert np.array_equal(x.grad, before) and np.array_equal(nodes[0].gradient, [2, 4])
    unused = Tensor(1.0)
    graph_of(unused * 2)
    assert unused.grad is None


def test_what_is_drawn_does_not_change_with_what_comes_later():
    x = Tensor(np.array([[1.0, -2.0]]), name="x")
    # relu's backward writes into the gradient that it is given, where that is of linear's making
    nodes = by_title(graph_of(ops.sum(ops.linear(ops.relu(x), Tensor(np.array([[3.0], [4.0]]))))))
    assert nodes["relu(x)"].gradient.tolist() == [[3, 4]] and nodes["x"].gradient.tolist() == [[3, 0]]


def test_calls_of_modules_are_boxes_and_parameters_lie_in_them():
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Residual(nn.Linear(4, 4, rng=1)), nn.Linear(4, 2, rng=2))
    graph = graph_of(lambda: losses.cross_entropy(model(np.ones((2, 3), np.float32)), np.array([0, 1])))
    labels = {box.label: {part.title for part in box.parts if not hasattr(part, "label")} for box in graph.whole.inner_boxes()}
    assert labels == {
        "Sequential": set(),
        "layers.0 Linear(3, 4)": {"layers.0.weight", "layers.0.bias", "linear(·, weight, bias)"},
        "layers.1 Residual": {"add(·, ·)"},
        "layers.1.layer Linear(4, 4)": {"layers.1.layer.weight", "layers.1.layer.bias", "linear(·, weight, bias)"},
        "layers.2 Linear(4, 2)": {"layers.2.weight", "layers.2.bias", "linear(·, weight, bias)"}}
    outside = [part for part in graph.whole.parts if not hasattr(part, "label")]
    assert [(node.kind, node.title) for node in outside] == [
        ("constant", "constant"), ("constant", "classes"), ("operation", "cross_entropy(·, classes, reduction=mean)")]


def test_a_tied_parameter_lies_in_the_box_around_all_its_uses_and_a_module_called_twice_is_two_boxes():
    layer = nn.Linear(2, 2, rng=0)
    model = nn.Sequential(layer, layer)
    graph = graph_of(lambda: ops.sum(model(np.ones((1, 2), np.float32))))
    whole = graph.whole.parts[0]
    assert [box.label for box in whole.inner_boxes()] == ["layers.0 Linear(2, 2)"] * 2
    assert {node.title for node in whole.parts if not hasattr(node, "label")} == {"layers.0.weight", "layers.0.bias"}


def test_a_module_that_fails_inside_another_is_over_when_that_is():
    class Trying(nn.Module):
        def __init__(self):
            self.wide = nn.Linear(5, 1, rng=0)
            self.right = nn.Linear(2, 1, rng=0)

        def forward(self, x):
            try:
                return self.wide(x)
            except ValueError:
                return self.right(x) * 2

    model = Trying()
    graph = graph_of(lambda: ops.sum(model(np.ones((1, 2), np.float32))) + 1)
    assert [box.label for box in graph.whole.parts if hasattr(box, "label")] == ["Trying"]
    assert {node.title.partition("(")[0] for node in graph.nodes if node.box is graph.whole} == {"constant", "sum", "add"}


def test_a_tensor_alone_gets_the_names_of_the_model_that_is_given():
    model = nn.Linear(2, 1, rng=0)
    y = ops.sum(model(np.ones((1, 2), np.float32)))
    assert {"weight", "bias"} <= by_title(graph_of(y, model=model)).keys()
    assert {node.kind for node in graph_of(y).nodes} == {"leaf", "constant", "operation"}


def test_the_gradient_of_a_table_stays_a_row_grad():
    table = Tensor(np.ones((1000, 3)), name="table")
    nodes = by_title(graph_of(ops.sum(ops.embedding(table, np.array([1, 1, 5])))))
    assert isinstance(nodes["table"].gradient, nnkit.RowGrad)
    assert nodes["table"].uses[0].given.shape == (1000, 3) and nodes["ids"].kind == "constant"


def test_one_array_used_twice_is_one_node_and_numbers_are_in_the_title():
    mask = np.array([1.0, 0.0])
    graph = graph_of(ops.sum(Tensor(np.ones(2)) * mask + mask + np.float32(0.25)))
    assert [node.kind for node in graph.nodes].count("constant") == 1
    assert "add(·, 0.25)" in by_title(graph)


def test_what_is_chosen_by_keyword_is_in_the_title_as_a_program_has_it_and_a_layers_name_is_not():
    x = Tensor(np.ones((4, 6)), name="x")
    titles = {node.title for node in graph_of([x[1], x[:, 2:4], x[..., ::-1], x[(0,)], ops.sum(x, axis=(0, 1))]).nodes}
    assert titles == {"x", "getitem(x, key=1)", "getitem(x, key=(:, 2:4))", "getitem(x, key=(..., ::-1))", "getitem(x, key=(0,))",
                      "sum(x, axis=(0, 1))"}
    assert "lstm(·, h_0, c_0, ·, ·, ·, ·)" in by_title(graph_of(lambda: nn.LSTM(3, 4, rng=0)(np.ones((2, 1, 3), np.float32))[0]))


def test_integers_and_tensors_without_a_gradient_are_constants():
    ids, x = Tensor(np.array([0, 1])), Tensor(np.ones((2, 2)), requires_grad=False, name="x")
    kinds = {node.title: node.kind for node in graph_of(ops.sum(ops.embedding(Tensor(np.ones((2, 2)), name="E"), ids) * x)).nodes}
    assert (kinds["constant"], kinds["x"], kinds["E"]) == ("constant", "constant", "leaf")


def test_several_results_are_drawn_and_the_first_is_the_loss():
    x = Tensor(1.0, name="x")
    graph = graph_of(lambda: (x * 2, x * 3))
    assert [node.title for node in graph.results] == ["multiply(x, 2)", "multiply(x, 3)"]
    assert [node.gradient for node in graph.results] == [1, None] and graph.nodes[0].gradient == 2


def test_a_result_of_several_numbers_has_gradients_only_where_one_is_given():
    y = ops.tanh(Tensor(np.ones(2)))
    graph = graph_of(y)
    assert graph.backward == [] and "no gradients: the result has shape (2,)" in graph.remarks[0]
    assert graph_of(y, grad=np.array([1.0, 0.0])).nodes[0].gradient[1] == 0


def test_a_hook_is_mentioned_where_it_changes_a_gradient():
    x = Tensor(1.0)
    y = x * 2
    y.register_hook(lambda grad: grad * 10)
    graph = graph_of(y + 1)
    assert graph.nodes[0].gradient == 20 and [node.hooked for node in graph.nodes] == [False, True, False]


def test_a_hook_may_call_modules_and_run_a_backward_of_its_own():
    def hook(grad):
        layer, x = nn.Linear(1, 1, rng=0), Tensor(np.ones((1, 1)))
        layer(x).sum().backward()
        return grad * 10

    x = Tensor(1.0)
    y = x * 2
    y.register_hook(hook)
    graph = graph_of(y + 1)
    assert graph.nodes[0].gradient == 20 and [node.title for node in graph.backward] == ["add(·, 1)", "multiply(·, 2)"]


@tensor_op
class once(Operation):
    """2 x, whose backward uses up what it needs."""

    frees_ctx = True

    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, grad_output):
        return [2 * grad_output]


def test_no_graph_and_a_graph_that_is_used_up_end_in_one_clear_line():
    with pytest.raises(UserError, match=r"no graph: it is a leaf.*requires_grad=True"):
        graph_of(Tensor(1.0))
    with nnkit.no_grad(), pytest.raises(UserError, match="under no_grad"):
        graph_of(Tensor(1.0) * 2)
    with pytest.raises(UserError, match=r"expected a Tensor.*got float"):
        graph_of(lambda: 1.0)
    with pytest.raises(UserError, match="there is no Tensor"):
        graph_of([])
    y = once(Tensor(1.0))
    assert graph_of(y).nodes[0].gradient == 2
    with pytest.raises(UserError, match=r"once: a second backward.*run forward again"):
        graph_of(y)


def test_nan_and_infinity_are_drawn_as_they_are():
    x = Tensor(np.array([0.0, -1.0]), name="x")
    with np.errstate(all="ignore"):
        graph = graph_of(ops.sum(ops.log(x)))
    assert np.isinf(graph.nodes[0].gradient[0]) and np.isnan(graph.results[0].value)
