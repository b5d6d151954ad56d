"""edugrad's modules and names on nnkit's engine, so that a course program written for edugrad runs unchanged.

    python -m nnkit.compat.edugrad SCRIPT ARGS...

runs a script that says `import edugrad`; only there do these modules go by that name. What the programs print is the
measure: the names, the arithmetic, the order of random draws and the handling of gradients are edugrad's (0.1.0), as
they can be observed from outside.
"""

from nnkit.compat.edugrad import data, nn, ops, optim, tensor
from nnkit.compat.edugrad.tensor import Tensor

__all__ = ["Tensor", "data", "nn", "ops", "optim", "tensor"]
