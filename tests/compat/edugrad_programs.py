"""Running programs, and leaves and operations to try, for the tests of edugrad's names."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from nnkit.compat.edugrad import Tensor
from nnkit.compat.edugrad.tensor import Operation, tensor_op

PROGRAMS = Path(__file__).parent / "programs"


def run(*words, python=sys.executable, module=("-m", "nnkit.compat.edugrad"), cwd=PROGRAMS):
    return subprocess.run([python, *module, *map(str, words)], cwd=cwd, capture_output=True, text=True, encoding="utf-8",
                          env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, timeout=300)


def leaf(*shape, seed=0):
    return Tensor(np.random.default_rng(seed).normal(size=shape))


def operation(forward, backward):
    return tensor_op(type("mine", (Operation,), {"forward": staticmethod(forward), "backward": staticmethod(backward)}))
