"""Is a training of a recipe's model the same in PyTorch? scripts/compare_torch.py at small sizes, 20 steps in float64."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "compare_torch.py"
SMALL = {"tagger": ["data.lines=200", "training={epochs: 2, batch_size: 16, clip_norm: 1}", "optimizer.lr=0.03"]}
MODELS = {"tagger": ["model={kind: RNN, dim: 5, hidden: 6, bidirectional: false}",
                     "model={kind: LSTM, dim: 5, hidden: 4, layers: 2}", "model={kind: GRU, dim: 5, hidden: 6}"]}


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("compare_torch", SCRIPT)
    module = sys.modules["compare_torch"] = importlib.util.module_from_spec(spec)  # its dataclass looks itself up there
    spec.loader.exec_module(module)
    threads = torch.get_num_threads()
    torch.set_num_threads(module.THREADS)
    yield module
    torch.set_num_threads(threads)


@pytest.mark.parametrize("task, model", [(task, model) for task, models in MODELS.items() for model in models])
def test_twenty_steps_end_with_the_same_losses(script, task, model):
    ours, theirs = script.compare(script.TASKS[task], np.float64, [*SMALL[task], model], 20)
    assert ours.train == pytest.approx(theirs.train, rel=1e-10) and ours.dev == pytest.approx(theirs.dev, rel=1e-10)
    assert ours.dev < 1.85      # and something was learnt: log(7), 1.95, is a model to which all tags are alike


def test_another_weight_is_seen(script, monkeypatch):
    copy = script.copy_weights

    def wrong(model, module):
        copy(model, module)
        module.output.bias.data[0] += 1e-3

    monkeypatch.setattr(script, "copy_weights", wrong)
    ours, theirs = script.compare(script.TASKS["tagger"], np.float64, [*SMALL["tagger"], MODELS["tagger"][0]], 3)
    assert script.difference(ours.train, theirs.train) > 1e-6
