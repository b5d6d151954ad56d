"""einsum: sums of products by the letters of their axes. Its derivative is an einsum with the letters exchanged."""

import functools
from string import ascii_letters, ascii_lowercase, ascii_uppercase
from typing import Any

import numpy as np

from nnkit.autograd import Operation, Tensor, tensor_op


def letters_of(subscripts, ndims):
    """("i...,j", [3, 1]) → (["iab", "j"], "abij"): the letters of every operand and of the result, without ellipses."""
    given, arrow, result = subscripts.replace(" ", "").partition("->")
    parts = given.split(",")
    fresh = [c for c in ascii_letters if c not in subscripts]
    hidden = [ndim - len(part) + 3 if "..." in part else 0 for part, ndim in zip(parts, ndims)]
    ellipsis = "".join(fresh[:max(hidden)])
    if not arrow:  # NumPy's rule: the ellipsis, then in alphabetical order the letters that occur once
        letters = given.replace(",", "").replace(".", "")
        result = "..." * ("..." in given) + "".join(c for c in sorted(set(letters)) if letters.count(c) == 1)
    parts = [part.replace("...", ellipsis[len(ellipsis) - n:]) for part, n in zip(parts, hidden)]
    return parts, result.replace("...", ellipsis)


@tensor_op
class einsum(Operation):
    """einsum("ij,jk->ik", a, b): the sum of products that NumPy's function of this name computes, every pattern of it

    Ellipses, repeated letters ("ii->i") and axes of length 1 that broadcast, too; and einsum(a, [0, 1], b, [1, 2], [0, 2]).
    ValueError where subscripts do not fit.
    """

    @staticmethod
    def forward(ctx, *operands, subscripts):
        ctx.extend([operands, subscripts])
        return np.einsum(subscripts, *operands, optimize=len(operands) > 1)  # optimised: by BLAS where it can be

    @staticmethod
    def backward(ctx, grad_output):
        operands, subscripts = ctx
        parts, result = letters_of(subscripts, [np.ndim(x) for x in operands])
        lengths: dict[str, int] = {}
        for part, x in zip(parts, operands):
            for letter, n in zip(part, np.shape(x)):
                lengths[letter] = n if lengths.get(letter, 1) == 1 else lengths[letter]
        grads: list[Any] = []
        for i, part in enumerate(parts):
            if not ctx.needs_grad[i]:
                grads.append(None)
                continue
            terms = [(result, grad_output), *((p, x) for k, (p, x) in enumerate(zip(parts, operands)) if k != i)]
            known = {letter for p, x in terms for letter, n in zip(p, np.shape(x)) if n == lengths[letter]}
            fresh = iter(c for c in ascii_letters if c not in lengths)
            wanted = ""
            for letter in part:
                if letter in wanted:  # a repeated letter reads a diagonal: off it the gradient is 0
                    other = next(fresh)
                    terms.append((letter + other, np.eye(lengths[letter], dtype=grad_output.dtype)))
                    letter = other
                elif letter not in known:  # summed away: the same for every element
                    terms.append((letter, np.ones(lengths[letter], grad_output.dtype)))
                wanted += letter
            back = ",".join(p for p, _ in terms) + "->" + wanted
            grads.append(np.einsum(back, *(x for _, x in terms), optimize=len(terms) > 1))
        return grads


def spelled(operands):
    """einsum(a, [0, 1], b, [1, 2], [0, 2]), NumPy's other form, as ("AB,BC->AC", (a, b)): 0 is A, 26 is a."""
    count = len(operands) // 2
    places = [*operands[1:2 * count:2], *operands[2 * count:]]
    if not count or not all(isinstance(part, (list, tuple)) for part in places):
        raise TypeError("einsum: expected the subscripts as a string, first, or a list of axis numbers after each operand")
    letters = dict(enumerate(ascii_uppercase + ascii_lowercase)) | {Ellipsis: "..."}
    wrong = [n for part in places for n in part if n not in letters]
    if wrong:
        raise TypeError(f"einsum: an axis is a number from 0 to 51 or an ellipsis, got {wrong[0]!r}")
    words = ["".join(letters[n] for n in part) for part in places]
    return "->".join([",".join(words[:count]), *words[count:]]), operands[:2 * count:2]


subscripts_by_name: Any = einsum


@functools.wraps(subscripts_by_name)  # type: ignore[no-redef]
def einsum(*operands: Any, subscripts: str | None = None) -> Tensor:
    if subscripts is None:  # as np.einsum has them: first
        first = operands[0] if operands else None
        subscripts, operands = (first, operands[1:]) if isinstance(first, str) else spelled(operands)
    return subscripts_by_name(*operands, subscripts=subscripts)
