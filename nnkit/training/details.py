"""What `nnkit train -v` says beyond the rest: where the config was set, what computes, what is trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nnkit.nn import Module
from nnkit.training.config import to_scalar
from nnkit.training.yaml_nodes import Node


def config_lines(tree: Node) -> Iterator[str]:
    """`key: value   [FILE:LINE:COLUMN]`, or the override, for each value that was set; all others have their defaults."""
    for path, node in _leaves(tree):
        yield f"config  {path}: {to_scalar(node.plain())}   [{node.place}]"


def environment_line(environment: dict[str, Any]) -> str:
    """The versions, and the library of matrix products with its threads, as run.json has them."""
    pools = [f"{pool['library']} {pool['version']} ({pool['kernel']}), {pool['threads']} thread{'s' * (pool['threads'] != 1)}"
             for pool in environment["blas"]]
    blas = "; ".join(pools) or "no BLAS that is known"
    return f"with    Python {environment['python']}, NumPy {environment['numpy']}, {blas}, {environment['platform']}"


def parameter_lines(model: Module) -> Iterator[str]:
    """Name, shape, dtype and size of each."""
    for name, parameter in model.named_parameters():
        yield f"model   {name}   {parameter.shape} {parameter.dtype}, {parameter.value.size:,} numbers"


def _leaves(node: Node, prefix: str = "") -> Iterator[tuple[str, Node]]:
    """The values by their dotted keys; a list is one value, as on the command line."""
    if not isinstance(node.value, dict):
        yield prefix, node
        return
    for key, child in node.value.items():
        yield from _leaves(child, f"{prefix}.{key}" if prefix else str(key))
