"""The files that draw writes: their structure, read by other programs' rules, and what a user gets wrong."""

import importlib.util
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import numpy as np
import pytest

import nnkit
from nnkit import Tensor, losses, nn, ops
from nnkit.errors import ConfigError, UserError
from nnkit.show import templating
from nnkit.show.numbers import number, texts
from nnkit.show.scene import COLOURS

SVG = "{http://www.w3.org/2000/svg}"
NASTY = '<b>"&\'</script>{{ 1 }}'


def example():
    x = Tensor(3.0, name="x")
    return x ** 2 * (3 * x)


def model_loss():
    model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Tanh(), nn.Linear(3, 2, rng=1))
    return lambda: losses.cross_entropy(model(np.ones((2, 2), np.float32)), np.array([0, 1]))


def texts_of(group):
    return ["".join(element.itertext()) for element in group.iter(f"{SVG}text")]


def nodes_of(path):
    root = ElementTree.parse(path).getroot()
    return {texts_of(group)[0]: group for group in root.iter(f"{SVG}g") if "data-node" in group.attrib}, root


def test_svg_has_every_node_with_its_numbers_and_every_link_once(tmp_path):
    nodes, root = nodes_of(nnkit.draw(example(), tmp_path / "a.svg"))
    assert texts_of(nodes["x"]) == ["x", "leaf () float32", "value 3", "grad  27 + 54 = 81"]
    assert texts_of(nodes["multiply(·, ·)"]) == ["multiply(·, ·)", "result () float32", "value 81", "grad  1"]
    keys = {group.get("data-node"): title for title, group in nodes.items()}
    links = [(keys[g.get("data-from")], keys[g.get("data-to")]) for g in root.iter(f"{SVG}g") if "data-link" in g.attrib]
    assert sorted(links) == [("multiply(3, x)", "multiply(·, ·)"), ("power(x, 2)", "multiply(·, ·)"), ("x", "multiply(3, x)"),
                             ("x", "power(x, 2)")]


def test_without_a_path_the_svg_is_what_a_notebook_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    drawing = nnkit.draw(example())
    assert list(tmp_path.iterdir()) == []
    assert drawing._repr_svg_() == drawing.svg == nnkit.draw(example(), tmp_path / "a.svg").read_text(encoding="utf-8")
    assert len(repr(drawing)) < 50


def test_svg_tells_parameters_leaves_constants_and_modules_apart(tmp_path):
    nodes, root = nodes_of(nnkit.draw(model_loss(), tmp_path / "a.svg"))
    kinds = {title: group.get("class") for title, group in nodes.items()}
    assert kinds["layers.0.weight"] == "node parameter" and kinds["classes"] == "node constant"
    assert kinds["cross_entropy(·, classes, reduction=mean)"] == "node result" and kinds["tanh(·)"] == "node operation"
    assert sorted(element.text for element in root.iter(f"{SVG}text") if element.get("class") == "label") == [
        "Sequential", "layers.0 Linear(2, 3)", "layers.1 Tanh()", "layers.2 Linear(3, 2)"]


@pytest.mark.parametrize("suffix", ["svg", "html", "dot", "png"])
def test_names_with_signs_of_markup_are_text(tmp_path, suffix):
    x = Tensor(1.0, name=NASTY + "\n\x00日本")
    path = nnkit.draw(ops.tanh(x), tmp_path / f"a.{suffix}", title=NASTY)
    shown = NASTY + "??日本"
    if suffix == "svg":
        assert shown in nodes_of(path)[0]
    elif suffix == "html":
        page = read_page(path)
        assert shown in page.texts and page.texts.count(NASTY) == 3 and page.count["script"] == 1
    elif suffix == "dot":
        assert r'<b>\"&' in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("suffix", ["svg", "dot", "html"])
def test_a_title_of_a_file_name_that_is_no_utf_8_is_drawn(tmp_path, suffix):
    assert "one step of ?.yaml" in nnkit.draw(example(), tmp_path / f"a.{suffix}", title="one step of \udcff.yaml").read_text()


def test_dot_is_balanced_and_has_clusters_and_places(tmp_path):
    text = nnkit.draw(model_loss(), tmp_path / "a.dot").read_text(encoding="utf-8")
    assert text.startswith("digraph ") and text.count("{") == text.count("}") == 5
    assert text.count("subgraph cluster_") == 4 and len(re.findall(r"^ *n\d+ -> n\d+;$", text, re.M)) == 9
    assert len(re.findall(r'pos="[\d.]+,[\d.]+", width=[\d.]+, height=[\d.]+\]', text)) == 10
    unquoted = re.sub(r'"(?:[^"\\]|\\.)*"', "", text)
    assert '"' not in unquoted and "\\" not in unquoted


