"""The computation graph: what a Tensor is, what an operation is, and how gradients flow back."""

from nnkit.autograd.check import check_gradients
from nnkit.autograd.engine import backward
from nnkit.autograd.modes import default_dtype, enable_grad, get_default_dtype, no_grad
from nnkit.autograd.operation import Context, Operation, tensor_op
from nnkit.autograd.rows import RowGrad, scatter_add_rows
from nnkit.autograd.tensor import Tensor

__all__ = ["Context", "Operation", "RowGrad", "Tensor", "backward", "check_gradients", "default_dtype", "enable_grad",
           "get_default_dtype", "no_grad", "scatter_add_rows", "tensor_op"]
