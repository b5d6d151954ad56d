"""Reading YAML: which scalar is what, where each value stood, what is refused, includes and overrides."""

import math
import os

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nnkit.errors import ConfigError
from nnkit.training.yaml_tree import PlacedError, read_tree


@pytest.fixture
def read(tmp_path, monkeypatch):
    """read(text, *overrides, **files) reads c.yaml from the folder it is in."""
    monkeypatch.chdir(tmp_path)

    def reading(text, *overrides, **files):
        for name, content in {"c": text, **files}.items():
            (tmp_path / f"{name}.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_tree("c.yaml", overrides)
    return reading


@pytest.fixture
def refused(read):
    """refused(text, ...) is the text of the error."""
    def refusing(*args, **files):
        with pytest.raises(ConfigError) as caught:
            read(*args, **files)
        return str(caught.value)
    return refusing


@pytest.mark.case("trainer", 1)
@pytest.mark.case("autograd", 42)
@pytest.mark.parametrize("text, value", [
    ("1e-3", 1e-3), ("1e3", 1e3), ("5E-5", 5e-5), (".5", 0.5), ("5.", 5.0), ("-1.5e+2", -150.0),
    (".inf", math.inf), ("-.INF", -math.inf),
    ("010", 10), ("+3", 3), ("-0", 0), ("0x1F", 31), ("0o17", 15),
    ("true", True), ("FALSE", False), ("null", None), ("~", None), ("", None),
])
def test_scalars_are_those_of_yaml_1_2_in_a_file_and_in_an_override(read, text, value):
    for found in (read(f"a: {text}").plain()["a"], read("b: 1", f"a={text}").plain()["a"]):
        assert found == value and type(found) is type(value)


@pytest.mark.case("trainer", 4)
@pytest.mark.parametrize("text", ["yes", "no", "on", "off", "y", "N", "1:30", "2001-01-01", "1_000", "0b1", "tRue",
                                  "1e", "e3", "=", "."])
def test_what_yaml_1_1_would_guess_stays_text(read, text):
    assert read(f"a: {text}").plain() == {"a": text}


def test_nan_is_a_float(read):
    assert math.isnan(read("a: .nan").plain()["a"])


@settings(deadline=None)
@given(st.floats(allow_nan=False))
def test_python_writes_floats_as_yaml_reads_them(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "float.yaml"
    path.write_text(f"a: {str(value).replace('inf', '.inf')}")
    assert read_tree(path).plain()["a"] == value


def test_pyyaml_itself_is_left_as_it_was():
    assert yaml.safe_load("[yes, 010, 1e-3]") == [True, 8, "1e-3"]


def test_every_key_and_value_knows_where_it_stood(read):
    model = read("recipe: x\nmodel:\n  dim: 100\n").value["model"]
    assert (str(model.key_place), str(model.value["dim"].key_place), str(model.value["dim"].place)) == (
        "c.yaml:2:1", "c.yaml:3:3", "c.yaml:3:8")
    assert model.place.source.lines[2] == "  dim: 100"


def test_the_caret_stands_under_the_value(read):
    assert read("model: {dim: 100}\n").value["model"].value["dim"].place.caret() == (
        "       1 | model: {dim: 100}\n"
        "         |              ^^^")


def test_the_caret_of_a_long_line_shows_the_part_around_it(read):
    place = read("a: [" + "1, " * 1000 + "xyz]").value["a"].value[-1].place
    source, marks = place.caret().splitlines()
    assert len(source) < 140 and source[marks.index("^"):][:3] == "xyz"


def test_a_byte_order_mark_is_accepted_and_shifts_nothing(read):
    place = read(b"\xef\xbb\xbfa: 1").value["a"].place
    assert str(place) == "c.yaml:1:4" and place.source.lines == ("a: 1",)


def test_carriage_returns_count_as_one_line_break(read):
    assert str(read("a: 1\r\nb: 2\r\n").value["b"].place) == "c.yaml:2:4"


@pytest.mark.case("trainer", 3)
def test_a_duplicate_key_is_refused_naming_both_lines(refused):
    assert refused("o:\n  lr: 1\n  b: 2\n  lr: 3\n") == (
        "c.yaml:4:3: duplicate key 'lr', already set in line 2; keep one of them")


def test_several_mistakes_of_structure_are_reported_together(refused):
    lines = refused("a: 1\na: 2\n3: x\n<<: {}\nb: !x 1\n").splitlines()
    assert [line.split(": ")[0] for line in lines] == ["c.yaml:2:1", "c.yaml:3:1", "c.yaml:4:1", "c.yaml:5:4"]


@pytest.mark.parametrize("text, expected", [
    ("", "c.yaml:1:1: the file is empty"),
    ("# only this\n", "c.yaml:1:1: the file is empty"),
    ("- a\n", "c.yaml:1:1: expected keys and values, got a list"),
    ("just text", "c.yaml:1:1: expected keys and values, got a single value"),
    ("a: 1\n---\nb: 2\n", "c.yaml:2:1: not YAML: expected a single document"),
    ("a:\n\tb: 1\n", "c.yaml:2:1: not YAML: while scanning for the next token, found character '\\t' that cannot start "
                     "any token; indent with spaces"),
    ("a: [1, 2", "c.yaml:1:9: not YAML: while parsing a flow sequence"),
    ("a: *nothing", "c.yaml:1:4: not YAML: found undefined alias"),
    ("a: !!python/object/apply:os.system [ls]", "c.yaml:1:4: unknown tag '!!python/object/apply:os.system'"),
    ("a: !!int x", "c.yaml:1:4: 'x' is not int"),
    ("a: !!set {b}", "c.yaml:1:4: unknown tag '!!set'"),
    ("1: x", "c.yaml:1:1: a key must be text; write '1' in quotes"),
    ("true: x", "c.yaml:1:1: a key must be text"),
    ("[a]: x", "c.yaml:1:1: a key must be text, not a list"),
    ("a: &a [*a]", "c.yaml:1:4: this contains itself"),
    ("x: &x {a: 1}\nb: {<<: *x}", "c.yaml:2:5: merge keys"),
    (b"a: 1\nb: \xe9\n", "c.yaml:2:4: byte 0xe9 is not UTF-8"),
    ("a: 1\x00", "c.yaml:1:5: not YAML: the character '\\x00' is not allowed"),
    ('a: "\\UFFFFFFFF"', "c.yaml:1:"),
    ('a: "\\ud800"', "c.yaml:1:4: half a surrogate pair"),
    ("a: " + "9" * 5000, "c.yaml:1:4: a whole number of more than 1000 digits"),
    ("a: " + "[" * 5000, "c.yaml:1:53: not YAML: nested more than 50 deep"),
])
def test_what_no_config_needs_is_refused_with_its_place(refused, text, expected):
    assert refused(text).startswith(expected)


def test_a_few_lines_of_aliases_cannot_grow_without_bound(refused):
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 17))
    assert "aliases repeat more than 10000 values" in refused(bomb)


