"""Are the tests awake? One line after another is broken on purpose, in a copy, and each time a test must turn red.

    python scripts/mutate.py [--list] [WORD ...]     only the mutations whose name or file has one of the words

Prints a table and exits with 1 if a mutation survives, if the tests it names are red without it, or if the line that it
breaks is no longer there: then choose another. The work tree is never written to.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "runs", "*.egg-info", "dist", "build")
TIME_LIMIT = 300  # seconds for the tests of one mutation; what hangs is found, too
LONG = {"tests/ops/test_operations.py", "tests/ops/test_second_order.py"}


@dataclass(frozen=True)
class Mutation:
    name: str
    file: str
    fragment: str       # stands exactly once in the file
    replacement: str
    tests: str          # files, with blanks between

    def count(self) -> int:
        path = PROJECT / self.file
        return path.read_text(encoding="utf-8").count(self.fragment) if path.exists() else 0


OPERATIONS = "tests/ops/test_operations.py"
SGNS = "tests/recipes/test_sgns.py"

MUTATIONS = [Mutation(*row) for row in [
    # Operations
    ("subtract: a sign", "nnkit/ops/arithmetic.py",
     "return [grad_output, -grad_output if ctx.needs_grad[1] else None]", "return [grad_output, grad_output]", OPERATIONS),
    ("divide: a square is missing", "nnkit/ops/arithmetic.py", "-grad_output * a / (b * b)", "-grad_output * a / b", OPERATIONS),
    ("mean: the gradient of a sum", "nnkit/ops/reductions.py", "spread(grad_output / (n or 1), x", "spread(grad_output, x",
     OPERATIONS),
    ("var: a factor of two", "nnkit/ops/reductions.py", "2 * grad_output / divisor", "grad_output / divisor", OPERATIONS),
    ("softmax: a sum is missing", "nnkit/ops/reductions.py",
     "np.sum(grad_output * y, axis=axis, keepdims=True)", "grad_output * y", OPERATIONS),
    ("max: each of equal ones gets all", "nnkit/ops/reductions.py",
     "(chosen / np.sum(chosen, axis=axis, keepdims=True))", "chosen", "tests/ops/test_edges.py"),
    ("logsumexp: minus infinity is taken out of itself", "nnkit/ops/reductions.py", "top = np.where(np.isinf(top), 0, top)",
     "pass", "tests/ops/test_edges.py"),
    ("relu: a gradient below 0", "nnkit/ops/activations.py", "np.multiply(grad_output, y > 0,",
     "np.multiply(grad_output, y >= 0,", OPERATIONS),
    ("silu: a saved input is dropped", "nnkit/ops/activations.py", "ctx.extend([x, s])", "ctx.extend([s, s])", OPERATIONS),
    ("erfc: what the square rounds away is lost", "nnkit/ops/error_function.py", "value -= lost * value", "pass",
     "tests/ops/test_error_function.py"),
    ("gelu: a term is missing", "nnkit/ops/activations.py", "part + x * slope", "part", OPERATIONS),
    ("tanh: the input is saved, not the result", "nnkit/ops/elementwise.py",
     "y = np.tanh(x)\n        ctx.append(y)", "y = np.tanh(x)\n        ctx.append(x)", OPERATIONS),
    ("dropout: what is kept is not scaled", "nnkit/ops/elementwise.py", "x.dtype.type(1 / (1 - p))", "x.dtype.type(1)",
     "tests/nn/test_layers.py"),
    ("cumsum: from the wrong end", "nnkit/ops/cumulative.py",
     "np.flip(np.cumsum(np.flip(grad_output, axis), axis=axis), axis)", "np.cumsum(grad_output, axis=axis)", OPERATIONS),
    ("prod: what stands behind is left out", "nnkit/ops/cumulative.py", "* before * after", "* before", OPERATIONS),
    ("transpose: back by the same order", "nnkit/ops/shaping.py", "np.argsort([a % x.ndim for a in axes])",
     "[a % x.ndim for a in axes]", OPERATIONS),
    ("flip: the wrong axis", "nnkit/ops/shaping.py", "return [np.flip(grad_output, axis)]", "return [np.flip(grad_output)]",
     OPERATIONS),
    ("scatter: places that repeat are lost", "nnkit/ops/indexing.py",
     "np.add.at(y.reshape(-1), places.reshape(-1), np.broadcast_to(x, places.shape).reshape(-1))",
     "y.reshape(-1)[places.reshape(-1)] = np.broadcast_to(x, places.shape).reshape(-1)", OPERATIONS),
    ("getitem: every index is the first", "nnkit/ops/indexing.py", "parts[place] = numbers(index)",
     "parts[place] = numbers(indices[0])", "tests/ops/test_indexing.py"),
    ("einsum: the result's axes are left out", "nnkit/ops/contraction.py", "*words[count:]]", "*words[count + 1:]]",
     "tests/ops/test_products.py"),
    ("matmul: a transposed matrix", "nnkit/ops/linear_algebra.py",
     "np.matmul(grad_output, np.swapaxes(b, -1, -2))", "np.matmul(grad_output, b)", OPERATIONS),
    ("linear: mean for sum in the bias", "nnkit/ops/linear_algebra.py", "np.add.reduce(grad_output, axis=0,",
     "np.mean(grad_output, axis=0,", OPERATIONS),
    ("embedding: the padding row gets a gradient", "nnkit/ops/lookup.py",
     "rows, values = rows[rows != padding], values[rows != padding]", "rows, values = rows, values",
     "tests/nn/test_layers.py tests/autograd/test_rows.py"),
    ("embedding_bag: the gradient of a sum for a mean", "nnkit/ops/lookup.py",
     "grad_output = grad_output / bags.divisors(grad_output.dtype)", "grad_output = grad_output / 1",
     f"tests/ops/test_embedding_bag.py {OPERATIONS}"),
    ("cross_entropy: a sign", "nnkit/ops/losses.py", "flat[right] -= 1", "flat[right] += 1",
     "tests/test_losses.py"),
    ("cross_entropy: sum for mean", "nnkit/ops/losses.py",
     "grad_output / count", "grad_output", "tests/test_losses.py"),
    ("cross_entropy: the mean of weighted losses over their number", "nnkit/ops/losses.py",
     "by_logits, rows.count or 1", "by_logits, len(x) or 1", "tests/test_losses.py"),
    ("cross_entropy: smoothing without the weights", "nnkit/ops/losses.py", "(label_smoothing / x.shape[1] * weight)",
     "(label_smoothing / x.shape[1] * np.ones_like(weight))", "tests/test_losses.py"),
    ("cross_entropy: ignored rows get a gradient", "nnkit/ops/losses.py", "weight[classes] * self.counted", "weight[classes]",
     "tests/test_losses.py"),
    ("metrics: precision over the true ones", "nnkit/metrics.py", "ratio(right, predicted)", "ratio(right, support)",
     "tests/test_class_metrics.py"),
    ("metrics: macro over classes that never occur", "nnkit/metrics.py", "scores[occurs].mean()", "scores.mean()",
     "tests/test_class_metrics.py"),
    ("metrics: the least confident mistakes", "nnkit/metrics.py", "key=lambda mistake: -mistake", "key=lambda mistake: mistake",
     "tests/test_class_metrics.py"),
    ("classes: the loss forgets its weights", "recipes/classifier.py", "weight=batch.weights,", "weight=None,",
     "tests/recipes/test_classes.py"),
    ("classes: accumulation counts examples, not weights", "nnkit/training/class_recipe.py",
     "if self.weights is None else float", "if True else float", "tests/recipes/test_classes.py"),
    ("binary cross-entropy: weights are left out", "nnkit/ops/losses.py", "            grad_x *= weights\n",
     "            grad_x *= 1\n", "tests/test_losses.py"),
    # The engine
    ("engine: a missing sum over a broadcast axis", "nnkit/autograd/engine.py",
     "return np.asarray(grad.sum(axis=repeated_axes(grad.shape, shape, operation, i))).reshape(shape)",
     "return np.resize(grad, shape)", "tests/autograd/test_engine.py"),
    ("engine: one of two paths", "nnkit/autograd/engine.py", "place[parent] = add_grads(before[0], given, before[1]), True",
     "place[parent] = given, True", "tests/autograd/test_engine.py"),
    ("engine: the gradient is replaced, not added to", "nnkit/autograd/engine.py",
     "leaf.grad = np.add(leaf.grad, grad, out=grad)", "leaf.grad = grad", "tests/autograd/test_engine.py"),
    ("engine: two leaves share an array", "nnkit/autograd/engine.py", "leaf.grad = grad if owned else grad.copy()",
     "leaf.grad = grad", "tests/autograd/test_engine.py"),
    ("rows that repeat are lost", "nnkit/autograd/rows.py", "np.add.at(table.reshape(-1), places, values.reshape(-1))",
     "table.reshape(-1)[places] += values.reshape(-1)", "tests/autograd/test_rows.py"),
    ("higher order: one of two paths", "nnkit/autograd/higher.py",
     "arriving[parent] = operations[\"add\"](arriving[parent], part)", "arriving[parent] = part",
     "tests/autograd/test_higher.py"),
    ("record: a stale constant", "nnkit/autograd/recording.py",
     "if not same_value(value, other.constants.get(slot, (name, None))[1]):", "if False:", "tests/autograd/test_recording.py"),
    ("record: parameters of the first run", "nnkit/autograd/program.py", "= t{slot}.value\"",
     "= t{slot}.__dict__.setdefault('first', t{slot}.value)\"", "tests/autograd/test_recording.py"),
    ("record: a comparison of parameters is a constant", "nnkit/autograd/tensor.py",
     "if observer is not None and observer.records:\n        return observer.compare(",
     "if False:\n        return observer.compare(", "tests/ops/test_indexing.py"),
    ("record: a mask is recorded", "nnkit/autograd/recording.py", "if self.dtype == bool:", "if False:",
     "tests/ops/test_indexing.py"),
    # Optimizers and schedules
    ("SGD: lr is forgotten", "nnkit/optim/sgd.py", "value -= grad * lr\n", "value -= grad\n", "tests/optim/test_sgd.py"),
    ("SGD: lr is forgotten for a large array", "nnkit/optim/sgd.py", "np.multiply(grad, lr,", "np.multiply(grad, 1,",
     "tests/optim/test_sgd.py"),
    ("SGD: momentum in the wrong order", "nnkit/optim/sgd.py", "velocity *= momentum\n            velocity += grad",
     "velocity += grad\n            velocity *= momentum", "tests/optim/test_sgd.py"),
    ("SGD: nesterov without the gradient", "nnkit/optim/sgd.py", "grad + momentum * velocity if", "momentum * velocity if",
     "tests/optim/test_sgd.py"),
    ("SGD: weights grow where they should decay", "nnkit/optim/sgd.py", "grad = grad + weight_decay * value",
     "grad = grad - weight_decay * value", "tests/optim/test_sgd.py"),
    ("optimizer: rows that repeat are lost", "nnkit/optim/optimizer.py", "grad = grad.coalesce()",
     "grad = RowGrad(grad.rows, grad.row_values(), grad.shape)", "tests/optim/test_optimizer.py"),
    ("schedule: it goes on behind the end", "nnkit/optim/schedules.py",
     "progress = min(max(progress, 0.0), 1.0)", "progress = max(progress, 0.0)",
     "tests/optim/test_schedules.py"),
    ("schedule: the end is zero", "nnkit/optim/schedules.py", "start * (1 - progress) + end * progress", "start * (1 - progress)",
     "tests/optim/test_schedules.py"),
    # Layers, training and recipes
    ("embedding: the padding row starts at random", "nnkit/nn/layers.py", "self.weight.value[self.padding_idx] = 0", "pass",
     "tests/nn/test_layers.py"),
    ("checkpoint: a generator is not put back", "nnkit/training/loop.py",
     "generator.bit_generator.state = meta[\"generators\"][name]", "pass", "tests/training/test_session.py"),
    ("checkpoint: momentum is not put back", "nnkit/training/loop.py",
     "self.optimizer.load_state_arrays(part[\"optimizer\"])", "pass", "tests/training/test_session.py"),
    ("sgns: the window is one too narrow on the right", "recipes/sgns.py", "(distance <= right[..., None])",
     "(distance < right[..., None])", SGNS),
    ("sgns: a word is its own context", "recipes/sgns.py", "band = (distance != 0) & ", "band = ", SGNS),
    ("sgns: every shared negative weighs as one", "recipes/sgns.py", "(self.config.model.negatives / K)",
     "self.config.model.negatives", SGNS),
    ("windows reach over the end of a line", "nnkit/data/windows.py",
     "np.pad(np.minimum(reach, after), (0, padding))", "np.pad(reach, (0, padding))", SGNS),
    ("sgns: the gradients of overlapping tiles are not added", "recipes/sgns.py",
     "grad_columns[:, start:start + near] += grad_around[:, i]", "grad_columns[:, start:start + near] = grad_around[:, i]", SGNS),
    ("windows: subsampling without its second term", "nnkit/data/windows.py",
     "np.sqrt(subsample / frequency) + subsample / frequency if subsample", "np.sqrt(subsample / frequency) if subsample", SGNS),
    ("sgns: the steps of repeated words are not bounded", "nnkit/optim/clipping.py", "if not (norm <= longest).all():",
     "if False:", "tests/optim/test_clipping.py"),
    ("cbow: a window is not divided by its size", "recipes/cbow.py", "means /= sizes", "means /= 1",
     "tests/recipes/test_cbow.py"),
    ("starting: frozen rows move", "nnkit/training/starting.py", "np.where(still, 0, gradient)", "gradient",
     "tests/training/test_starting.py"),
    ("judge: more is better whatever the sign", "nnkit/training/judge.py", 'sign = 1 if self.monitor[0] == "+" else -1',
     "sign = 1", "tests/training/test_judge.py"),
    ("loop: accumulated batches all weigh one", "nnkit/training/loop.py",
     "return np.float64(batch.count / sum(other.count for other in group))", "return np.float64(1 / len(group))",
     "tests/training/test_judge.py"),
    ("Adam: no correction for the first steps", "nnkit/optim/adam.py", 'math.sqrt(1 - beta2 ** state["step"])',
     "1.0", "tests/optim"),
    ("language model: a context reaches into the line before", "nnkit/data/symbols.py",
     "np.append(True, ends[:-1])", "np.append(True, ends[:-1] & False)", "tests/data/test_symbols.py"),
    ("language model: empty lines are items", "nnkit/data/symbols.py", "self.take(lines > 1)", "self.take(lines > 0)",
     "tests/data/test_symbols.py"),
    ("language model: held-out words are known", "nnkit/data/symbols.py", "KNOWN + place", "KNOWN + max(place, 1)",
     "tests/data/test_symbols.py"),
    ("language model: the last batch is what is left", "recipes/language_model.py",
     "np.linspace(0, len(order), -(-len(order) // self.config.training.batch_size) + 1).astype(int)",
     "np.append(np.arange(0, len(order), self.config.training.batch_size), len(order))", "tests/recipes/test_language_model.py"),
    ("language model: bits of a symbol, not of a character", "nnkit/training/language_recipe.py", "/ part.text.characters",
     "/ len(part)", "tests/recipes/test_language_model.py"),
    ("language model: the unknown one is written", "nnkit/training/language_recipe.py", "y[UNKNOWN] = -np.inf", "pass",
     "tests/test_generate.py"),
    ("language model: two slopes of the output's loss", "recipes/language_model.py", "p[right] -= 1 ", "p[right] -= 2 ",
     "tests/recipes/test_language_model.py"),
    ("tagger: the recurrent layers read what fills up a sentence", "recipes/sequence_tagger.py",
     "self.dropout(self.vectors(ids)), lengths=lengths)", "self.dropout(self.vectors(ids)))",
     "tests/recipes/test_sequence_tagger.py"),
    ("tagger: what fills up a sentence has a tag", "recipes/sequence_tagger.py", "part.classes[places], IGNORED)",
     "part.classes[places], 0)", "tests/recipes/test_sequence_tagger.py"),
    ("tagger: sentences of all lengths share a batch", "recipes/sequence_tagger.py", "order[np.argsort(part.lengths[order], "
     "kind=\"stable\")]", "order", "tests/recipes/test_sequence_tagger.py"),
    ("tagger: the first known token is the unknown one", "nnkit/training/tagged_data.py", "UNKNOWN - 1) + 1", "UNKNOWN)",
     "tests/recipes/test_sequence_tagger.py"),
    ("spans: an I of another type goes on", "nnkit/spans.py", 'and mark == "I" and name == kind', 'and mark == "I"',
     "tests/test_spans.py"),
    ("kneser-ney: what was seen after a start is not counted", "scripts/kneser_ney.py", "if length and start is not None:",
     "if False:", "tests/test_kneser_ney.py"),
    ("classifier: scaled by the held-out part, too", "nnkit/training/feature_data.py", "Columns.of(rows[train],",
     "Columns.of(rows,", "tests/recipes/test_classifier.py"),
    ("bags: another tf-idf", "nnkit/data/bags.py", "np.log((1 + n_texts) / (1 + having)) + 1",
     "np.log(n_texts / (1 + having)) + 1", "tests/data/test_bags.py"),
]]


def run_tests(copy: Path, tests: str) -> tuple[str | None, str]:
    """The first test that is red, or None; and all that pytest said."""
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "-rfE", "--tb=line", *tests.split()]
    command += ["-n", "2"] if LONG & set(tests.split()) else []
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.setdefault("NNKIT_DATA", str(PROJECT.parent / "shared" / "data"))
    process = subprocess.Popen(command, cwd=copy, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               encoding="utf-8", errors="replace", start_new_session=True)
    try:
        said, _ = process.communicate(timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return f"none within {TIME_LIMIT} s", process.communicate()[0]
    if process.returncode == 0:
        return None, said
    red = re.search(r"^FAILED \S*?::(.+?)(?: - .*)?$", said, re.MULTILINE)
    return red[1] if red else "", said


def check_copy(copy: Path) -> None:
    """An installed nnkit must not be the one that is tested."""
    where = subprocess.run([sys.executable, "-c", "import nnkit; print(nnkit.__file__)"], cwd=copy, text=True, check=True,
                           capture_output=True, env={**os.environ, "PYTHONPATH": str(copy)}).stdout.strip()
    if not Path(where).resolve().is_relative_to(copy.resolve()):
        sys.exit(f"the tests would import {where}, not the copy")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="only mutations whose name or file has one of them")
    parser.add_argument("--list", action="store_true", help="print the mutations and whether their line is there; run nothing")
    options = parser.parse_args()
    chosen = [m for m in MUTATIONS if not options.words or any(w in f"{m.name} {m.file}" for w in options.words)]
    gone = [m for m in chosen if m.count() != 1]
    if options.list:
        for m in chosen:
            print(f"{'ok' if m.count() == 1 else f'{m.count()} times':8} {m.name:52} {m.file}")
        print(f"{len(chosen)} mutations")
        return 1 if gone else 0
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "nnkit")
        shutil.copytree(PROJECT, copy, ignore=LEFT_OUT)
        check_copy(copy)
        green: dict[str, bool] = {}
        for m in chosen:
            began = time.monotonic()
            path = copy / m.file
            source = path.read_text(encoding="utf-8") if path.exists() else ""
            if source.count(m.fragment) != 1:
                verdict, by = "NOT FOUND", f"{source.count(m.fragment)} times in {m.file}"
            else:
                if m.tests not in green:
                    green[m.tests] = run_tests(copy, m.tests)[0] is None
                path.write_text(source.replace(m.fragment, m.replacement), encoding="utf-8")
                red, said = run_tests(copy, m.tests)
                path.write_text(source, encoding="utf-8")
                if not green[m.tests]:
                    verdict, by = "UNKNOWN", f"{m.tests} red without it"
                elif red is None:
                    verdict, by = "SURVIVED", m.tests
                elif red:
                    verdict, by = "killed", red
                else:
                    verdict, by = "BROKEN", said.strip().splitlines()[-1]
            bad += verdict != "killed"
            print(f"{verdict:9} {m.name:52} {by:.100}   {time.monotonic() - began:.0f} s", flush=True)
    print(f"{len(chosen) - bad} of {len(chosen)} killed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
