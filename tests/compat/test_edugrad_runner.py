"""python -m nnkit.compat.edugrad SCRIPT: the script runs as Python would run it, and nothing stays behind."""

import sys

import pytest
from edugrad_programs import run

from nnkit.compat.edugrad import __main__


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
