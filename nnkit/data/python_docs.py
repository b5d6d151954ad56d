"""The corpus that is always there: the English that every Python installation carries.

A first run should need no download. The docstrings and comments of the standard library, its help topics, and the
docstrings of NumPy and matplotlib, which stand beside nnkit, are close to a million words of technical prose. All is
read as text and parsed, nothing is imported or run, and the same installation always gives the same corpus.
"""

import ast
import io
import json
import os
import re
import sys
import sysconfig
import tokenize
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from nnkit.errors import DataError

FORMAT = 1  # raise it with every change of what is extracted: caches made before are then left alone

# Tests and copies of other projects, and what pip installed.
LEFT_OUT = {"test", "tests", "idle_test", "_bundled", "site-packages", "dist-packages", "__pycache__"}

# A word or an identifier. `\b` keeps the x1f of 0x1f and the e5 of 1e5 from becoming words.
WORD = re.compile(r"\b[a-z_]\w*", re.ASCII)
MARKUP = re.compile(r"%\(\w+\)s|:[a-z:]+:(?=`)")  # places to fill in, and the roles of :class:`Figure`
BLANK_LINE = re.compile(r"\n[ \t]*\n")
DOCTEST = re.compile(r"^[ \t]*>>>", re.MULTILINE)
LICENCE = re.compile(
    r"copyright|licen[cs]e|all rights reserved|permission (is hereby|to use)|warrant(y|ies)|contributor agreement"
    r"|\(c\) *\d{4}"
)
NOT_PROSE = re.compile(r"#!|#.*?coding[:=]")  # the first two lines of a script

KINDS = {
    "stdlib": ("docstring", "comment", "topic"),
    "numpy": ("docstring",),
    "matplotlib": ("docstring",),
}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Document:
    """One docstring, one block of comments or one help topic."""

    kind: str  # "docstring", "comment" or "topic"
    source: str  # "stdlib", "numpy" or "matplotlib"
    package: str  # the top-level package or module, as "asyncio" or "numpy"
    sentences: list[str]  # one a paragraph: lower-case words with a space between


@dataclass(frozen=True)
class PythonDocs:
    """The whole corpus. `counts` has the words of each source and kind, "files read" and "files skipped";
    `sha256` is that of all sentences, each followed by a newline but the last."""

    documents: list[Document]
    counts: dict[str, int]
    sha256: str


def load(cache_dir: str | os.PathLike[str] | None = None) -> PythonDocs:
    """The corpus, from the cache where it is there and whole, else extracted (some seconds) and cached.

    `cache_dir` defaults to `cache_folder()`. A folder that cannot be written costs time, never the corpus.
    DataError where the standard library lies in no folder (a zipped Python).
    """
    path = Path(cache_dir if cache_dir is not None else cache_folder()) / _cache_name()
    docs = _read_cache(path)
    if docs is None:
        docs = _extract()
        _write_cache(docs, path)
    return docs


def cache_folder() -> Path:
    """Where nnkit keeps what it can make again: $NNKIT_CACHE, or nnkit/ in the place the platform has for it."""
    if folder := os.environ.get("NNKIT_CACHE"):
        return Path(folder)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(base)) / "nnkit"


# ---- extraction


def _extract() -> PythonDocs:
    documents: list[Document] = []
    counts = Counter({"files read": 0, "files skipped": 0})
    for source, kinds in KINDS.items():
        counts.update({f"{source} {kind}s": 0 for kind in kinds})
        for file, package in python_files(source):
            try:
                found = list(_file_documents(file, source, package, kinds))
            # NUL bytes and bad encodings are ValueErrors
            except (SyntaxError, ValueError, RecursionError, tokenize.TokenError, OSError):
                counts["files skipped"] += 1
                continue
            counts["files read"] += 1
            documents += found
    for document in documents:
        words = sum(sentence.count(" ") + 1 for sentence in document.sentences)
        counts[f"{document.source} {document.kind}s"] += words
    if not documents:
        stdlib = sysconfig.get_path("stdlib")
        raise DataError(f"builtin:python-docs: no Python source to read in {stdlib}; name a text file instead")
    return PythonDocs(documents, dict(counts), _text_sha(documents))


def _text_sha(documents: list[Document]) -> str:
    return sha256("\n".join(s for document in documents for s in document.sentences).encode("utf-8")).hexdigest()


def _source_folder(source: str) -> Path | None:
    if source == "stdlib":
        return Path(sysconfig.get_path("stdlib"))
    from importlib.util import find_spec

    try:
        spec = find_spec(source)  # a top-level name: finding it imports nothing
    except ValueError:  # something in sys.modules that was put there by hand
        return None
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def python_files(source: str) -> Iterator[tuple[Path, str]]:
    """Each file with the name of its package, in an order no file system has a say in."""
    root = _source_folder(source)
    if root is None:
        return
    found = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if name not in LEFT_OUT]
        found += [Path(folder, name).relative_to(root).as_posix() for name in names if name.endswith(".py")]
    for name in sorted(found):
        yield root / name, name.split("/")[0].removesuffix(".py") if source == "stdlib" else source


