"""`import nnkit` brings what a program needs and nothing that costs time."""

import subprocess
import sys

import pytest

import nnkit

NAMES = "import numpy, sys; before = set(sys.modules); import nnkit; print(*sorted(set(sys.modules) - before))"


@pytest.fixture(scope="module")
def imported():
    """What `import nnkit` imports beyond what numpy has imported already."""
    return subprocess.run([sys.executable, "-W", "error", "-c", NAMES], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("heavy", ["matplotlib", "pydantic", "yaml", "tqdm", "threadpoolctl", "numba", "scipy", "pandas", "torch",
                                   "multiprocessing", "asyncio", "concurrent", "unittest", "http", "logging", "html", "xml"])
def test_import_nnkit_is_light(imported, heavy):
    assert [name for name in imported if name.split(".")[0] == heavy] == []


def test_import_nnkit_does_not_import_the_training_loop(imported):
    assert not [name for name in imported if name.startswith("nnkit.training")]


@pytest.mark.parametrize("later", ["nnkit.data.tables", "nnkit.losses", "nnkit.metrics", "nnkit.optim", "nnkit.nn.recurrent"])
def test_parts_are_imported_when_they_are_first_asked_for(imported, later):
    assert later not in imported


@pytest.mark.parametrize("module", [nnkit, nnkit.nn, nnkit.data])
def test_names_that_are_imported_later_are_there_from_the_start(module):
    assert set(module.__all__) <= set(dir(module))
    namespace = {}
    exec(f"from {module.__name__} import *", namespace)
    assert set(module.__all__) <= set(namespace)


@pytest.mark.parametrize("name", nnkit.__all__)
def test_every_public_name_is_there(name):
    assert getattr(nnkit, name) is not None


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        nnkit.nothing  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        nnkit.nn.nothing  # noqa: B018