def test_png_is_a_picture_of_twice_the_svgs_size(tmp_path):
    from matplotlib.image import imread

    pixels = imread(nnkit.draw(example(), tmp_path / "a.png"))
    root = ElementTree.parse(nnkit.draw(example(), tmp_path / "a.svg")).getroot()
    assert pixels.shape[:2] == pytest.approx((2 * int(root.get("height")), 2 * int(root.get("width"))), abs=3)
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 20


@pytest.mark.parametrize("suffix", ["svg", "html", "dot"])
def test_the_same_graph_gives_the_same_bytes(tmp_path, suffix):
    a, b = [nnkit.draw(example(), tmp_path / f"{name}.{suffix}").read_bytes() for name in "ab"]
    assert a == b


# Numbers

def test_numbers_are_short_and_right():
    assert [number(x) for x in (np.float32(0.1), 1 / 3, -0.0, np.nan, -np.inf, 3, True, 1e-30, np.int8(-5), 123456.0)] == [
        "0.1", "0.3333", "0", "nan", "-inf", "3", "True", "1e-30", "-5", "1.235e+05"]


def test_small_arrays_are_written_in_full_and_large_ones_by_their_range():
    assert texts(np.array([[1.5, -20], [0, 3]])) == ["[1.5  -20]", "[  0    3]"]
    assert texts(np.arange(3)) == ["[0  1  2]"] and texts(np.array(7)) == ["7"]
    assert texts(np.arange(100)) == ["0 to 99"] and texts(np.ones((2, 3, 4))) == ["all 1"]
    assert texts(np.array([np.nan] * 3 + [np.inf] + [1.0, 2.0])) == ["1 to 2 and 4 nan or inf"]
    assert texts(np.full(9, np.nan)) == ["9 nan or inf"] and texts(np.ones((0, 3))) == ["no numbers"]
    rows = nnkit.RowGrad(np.array([1, 1, 5]), np.ones((3, 2)), (1000, 2))
    assert texts(rows) == ["2 of 1,000 rows, all 1"]
    assert texts(nnkit.RowGrad(np.array([1, 1]), np.ones((2, 2)), (3, 2))) == ["[0  0]", "[2  2]", "[0  0]"]


def luminance(colour):
    parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    return np.dot([0.2126, 0.7152, 0.0722], [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts])


@pytest.mark.parametrize("theme", [0, 1])
def test_every_text_can_be_read_on_its_ground(theme):
    """Contrast as WCAG 2 defines it, at least 4.5."""
    for ground in ("paper", "box", "operation", "parameter", "leaf", "constant", "result"):
        for ink in ("ink", "muted", "value", "gradient"):
            a, b = sorted(luminance(COLOURS[name][theme]) for name in (ground, ink))
            assert (b + 0.05) / (a + 0.05) >= 4.5, (ground, ink, theme)


# The page

