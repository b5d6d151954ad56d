"""Memory that is used again: arrays that are made at every step cost no new pages."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import numpy as np
import nnkit

def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def step():
    return [np.ones(1 << 19, np.uint8) for _ in range(6)]

for _ in range(3):
    step()
before = pages()
for _ in range(10):
    step()
print(pages() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep freed memory by rules of their own")
def test_arrays_of_half_a_megabyte_are_made_of_pages_that_the_process_has():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100  # of 7680 that the arrays have
