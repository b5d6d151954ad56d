"""What the tests of edugrad's names share: an interpreter that has edugrad, NumPy's global generator seeded, scripts."""

import importlib.util
import os
import sys

import numpy as np
import pytest


@pytest.fixture
def real_python():
    """An interpreter that has edugrad itself."""
    if python := os.environ.get("NNKIT_EDUGRAD_PYTHON"):
        return python
    if importlib.util.find_spec("edugrad"):
        return sys.executable
    pytest.skip("no edugrad here; NNKIT_EDUGRAD_PYTHON names an interpreter that has it")


@pytest.fixture
def seeded():
    """NumPy's global generator, seeded as programs do it; afterwards it is as it was."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    yield np.random.RandomState(0)
    np.random.set_state(state)  # noqa: NPY002


@pytest.fixture
def script(tmp_path):
    def write(text, name="script.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name
    return write
