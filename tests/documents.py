"""Runs a Markdown document as its reader would, in the order of the text: its programs, its files, its changes, its commands.

    ```python                       a program, run by itself in the document's folder; where "It prints" and an indented block
                                    follow, that is to the letter what it prints, otherwise it prints nothing
    ```python  (or yaml, ...)       with a first line "# hw6/layers.py": this file is written, or with "# added to hw6/layers.py"
                                    the rest is put at its end
    ```diff                         with a first line "--- hw6/layers.py": the lines with - (and those around) stand there once,
                                    and the lines with + take their place
    $ nnkit init hw6                indented or in ```console: a command; the lines below it, up to the next $, are what it prints
    other indented blocks, ```text  are shown and not run; any other fence is a mistake in the document

In what a command prints, "..." stands for any text in a line, and alone in a line for any lines. Numbers with a point or a comma,
and those of time (7 s, 900 words/s), stand for any number, for they are not the same on every machine and with every Python. All
others, and all words, are compared. A command that shows nothing, or nothing but "...", must succeed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NUMBER = r"\d[\d,]*\.\d+(?:e[+-]?\d+)?|\d{1,3}(?:,\d{3})+|\d+e[+-]?\d+|\d+(?= ?(?:\w+/)?s\b)"
VARYING = re.compile(rf"(\.\.\.|{NUMBER})")
FILE = re.compile(r"# (added to )?([\w./-]+\.\w+)\n")
SHOWN_ONLY = {"text", "indented"}


@dataclass(frozen=True)
class Block:
    """A block of a document, and where it begins. kind: the language of its fence, console, output (of a program) or indented."""

    kind: str
    text: str
    line: int


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a document, in order."""
    lines = text.splitlines()
    i, said = 0, ""  # said: the last line of prose
    while i < len(lines):
        start = i + 1
        if lines[i].startswith("```"):
            kind = lines[i].removeprefix("```").strip()
            i = lines.index("```", i + 1)
            yield Block(kind, "".join(f"{line}\n" for line in lines[start:i]), start + 1)
            said = ""
        elif lines[i].startswith("    ") and (i == 0 or not lines[i - 1].strip()):
            while i + 1 < len(lines) and (lines[i + 1].startswith("    ") or _goes_on(lines, i + 1)):
                i += 1
            inside = "".join(f"{line[4:]}\n" for line in lines[start - 1:i + 1])
            kind = "console" if inside.startswith("$ ") else "output" if said.strip() == "It prints" else "indented"
            yield Block(kind, inside, start)
        elif lines[i].strip():
            said = lines[i]
        i += 1


def _goes_on(lines: list[str], i: int) -> bool:
    """Whether an empty line is one inside an indented block."""
    return not lines[i].strip() and i + 1 < len(lines) and lines[i + 1].startswith("    ")


def run_document(path: Path, folder: Path) -> int:
    """Run all of it in `folder`; how many blocks were run. AssertionError names the line and what was found in place of what."""
    ran, waiting = 0, None  # waiting: the program whose output may follow, with what it printed
    for block in blocks(path.read_text(encoding="utf-8")):
        where = f"{path.name}:{block.line}"
        if block.kind == "output":
            assert waiting is not None, f"{where}: no program stands above it"
            _compare(waiting == block.text, where, "the program", block.text, waiting)
            waiting = None
            continue
        assert not waiting, f"{where}: the program above it prints, and the document does not say so:\n{waiting}"
        if block.kind in SHOWN_ONLY:
            continue
        ran += 1
        if block.kind == "console":
            for command, shown in transcript(block.text):
                _run_command(command, shown, folder, where)
        elif block.kind == "diff":
            change(block.text, folder, where)
        elif (named := FILE.match(block.text)) is not None:
            file = folder / named[2]
            before = file.read_text(encoding="utf-8") if named[1] else ""
            file.write_text(before + block.text[named.end() if named[1] else 0:], encoding="utf-8")
        else:
            assert block.kind == "python", f"{where}: ```{block.kind} is neither run nor a file"
            done = _run([sys.executable, "-W", "error", "-c", block.text], folder, subprocess.PIPE)
            assert done.returncode == 0, f"{where}: the program fails:\n{done.stderr}"
            waiting = done.stdout
    assert not waiting, f"{path.name}: the last program prints, and the document does not say so:\n{waiting}"
    return ran


def transcript(text: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with the output that is shown below it."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2]))


def change(text: str, folder: Path, where: str) -> None:
    """Make the change of a ```diff block."""
    first, *lines = text.splitlines()
    assert first.startswith("--- ") and all(line[:1] in ("-", "+", " ", "") for line in lines), f"{where}: no change of a file"
    file = folder / first.removeprefix("--- ")
    old, new = ("".join(f"{line[1:]}\n" for line in lines if line[:1] != other) for other in "+-")
    content = file.read_text(encoding="utf-8")
    assert content.count(old) == 1, f"{where}: {content.count(old)} places of {file.name} are\n{old}"
    file.write_text(content.replace(old, new), encoding="utf-8")


def agrees(shown: str, printed: str) -> bool:
    """Whether a command that prints `printed` does what the document shows."""
    pattern = "".join(r"(?:.*\n)*?" if line.strip() == "..." else f"{_pattern(line)}\n" for line in shown.splitlines())
    printed = "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
    return re.fullmatch(pattern, printed) is not None


def _pattern(line: str) -> str:
    parts = VARYING.split(line.rstrip())  # every other one is a number or dots
    varying = (".*" if part == "..." else r"[\d.,]+(?:e[+-]?\d+)?" for part in parts[1::2])
    fixed = [re.sub(r"(?:\\ )+", " +", re.escape(part)) for part in parts[::2]]  # columns are as wide as their numbers
    return fixed[0] + "".join(v + f for v, f in zip(varying, fixed[1:]))


def _run_command(command: str, shown: str, folder: Path, where: str) -> None:
    done = _run(command, folder, subprocess.STDOUT)
    _compare(agrees(shown, done.stdout), where, f"$ {command}", shown, done.stdout)
    if not shown.replace("...", "").strip():
        assert done.returncode == 0, f"{where}: $ {command}: ends with {done.returncode}:\n{done.stdout}"


def _run(command: str | list[str], folder: Path, errors: int) -> subprocess.CompletedProcess[str]:
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])  # python, pytest and nnkit
    environment = {**os.environ, "PATH": programs, "COLUMNS": "80", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, shell=isinstance(command, str), cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True,
                          encoding="utf-8", timeout=300, env=environment)


def _compare(agree: bool, where: str, what: str, shown: str, printed: str) -> None:
    assert agree, f"{where}: {what} does not print what is shown\n--- shown\n{shown}--- printed\n{printed}"