def test_an_alias_is_a_copy(read):
    tree = read("a: &x {b: 1}\nc: *x\n", "c.b=2")
    assert tree.plain() == {"a": {"b": 1}, "c": {"b": 2}}


def test_a_missing_file_names_the_absolute_path_and_a_near_one(read, tmp_path):
    read("a: 1")
    with pytest.raises(ConfigError) as caught:
        read_tree("d.yaml")
    assert str(caught.value) == f"d.yaml: no such file: {tmp_path / 'd.yaml'}; did you mean 'c.yaml'?"


@pytest.mark.parametrize("path, expected", [(".", "is a folder; name the .yaml file in it"), ("a\0b", "cannot read"),
                                            ("c.yaml/x", "cannot read")])
def test_what_is_no_file_is_refused_on_one_line(read, path, expected):
    read("a: 1")
    with pytest.raises(ConfigError, match=expected) as caught:
        read_tree(path)
    assert str(caught.value).isprintable()


# Includes

def test_the_including_file_wins_and_sections_merge(read):
    tree = read("include: base.yaml\nm: {a: 1}\nl: [3]", base="m: {a: 0, b: 2}\nl: [1, 2]\nx: 5")
    assert tree.plain() == {"m": {"a": 1, "b": 2}, "l": [3], "x": 5}
    assert str(tree.value["m"].value["b"].place) == "base.yaml:1:14"


def test_of_several_includes_the_last_one_wins(read):
    assert read("include: [p.yaml, q.yaml]", p="a: 1\nb: 1", q="a: 2").plain() == {"a": 2, "b": 1}


def test_a_section_of_another_type_replaces_the_included_one(read):
    tree = read("include: b.yaml\ns: {type: constant}", b="s: {type: linear, end: 1}")
    assert tree.plain() == {"s": {"type": "constant"}}


