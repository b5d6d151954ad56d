"""What is seen: pictures of a computation graph, and pages that a person reads in a browser."""

from nnkit.show.drawing import draw

__all__ = ["draw"]
