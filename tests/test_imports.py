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


@pytest.mark.parametrize("name", nnkit.__all__)
def test_every_public_name_is_there(name):
    assert getattr(nnkit, name) is not None


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        nnkit.nothing  # noqa: B018