class Page(HTMLParser):
    VOID = {"meta", "link", "rect", "path", "polygon"}

    def __init__(self):
        super().__init__()
        self.texts, self.open, self.count, self.items, self.links = [], [], {}, [], []

    def handle_starttag(self, tag, attributes):
        self.count[tag] = self.count.get(tag, 0) + 1
        self.links += [value for name, value in attributes if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "li":
            self.items.append((dict(attributes), []))

    def handle_startendtag(self, tag, attributes):
        self.count[tag] = self.count.get(tag, 0) + 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append(data.strip())
            if "li" in self.open:
                self.items[-1][1].append(data.strip())


def read_page(path):
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    assert page.open == []
    return page


def test_page_has_a_step_for_every_operation_forward_and_backward_with_the_products_and_sums(tmp_path):
    page = read_page(nnkit.draw(example(), tmp_path / "a.html"))
    assert page.links == ["data:,"]  # nothing of the network
    steps = [texts[0] for _, texts in page.items]
    assert steps == ["forward: what is given", "forward: power(x, 2)", "forward: multiply(3, x)", "forward: multiply(·, ·)",
                     "backward: multiply(·, ·)", "backward: multiply(·, ·)", "backward: multiply(3, x)", "backward: power(x, 2)",
                     "backward: the leaves"]
    attributes, words = page.items[7]
    assert words[1:] == ["power(x, 2) has the gradient 9: x receives 54. x: its 2 paths meet and are added: 27 + 54 = 81.",
                         "to x", "upstream", "9", "× local", "6", "= downstream", "54"]
    assert attributes["data-gradients"] == "n0" and page.items[6][0]["data-gradients"] == ""
    assert any("by_base = grad_output * b * np.power" in text for text in page.texts)  # the code of power


def sentences_of(path):
    return [words[1] for _, words in read_page(path).items]


@pytest.mark.parametrize("uses, sentence", [
    (1, "multiply(x, 2) receives 1. multiply(x, 2): a hook makes it 10."),
    (2, "multiply(x, 2): its 2 paths meet and are added: 1 + 1. A hook makes it 20."),  # 1 + 1 is not 20
])
def test_the_page_tells_a_sum_of_paths_from_what_a_hook_makes_of_it(tmp_path, uses, sentence):
    y = Tensor(1.0, name="x") * 2
    y.register_hook(lambda grad: grad * 10)
    told = sentences_of(nnkit.draw(y + y if uses == 2 else y + 1, tmp_path / "a.html"))
    assert any(text.endswith(sentence) for text in told)


def test_a_sentence_tells_of_many_numbers_how_many_and_their_range_and_adds_no_ranges(tmp_path):
    x = Tensor(np.arange(6.0), name="x")
    told = sentences_of(nnkit.draw((x * x).sum(), tmp_path / "a.html"))
    assert told[0] == "Given are x = (6,) numbers, 0 to 5."
    assert told[5].endswith("x: its 2 paths meet and are added to (6,) numbers, 0 to 10.")


def test_the_page_says_where_a_gradient_is_summed_over_what_was_broadcast(tmp_path):
    x, b = Tensor(np.ones((2, 2)), name="x"), Tensor(np.array([1.0, 2.0]), name="b")
    page = read_page(nnkit.draw(x + b, tmp_path / "a.html", grad=np.array([[1.0, 2.0], [3.0, 4.0]])))
    words = page.items[-2][1]
    assert words[2:] == ["to x", "upstream", "[1  2]\n[3  4]", "× local", "[1  1]\n[1  1]", "= downstream", "[1  2]\n[3  4]",
                         "to b", "upstream", "[1  2]\n[3  4]", "× local", "[1  1]\n[1  1]", "= downstream, summed", "[4  6]"]


def test_the_page_of_a_vector_without_grad_goes_forward_alone(tmp_path):
    page = read_page(nnkit.draw(ops.tanh(Tensor(np.ones(2))), tmp_path / "a.html"))
    assert {attributes["data-direction"] for attributes, _ in page.items} == {"forward"}


def test_an_operation_without_a_file_has_a_page_all_the_same(tmp_path):
    space = {"Operation": nnkit.Operation}
    exec("class nowhere(Operation):\n"
         "    forward = staticmethod(lambda ctx, x: x)\n"
         "    backward = staticmethod(lambda ctx, grad_output: [grad_output])", space)
    page = read_page(nnkit.draw(nnkit.tensor_op(space["nowhere"])(Tensor(1.0)), tmp_path / "a.html"))
    assert "(its source is in no file)" in page.texts


# What a user gets wrong

def test_wrong_suffix_missing_folder_and_missing_library_end_in_one_clear_line(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"a\.gif: the name of a graph's file ends in \.svg, \.png, \.dot or \.html"):
        nnkit.draw(example(), tmp_path / "a.gif")
    with pytest.raises(ConfigError, match=r"nowhere.a\.svg: cannot be written: there is no folder .*nowhere; make it first"):
        nnkit.draw(lambda: pytest.fail("the work began"), tmp_path / "nowhere/a.svg")
    (tmp_path / "a.png").mkdir()
    with pytest.raises(UserError, match=r"a\.png: cannot be written \(Is a directory"):
        nnkit.draw(example(), tmp_path / "a.png")
    (tmp_path / "a.png").rmdir()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"need grandalf and jinja2; pip install 'nnkit\[show\]'"):
        nnkit.draw(example(), tmp_path / "a.svg")
    with pytest.raises(UserError, match="need jinja2;"):
        templating.render("base.html", title="")
    assert list(tmp_path.iterdir()) == []


def chain(n):
    x = Tensor(1.0)
    for _ in range(n):
        x = x + 1
    return x


def test_a_large_graph_says_so_and_one_that_is_too_large_names_the_ways_out(tmp_path):
    assert "a large graph" in nnkit.draw(chain(200), tmp_path / "a.svg").read_text(encoding="utf-8")
    with pytest.raises(UserError, match=r"2,001 nodes, and 1,500 at most.*or write \.dot"):
        nnkit.draw(chain(2000), tmp_path / "b.svg")
    assert nnkit.draw(chain(2000), tmp_path / "b.dot").read_text(encoding="utf-8").count(" -> ") == 2000
    with pytest.raises(UserError, match=r"c\.png: the picture would have .* pixels; write \.svg or \.html"):
        nnkit.draw(chain(200), tmp_path / "c.png")
