"""The computation graph: what a Tensor is, what an operation is, and how gradients flow back."""

from nnkit.autograd import dispatch, memory
from nnkit.autograd.anomaly import AnomalyError, detect_anomaly
from nnkit.autograd.check import check_gradients
from nnkit.autograd.engine import backward
from nnkit.autograd.higher import backward_with_graph, grad, gradients, hessian, jacobian
from nnkit.autograd.modes import default_dtype, enable_grad, get_default_dtype, no_grad
from nnkit.autograd.operation import Context, Operation, tensor_op
from nnkit.autograd.recording import RecordingError, record
from nnkit.autograd.rows import RowGrad, scatter_add_rows
from nnkit.autograd.tensor import Tensor

memory.keep_freed_memory()
dispatch.operations["backward_with_graph"] = backward_with_graph  # Tensor.backward(create_graph=True), which lies below

__all__ = ["AnomalyError", "Context", "Operation", "RecordingError", "RowGrad", "Tensor", "backward", "check_gradients",
           "default_dtype", "detect_anomaly", "enable_grad", "get_default_dtype", "grad", "gradients", "hessian",
           "jacobian", "no_grad", "record", "scatter_add_rows", "tensor_op"]
