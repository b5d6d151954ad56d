"""Configs as people and programs spoil them: the shipped ones changed in keys, values, layout and bytes, for hypothesis to draw.

Two kinds. `mangled` is changed in one or several places, by anything, and nobody knows what should come of it. `mistaken` has one
mistake, whose line and column are known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import yaml
from hypothesis import strategies as st

from nnkit.training.recipe import load_recipe, shipped_folder
from nnkit.training.schema import public_paths
from nnkit.training.synonyms import CALLED_HERE, NOT_HERE

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
# small data in the place of what every Python has, by recipe
DATA = {"sgns": "../data/corpus.txt", "cbow": "../data/corpus.txt", "language_model": "../data/corpus.txt",
        "transformer_lm": "../data/corpus.txt", "classifier": "../data/table.csv", "dan": "../data/texts.tsv",
        "sequence_tagger": "../data/tagged.tsv"}


def recipe_of(text: str) -> str:
    return re.findall(r"^recipe: \.\./recipes/(\w+)\.py", text, re.MULTILINE)[0]


def shipped(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    return re.sub("builtin:python-(docs|code)", DATA[recipe_of(text)], text)


TEXTS = {path.stem: shipped(path) for path in sorted(CONFIGS.glob("*.yaml"))}


@dataclass(frozen=True)
class Spot:
    """A key or a value: where its text stands, and what is above it."""

    start: int
    end: int
    line: int                      # from 1, as the column
    column: int
    keys: tuple[str, ...]          # to it, and with it where it is a key; items of lists are ""
    is_key: bool
    text: str
    siblings: tuple[str, ...] = ()  # of a key: all in its section
    is_block: bool = False         # a value that goes over several lines


def spots(text: str) -> list[Spot]:
    """All keys and values of a config, in order."""
    found: list[Spot] = []

    def spot(node: yaml.Node, keys: tuple[str, ...], is_key: bool, siblings: tuple[str, ...] = ()) -> None:
        start, end = node.start_mark, node.end_mark
        is_block = not isinstance(node, yaml.ScalarNode) and not node.flow_style
        found.append(Spot(start.index, end.index, start.line + 1, start.column + 1, keys, is_key, text[start.index:end.index],
                          siblings, is_block))

    def walk(node: yaml.Node, keys: tuple[str, ...]) -> None:
        if keys:
            spot(node, keys, False)
        if isinstance(node, yaml.MappingNode):
            names = tuple(key.value for key, _ in node.value)
            for key, value in node.value:
                spot(key, (*keys, key.value), True, names)
                walk(value, (*keys, key.value))
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                walk(item, (*keys, ""))

    walk(yaml.compose(text, yaml.SafeLoader), ())
    return found


SPOTS = {name: spots(text) for name, text in TEXTS.items()}
KEYS = {name: [s for s in found if s.is_key] for name, found in SPOTS.items()}
VALUES = {name: [s for s in found if not s.is_key] for name, found in SPOTS.items()}
NUMBERS = {name: [s for s in found if re.fullmatch(r"[0-9.e-]+", s.text)] for name, found in VALUES.items()}
PATHS = {name: {p.path for p in public_paths(load_recipe(shipped_folder("recipes") / f"{recipe_of(text)}.py").Config)}
         for name, text in TEXTS.items()}
NAMES = {part for paths in PATHS.values() for path in paths for part in path.replace("[]", "").split(".")}
NAMES |= {"include", *(s.text for found in KEYS.values() for s in found), "in_features", "bias", "inplace", "negative_slope"}

# what others call keys of each config
FOREIGN = {name: [other for other, ours in CALLED_HERE.items()
                  if other not in NAMES and any(f".{path}".endswith(f".{ours}") for path in paths)]
           for name, paths in PATHS.items()}

# Anything, anywhere

OTHER_KEYS = [
    *CALLED_HERE, *NOT_HERE, *sorted(NAMES), "''", "'<<'", "<<", "1", "~", "true", "1.5", "[a]", "{a: b}", "&k k", "*k", "? k",
    "!!str k", "!!int k", "!k k", "schlüssel", "日本", "🙂", '"a\\0b"', '"\\ud800"', '"a\\nb"', "k" * 900, "k" * 3000, "- k",
    "Lr", "-lr", "l r", "lr ", "'lr'", "one", "many", "int", "str", "SGD", "@lr", "`lr`", "%lr", "#lr"]
OTHER_VALUES = [
    "", "~", "null", "true", "no", "yes", "0", "1", "2", "3", "-1", "-0.0", "1e-3", "0.5", "1e-320", "1e400", "1e308", ".inf",
    "-.inf", ".nan", "9" * 40, "9" * 400, "-" + "9" * 400, "9" * 1001, "0x1F", "0x" + "f" * 900, "0o17", "0b1", "1_000", "010",
    "1:30", "2001-01-01", "'1'", '"1e-3"', "word", "two words", "x" * 5000, "日本語", "naïve", "🙂", '"a\\0b"', '"\\ud800"',
    '"a\\nb"', '"\\UFFFFFFFF"', '"\\x"', "'", '"', "[]", "{}", "[1]", "[[1, [2]]]", "{a: {b: 1}}", "{int: 1}", "{one: x}",
    "{many: [1]}", "{type: Linear}", "{type: Adam}", "{type: [1]}", "{type: }", "[a, 1, true, ~]", "{1: 2}", "[*a]", "&a [*a]",
    "*nothing", "&a x", "&a {b: *a}", "!!python/object/apply:os.getcwd []", "!!python/name:os.system ''", "!!binary aGk=",
    "!!set {a}", "!!int x", "!!float 1", "!!str 5", "!!null x", "!x 1", "!!timestamp 2001-01-01", "!<tag:yaml.org,2002:int> 5",
    "! 5", "!!omap []", "nowhere/nothing.txt", "/", ".", "..", "~/x", "/dev/null", "$NNKIT_DATA/nothing", "$NNKIT_DATA/",
    "$HOME/x", "builtin:nothing", "builtin:", "./", "../recipes/sgns.py", "../recipes/cbow.py", "../configs/sgns.yaml",
    "../recipes", "a/" * 2000 + "b.py", '"a\\0/b.py"', "sgns", "classifier", "1 step", "3 epochs", "0 steps",
    "99999999999999999999 steps", "1 year", "+dev_acc", "-dev_loss", "-train_loss", "dev_acc", "+nothing", "SGD", "sgd", "Adam",
    "linear", "plateau", "cosine", "|", ">", "|\n  x", "%", "@x", "`x`", "a: b", "a # b", "#", "- a", "? a", "[", "{", "]", "}",
    "[1", "{a", "[1,,2]", "{,}", "\ttab", "\ufeff", "\x85", "\u2028", "\x00", "\x07", "\x7f", "2 + 2", "${lr}", "<<", "=",
    "...", "---"]
FRAMES = ["[VALUE]", "{x: VALUE}", "!!str VALUE", "!x VALUE", "&a VALUE", "'VALUE'", "-VALUE", "VALUE VALUE", "VALUE0"]
LIKELY_VALUES = ["1", "2", "3", "7", "20", "100", "0", "0.1", "0.25", "1e-3", "5e-1", "true", "false", "null", "5 steps",
                 "1 epoch", "word", "-train_loss", "+train_loss", "[a, b]", "{type: SGD, lr: 0.1}", "{type: constant}"]
INCLUDES = ["missing.yaml", "mangled.yaml", "./mangled.yaml", "cycle.yaml", ".", "..", "base.yaml", "[base.yaml, base.yaml]",
            "[base.yaml, missing.yaml]", "[]", "[[base.yaml]]", "{a: base.yaml}", "", "3", "''", '"a\\0b"', "broken.yaml",
            "x" * 300, "a/" * 3000, "latin.yaml", "/dev/zero", "../data/corpus.txt", "&a [*a]", "~/base.yaml", "sub/deeper.yaml"]
LINES = [
    "seed: 2", "  seed: 2", "nothing: here", "- item", "word", "---", "...", "--- # again", "%YAML 1.2", "%YAML 2.0",
    "%TAG ! x:", "# comment", "", "\t", "  ", "a: &a 1", "b: *a", "<<: {seed: 2}", "? [a]", ": 1", "data: {}", "model:",
    "optimizer: {lr: 0.1}", "optimizer: {type: Adam, betas: [0.5, 0.5]}", "optimizer: {momentum: 0.5}",
    "optimizer: {tpye: Adam}", "schedule: {typ: cosine}", "training: {patience: 3}", "eval: {monitor: -train_loss}",
    "eval: {monitor: +dev_acc}", "training: {workers: 3}", "training: {blas_threads: 99999999999}", "name: a/b",
    "name: " + "n" * 300, "name: ..", "log: {every: 1 step}", "save: {every: 2 steps}", "a: " + "[" * 60,
    "a: " + "[[" * 30 + "]]" * 30, "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 16))]


def lines_of(text: str) -> list[str]:
    return text.splitlines(keepends=True)


@st.composite
def in_spots(draw, name: str) -> str:
    """The config with other keys or values in some places."""
    text = TEXTS[name]
    gently = draw(st.integers(0, 2)) == 0  # other numbers alone, many of which are right
    chosen = draw(st.lists(st.sampled_from(NUMBERS[name] if gently else SPOTS[name]), min_size=1, max_size=2, unique=True))
    after = len(text) + 1
    for spot in sorted(chosen, key=lambda s: s.start, reverse=True):
        if spot.end > after:  # it holds the one before
            continue
        after = spot.start
        rest = "\n" if spot.is_block else ""
        if gently:
            new = draw(st.sampled_from(["1", "2", "3", "7", "20"] if spot.text.isdigit() else ["0.1", "0.25", "1e-3", "5E-1"]))
        elif spot.is_key:
            new = draw(st.sampled_from(OTHER_KEYS) | misspellings(spot.text))
        else:
            new = draw(st.sampled_from(OTHER_VALUES) | st.sampled_from(LIKELY_VALUES) | st.sampled_from(FRAMES))
            new = new.replace("VALUE", spot.text.rstrip("\n"))
        text = text[:spot.start] + new + rest + text[spot.end:]
    return text


@st.composite
def in_lines(draw, text: str) -> str:
    """The text with lines that are doubled, lost, moved, indented otherwise, or new."""
    lines = lines_of(text)
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["double", "lose", "move", "indent", "dedent", "tab", "new", "include"])):
            case "double":
                lines.insert(draw(st.integers(0, len(lines))), lines[at])
            case "lose" if len(lines) > 1:
                del lines[at]
            case "move":
                lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(at))
            case "indent":
                lines[at] = " " * draw(st.integers(1, 3)) + lines[at]
            case "dedent":
                lines[at] = lines[at].lstrip(" ")
            case "tab":
                lines[at] = "\t" + lines[at].lstrip(" ")
            case "new":
                lines.insert(at, draw(st.sampled_from(LINES)) + "\n")
            case "include":
                lines.insert(draw(st.sampled_from([0, len(lines)])), f"include: {draw(st.sampled_from(INCLUDES))}\n")
    return "".join(lines)


@st.composite
def in_characters(draw, text: str) -> str:
    """The text with a few characters in the place of others."""
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(text)))
        new = draw(st.text(max_size=3) | st.sampled_from(list(":{}[],#&*!|>'\"%@`\t\n\r\\\x00\ufeff\u2028é")))
        text = text[:at] + new + text[at + draw(st.integers(0, 3)):]
    return text


DOCUMENTS = ["---\n{}", "{}---\n", "{}...\n", "{}---\n{}", "%YAML 1.2\n---\n{}", "a:\n  {}", "[{}]", "# {}"]
ENCODINGS = ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252", "utf-7"]


@st.composite
def mangled(draw) -> bytes:
    """A shipped config, changed in some places: about two in three are still YAML."""
    name = draw(st.sampled_from(sorted(TEXTS)))
    text = TEXTS[name]
    kind = draw(st.integers(0, 9))
    if kind <= 6:
        text = draw(in_spots(name))
    if kind in (0, 7, 8):
        text = draw(in_lines(text))
    if kind == 9:
        text = draw(in_characters(text))
    match draw(st.integers(0, 19)):
        case 0:
            text = re.sub("\n", draw(st.sampled_from(["\r\n", "\r", "\n\n", "\x85", "\u2028"])), text)
        case 1:
            text = draw(st.sampled_from(DOCUMENTS)).format(text, text)
        case 2:
            text += draw(st.sampled_from(["# é\n", "# 日本\n", "\x1a", "\x00", "\t", "\ufeff"]))
        case 3:
            return (text + "# é\n").encode(draw(st.sampled_from(ENCODINGS)), "replace")
        case 4:
            data = bytearray(text.encode("utf-8", "surrogatepass"))
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
            return bytes(data)
    return text.encode("utf-8", "surrogatepass")


# One mistake, at a known place

@dataclass(frozen=True)
class Mistaken:
    """A config with one mistake in it, the place that a line about it must begin with, and what that line must hold."""

    text: str
    line: int
    column: int
    said: str


@st.composite
def misspellings(draw, word: str) -> str:
    """A word with one letter lost, doubled, changed or out of turn, as fingers do; it is no key of any config."""
    at = draw(st.integers(0, len(word) - 1))
    match draw(st.sampled_from(["lose", "double", "change", "swap"])):
        case "lose" if len(word) > 2:
            word = word[:at] + word[at + 1:]
        case "change":
            word = word[:at] + draw(st.sampled_from("aeioqxz_")) + word[at + 1:]
        case "swap" if word[at:at + 1] != word[at + 1:at + 2] != "":
            word = word[:at] + word[at + 1] + word[at] + word[at + 2:]
        case _:
            word = word[:at] + word[at] + word[at:]
    return word if word not in NAMES and word[0].isalpha() else f"{word}q"


OTHERWISE = ("p", "dev", "test", "layers")  # numbers: what else is given may be right, or is refused inside, or later
NO_VALUES, NO_SECTIONS = ["{zz: [1]}"], ["5", "word", "[1]"]
NO_NUMBERS = ["nope", "'1'", "true", ".nan", ".inf", "-1e9", "9" * 400 + ".5", "[1]"]


@st.composite
def mistaken(draw) -> Mistaken:
    """A shipped config with a misspelt, foreign, doubled or misplaced key, a wrong value or a tag."""
    name = draw(st.sampled_from(sorted(TEXTS)))
    text = TEXTS[name]
    kind = draw(st.sampled_from(["misspelt", "foreign", "doubled", "misplaced", "wrong", "tag", "no number"]))
    key = draw(st.sampled_from(KEYS[name]))
    value = draw(st.sampled_from([s for s in VALUES[name] if not s.is_block]))
    if kind == "misspelt":
        return replaced(text, key, draw(misspellings(key.text)), "")
    if kind == "foreign":
        key = draw(st.sampled_from([s for s in KEYS[name] if "" not in s.keys and s.text not in ("recipe", "type")]))
        other = draw(st.sampled_from(FOREIGN[name]))
        return replaced(text, key, other, "here it is called ")
    if kind == "doubled":
        return doubled(text, key)
    if kind == "misplaced":
        below = [s for s in KEYS[name] if len(s.keys) == 2 and s.text not in ("type", "every")]
        key = draw(st.sampled_from(below))
        at = key.keys[0]
        line = text[:next(s.start for s in KEYS[name] if s.keys == (at,))].count("\n")
        lines = lines_of(text)
        lines.insert(line, f"{key.text}: 1\n")
        return Mistaken("".join(lines), line + 1, 1, f"unknown key '{key.text}'; did you mean ")
    if kind == "wrong":
        return replaced(text, value, draw(st.sampled_from(NO_SECTIONS if value.text.startswith("{") else NO_VALUES)), "")
    if kind == "tag":
        return replaced(text, value, f"{draw(st.sampled_from(['!x', '!!python/object/apply:os.getcwd', '!!set', '!!omap']))} "
                        f"{value.text}", "unknown tag ")
    numbers = [s for s in NUMBERS[name] if s.keys[-1] not in OTHERWISE]
    return replaced(text, draw(st.sampled_from(numbers)), draw(st.sampled_from(NO_NUMBERS)), "")


def replaced(text: str, spot: Spot, new: str, said: str) -> Mistaken:
    return Mistaken(text[:spot.start] + new + text[spot.end:], spot.line, spot.column, said)


def doubled(text: str, key: Spot) -> Mistaken:
    """The key a second time, before the first one's place in a flow section, and as a line before it in a block."""
    line = lines_of(text)[key.line - 1]
    said = f"duplicate key '{key.text}', already set in line {key.line}"
    if re.match(rf"[ -]*{re.escape(key.text)}:", line) and key.column - 1 == len(line) - len(line.lstrip(" -")):
        start, indent = key.start, key.column - 1  # a block: the first one goes on in the next line
        return Mistaken(f"{text[:start]}{key.text}: 1\n{' ' * indent}{text[start:]}", key.line + 1, key.column, said)
    return Mistaken(f"{text[:key.start]}{key.text}: 1, {text[key.start:]}", key.line, key.column + len(f"{key.text}: 1, "), said)
