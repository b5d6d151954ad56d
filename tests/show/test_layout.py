"""Where things are drawn: on random graphs, with modules in modules, nothing lies on anything else."""

import os

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nnkit import Tensor, nn, ops
from nnkit.show.graph import Box, collect, watched
from nnkit.show.layers import APART, layered
from nnkit.show.layout import lay_out
from nnkit.show.scene import draw_scene, width_of

EXAMPLES = int(os.environ.get("NNKIT_EXAMPLES", 12))

# a program: an operation on two of the values so far, or a module that runs a program of its own
operation = st.tuples(st.integers(0, 9), st.integers(0, 9))
programs = st.lists(st.recursive(operation, lambda inner: st.lists(inner, min_size=1, max_size=5), max_leaves=8), min_size=1,
                    max_size=10)


class Running(nn.Module):
    """A module that runs a program, with a parameter of its own."""

    def __init__(self):
        self.weight = Tensor(1.0)

    def forward(self, program, values):
        values.append(values[-1] * self.weight)
        run(program, values)


def run(program, values):
    for step in program:
        if isinstance(step, list):
            Running()(step, values)
        else:
            i, j = (values[-1 - k % len(values)] for k in step)
            values.append(i + j if step[0] % 2 else ops.tanh(i) * j)


def graph_of(program):
    def results():
        values = [Tensor(np.ones(3, np.float32), name="x"), Tensor(2.0, name="y" * 30)]
        run(program, values)
        return [value for value in values if not value.is_leaf]

    return collect(*watched(results))


def overlap(a, b):
    return a[0] < b[2] - 1e-6 and b[0] < a[2] - 1e-6 and a[1] < b[3] - 1e-6 and b[1] < a[3] - 1e-6


def rectangles(scene):
    return {drawn.node: (drawn.left, drawn.top, drawn.left + drawn.width, drawn.top + drawn.height) for drawn in scene.nodes}


@settings(max_examples=EXAMPLES, deadline=None)
@given(programs)
@example([(0, 0), [(0, 0), (0, 0), (0, 4), (0, 0), (0, 7)], [[(0, 0)], [(0, 0)]], [[(0, 0)]]])  # grandalf lets two overlap
def test_no_two_boxes_overlap_and_what_is_in_a_box_is_inside_it(program):
    graph = graph_of(program)
    sizes = {node: (40 + 7 * len(node.title), 20 + 9 * (i % 5)) for i, node in enumerate(graph.nodes)}
    layout = lay_out(graph, lambda part: (90, 0) if isinstance(part, Box) else sizes[part])
    places = {node: (x - sizes[node][0] / 2, y - sizes[node][1] / 2, x + sizes[node][0] / 2, y + sizes[node][1] / 2)
              for node, (x, y) in layout.nodes.items()}
    places |= {box: (left, top, left + width, top + height) for box, (left, top, width, height) in layout.boxes.items()}
    places[graph.whole] = (0, 0, layout.width, layout.height)
    assert places.keys() == {*graph.nodes, graph.whole, *graph.whole.inner_boxes()}
    for box in [graph.whole, *graph.whole.inner_boxes()]:
        left, top, right, bottom = places[box]
        for i, part in enumerate(box.parts):
            a = places[part]
            assert left <= a[0] + 1e-6 and top <= a[1] + 1e-6 and a[2] <= right + 1e-6 and a[3] <= bottom + 1e-6
            assert not any(overlap(a, places[other]) for other in box.parts[:i])


@settings(max_examples=EXAMPLES, deadline=None)
@given(programs)
@example([(0, 0)] * 6 + [(0, 1), [[(3, 3), (0, 4), (5, 5)], [(0, 7)]]])  # many links between the same two boxes
def test_every_link_is_drawn_once_down_from_its_source_to_its_target_and_through_no_other_node(program):
    graph = graph_of(program)
    scene = draw_scene(graph)
    places = rectangles(scene)
    assert [curve.link for curve in scene.curves] == graph.links
    for curve in scene.curves:
        source, target = places[curve.link.source], places[curve.link.target]
        (x, y), (u, v) = curve.points[0], curve.arrow[0]
        assert source[0] < x < source[2] and np.isclose(y, source[3])
        assert target[0] < u < target[2] and np.isclose(v, target[1])
        for (x, y), (u, v) in zip(curve.points, curve.points[1:]):
            assert y <= v + 1e-6
            if x == u:  # where it is curved there are no nodes at that height in its box
                assert not any(overlap((x - 0.1, y, x + 0.1, v), place) for place in places.values())


@settings(max_examples=EXAMPLES, deadline=None)
@given(programs)
def test_links_end_side_by_side_in_the_order_in_which_they_come(program):
    scene = draw_scene(graph_of(program))
    ends = [curve.arrow[0] for curve in scene.curves]
    assert len(set(ends)) == len(ends)
    for node in scene.nodes:
        arriving = sorted((curve.arrow[0][0], curve.points[-3][0]) for curve in scene.curves if curve.link.target is node.node)
        assert [x for _, x in arriving] == sorted(x for _, x in arriving)


@pytest.mark.parametrize("count", [1, 5, 20])
def test_links_beside_each_other_have_room_between_the_boxes_that_they_pass(count):
    layers = layered([(50, 20)] * 4, {(0, 3): count, (0, 1): 1, (1, 3): 1, (2, 3): 1, (0, 2): 1})
    ((x, top, bottom),) = layers.passes[0, 3]
    assert (top, bottom) == layers.bands[1] and not any(layers.passes[pair] for pair in ((0, 1), (1, 3)))
    for left, _ in (layers.centres[1], layers.centres[2]):
        assert abs(x - left) > 25 + APART * (count - 1) / 2


@settings(max_examples=EXAMPLES, deadline=None)
@given(programs)
def test_texts_are_inside_their_box_and_the_drawing(program):
    scene = draw_scene(graph_of(program))
    for drawn in scene.nodes:
        assert 0 <= drawn.left and drawn.left + drawn.width <= scene.width and drawn.top + drawn.height <= scene.height
        for line in drawn.lines:
            assert drawn.top < line.y < drawn.top + drawn.height and line.x + 7.3 * len(line.text) < drawn.left + drawn.width


def test_what_enters_a_box_goes_around_what_stands_above_its_end():
    class Late(nn.Module):
        def __init__(self):
            self.weight = Tensor(1.0)

        def forward(self, x):
            wide = self.weight * 2
            wide.name = "as wide as a title may be, so that it is passed"
            return ops.tanh(wide) * x

    module = Late()
    scene = draw_scene(collect(*watched(lambda: module(Tensor(1.0, name="x")))))
    places = rectangles(scene)
    (entering,) = [curve for curve in scene.curves if curve.link.source.title == "x"]
    for (x, y), (u, v) in zip(entering.points, entering.points[1:]):
        assert x != u or not any(overlap((x - 0.1, y, x + 0.1, v), place) for place in places.values())


def test_letters_of_two_widths():
    assert width_of("日本") == 2 * width_of("ab")


def test_a_long_chain_is_laid_out_without_recursion():
    x = Tensor(1.0)
    for _ in range(1100):
        x = x + 1
    scene = draw_scene(collect(*watched(x)))
    assert len(scene.curves) == 1100 and scene.height > 1100 * 50