def _file_documents(file: Path, source: str, package: str, kinds: tuple[str, ...]) -> Iterator[Document]:
    with tokenize.open(file) as stream:
        text = stream.read()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an odd escape in somebody else's string is not our user's concern
        tree = ast.parse(text)
    if file.parts[-2:] == ("pydoc_data", "topics.py"):
        found = [("topic", topic) for topic in _topics(tree)]
    else:
        found = [("docstring", docstring) for docstring in _docstrings(tree)]
        if "comment" in kinds:
            found += [("comment", block) for block in _comment_blocks(text)]
    for kind, prose in found:
        if sentences := sentences_of(prose):
            yield Document(kind, source, package, sentences)


def _topics(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            for value in node.value.values:
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield value.value


def _docstrings(node: ast.AST) -> Iterator[str]:
    """Docstrings in the order of the file. Only statements are walked: expressions, most of a tree, hold none."""
    if isinstance(node, DOCUMENTED):
        if docstring := ast.get_docstring(node, clean=False):
            yield docstring
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield from _added_docstrings(node.value)
    for field in ("body", "handlers", "orelse", "finalbody"):
        for child in getattr(node, field, ()):
            if isinstance(child, (ast.stmt, ast.ExceptHandler)):
                yield from _docstrings(child)


def _added_docstrings(call: ast.Call) -> Iterator[str]:
    """NumPy's docstrings of compiled functions: add_newdoc(place, name, text), or (name, text) as the last argument."""
    if getattr(call.func, "id", None) == "add_newdoc" and len(call.args) == 3:
        last = call.args[2]
        last = last.elts[-1] if isinstance(last, ast.Tuple) else last
        if isinstance(last, ast.Constant) and isinstance(last.value, str):
            yield last.value


def _comment_blocks(text: str) -> Iterator[str]:
    """Comments, those that go on in the next line joined; a block that is a licence is left out whole."""
    if "#" not in text:
        return
    blocks: list[list[str]] = []
    row, column = -1, -1
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT or (token.start[0] <= 2 and NOT_PROSE.match(token.string)):
            continue
        alone = token.line.lstrip().startswith("#")
        if not (alone and token.start == (row + 1, column)):
            blocks.append([])
        blocks[-1].append(token.string.lstrip("#"))
        row, column = token.start
    for lines in blocks:
        block = "\n".join(lines)
        if not LICENCE.search(block.lower()):
            yield block


def sentences_of(prose: str) -> list[str]:
    """A paragraph is a sentence. Licences are left out, and of a doctest everything up to the next blank line."""
    sentences = []
    for paragraph in BLANK_LINE.split(prose.lower()):
        if LICENCE.search(paragraph):
            continue
        if doctest := DOCTEST.search(paragraph):
            paragraph = paragraph[: doctest.start()]
        words = [word for word in WORD.findall(MARKUP.sub("", paragraph)) if word.strip("_")]
        if words:
            sentences.append(" ".join(words))
    return sentences


# ---- the cache: a line with the SHA-256 of the rest, then JSON


def _cache_name() -> str:
    from importlib.metadata import PackageNotFoundError, version

    parts = [str(FORMAT), "python", sys.version.split()[0]]
    for package in ("numpy", "matplotlib"):
        try:
            parts += [package, version(package)]
        except PackageNotFoundError:
            parts += [package, "none"]
    # two installations of one version may differ: distributions leave modules out
    places = [str(_source_folder(source)) for source in KINDS]
    parts.append(sha256("\n".join(places).encode("utf-8", "surrogatepass")).hexdigest()[:8])
    return re.sub(r"[^\w.-]", "_", "python-docs-" + "-".join(parts)) + ".json"


def _read_cache(path: Path) -> PythonDocs | None:
    try:
        checksum, body = path.read_bytes().split(b"\n", 1)
        if sha256(body).hexdigest().encode("ascii") != checksum:
            return None
        stored = json.loads(body)
        return PythonDocs([Document(*fields) for fields in stored["documents"]], stored["counts"], stored["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_cache(docs: PythonDocs, path: Path) -> None:
    documents = [[d.kind, d.source, d.package, d.sentences] for d in docs.documents]
    stored = {"documents": documents, "counts": docs.counts, "sha256": docs.sha256}
    body = json.dumps(stored, separators=(",", ":")).encode("utf-8")
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(sha256(body).hexdigest().encode("ascii") + b"\n" + body)
        os.replace(temporary, path)
    except OSError:
        try:
            temporary.unlink()
        except OSError:
            pass