def test_an_include_is_relative_to_the_file_it_stands_in(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/c.yaml").write_text("include: deeper/b.yaml")
    (tmp_path / "sub/deeper").mkdir()
    (tmp_path / "sub/deeper/b.yaml").write_text("include: ../a.yaml\nb: 1")
    (tmp_path / "sub/a.yaml").write_text("a: 1")
    monkeypatch.chdir("/")
    assert read_tree(tmp_path / "sub/c.yaml").plain() == {"a": 1, "b": 1}


def test_each_value_belongs_to_the_folder_of_its_file(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "c.yaml").write_text("include: sub/b.yaml\nx: 1")
    (tmp_path / "sub/b.yaml").write_text("y: 1")
    tree = read_tree(tmp_path / "c.yaml", ["z=1"])
    assert [tree.value[k].place.folder for k in "xyz"] == [tmp_path, tmp_path / "sub", type(tmp_path)(os.getcwd())]


@pytest.mark.parametrize("text, expected", [
    ("include: none.yaml", "c.yaml:1:10: no such file: "),
    ("include: c.yaml", "c.yaml:1:10: include: c.yaml includes this file in turn"),
    ("include: b.yaml", "b.yaml:1:10: include: c.yaml includes this file in turn"),
    ("include: {a: 1}", "c.yaml:1:10: include: expected the path of a file"),
    ("include: [b, 3]\nb: 1", "c.yaml:1:"),
    ("x: 1\ninclude: bad.yaml", "bad.yaml:1:7: duplicate key"),
])
def test_a_wrong_include_is_placed_in_the_right_file(refused, text, expected):
    assert refused(text, b="include: c.yaml", bad="{a: 1,a: 2}").startswith(expected)


def test_includes_cannot_grow_without_bound(refused):
    files = {f"f{i}": f"include: [f{i + 1}.yaml, f{i + 1}.yaml]\n" for i in range(10)}
    assert "more than 100 files" in refused("include: f0.yaml", **files, f10="a: 1")


# Overrides

def test_the_last_override_wins_over_the_file(read):
    assert read("o: {lr: 1, m: 2}", "o.lr=3", "--o.lr=1e-3").plain() == {"o": {"lr": 1e-3, "m": 2}}


@pytest.mark.parametrize("override, expected", [
    ("l.1=9", {"l": [1, 9], "s": 1}), ("l=[]", {"l": [], "s": 1}),
    ("n.m.k={x: no}", {"l": [1, 2], "s": 1, "n": {"m": {"k": {"x": "no"}}}}),
    ("s.a=1", {"l": [1, 2], "s": {"a": 1}}), ("s=", {"l": [1, 2], "s": None}), ("s=a=b", {"l": [1, 2], "s": "a=b"}),
])
def test_an_override_puts_its_value_at_the_path(read, override, expected):
    assert read("l: [1, 2]\ns: 1", override).plain() == expected


def test_the_place_of_an_override_is_the_override_itself(read):
    node = read("o: {lr: 1}", "o.lr=3").value["o"].value["lr"]
    assert str(node.place) == str(node.key_place) == "command line: o.lr=3" and node.place.caret() == ""


@pytest.mark.parametrize("override, expected", [
    ("lr", "command line: lr: no '=' in it; write key=value"),
    ("=3", "command line: =3: the key is empty"),
    ("a..b=3", "command line: a..b=3: the key is empty or has an empty part"),
    ("l.7=3", "command line: l.7=3: l is a list of 2, which has no '7'"),
    ("l.x=3", "command line: l.x=3: l is a list of 2, which has no 'x'"),
    ("a=[1", "command line: a=[1: not YAML: "),
    ("a={b: 1, b: 2}", "command line: a={b: 1, b: 2}: duplicate key 'b', already set before"),
    ("include=x.yaml", "command line: include=x.yaml: include is for files"),
    ("a\nb", "command line: a\\nb: no '='"),
    ("a\udc80=1", "command line: a\\udc80=1: the key is not Unicode text"),
    ("a=\udc80", "command line: a=\\udc80: not YAML: "),
    (".".join("a" * 60) + "=1", "command line: a.a"),
])
def test_a_malformed_override_is_refused_on_one_line(refused, override, expected):
    text = refused("l: [1, 2]", override)
    assert text.startswith(expected) and "\n" not in text


def test_mistakes_come_in_the_order_of_their_places(refused):
    lines = refused("a: 1\na: 2\ninclude: b.yaml\n", "nothing", b="x: 1\nx: 2").splitlines()
    assert [line.split(": ")[0] for line in lines] == ["c.yaml:2:1", "b.yaml:2:1", "command line"]


def test_a_placed_error_holds_each_problem_with_its_place(read):
    with pytest.raises(PlacedError) as caught:
        read("a: 1\na: 2")
    assert [(p.place.line, p.place.column) for p in caught.value.problems] == [(2, 1)]
