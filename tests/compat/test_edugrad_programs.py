"""edugrad programs run unchanged: what they print is what they print on edugrad itself, to ten digits.

NNKIT_EDUGRAD_PYTHON names an interpreter that has edugrad 0.1.0; with it the programs run on both, side by side. Without
it they are held against PRINTED, which was recorded from edugrad 0.1.0 (NumPy 2.4).
"""

import inspect
import math

import pytest
from edugrad_programs import run

from nnkit.compat.edugrad import __main__, data, nn, optim, tensor

PRINTED = {
    "word2vec.py --epochs 5": """
words 28 examples 856
epoch 0 loss 0.69524921521745 grad 0.34034474410652 labels 0.17598871166307
epoch 1 loss 0.64949193397169 grad 0.22339994047294 labels 0.40238708954507
epoch 2 loss 0.60313554868221 grad 0.39530242306371 labels 0.41005866254278
epoch 3 loss 0.55915308555055 grad 0.31049026382199 labels 0.92179408934878
epoch 4 loss 0.52235183951285 grad 0.32871796484474 labels 0.85583217197706
fox dog 0.713438029010 see 0.703581837862 lazy 0.648497889304
bridge cow 0.880414008141 walks 0.801030233042 old 0.747063545777
lazy see 0.885557584435 and 0.767154727589 fox 0.648497889304
""",
    "deep_averaging_network.py": """
epoch 0 loss 1.14067819229394 probs 3.092710154088
epoch 1 loss 1.11093730700614 probs 3.001103083762
epoch 2 loss 1.10718166286194 probs 3.000958830531
epoch 3 loss 1.10520984763636 probs 3.004911237500
epoch 4 loss 1.10292071868522 probs 3.001538844847
epoch 5 loss 1.09462545678903 probs 2.966283477157
epoch 6 loss 1.05733365537747 probs 2.968054588814
epoch 7 loss 0.95452877050931 probs 2.428219991429
epoch 8 loss 0.82155631403189 probs 2.651539061320
epoch 9 loss 0.76488229860568 probs 2.277380924220
epoch 10 loss 0.73318813212022 probs 2.600795746302
epoch 11 loss 0.73160956688733 probs 2.214386173960
accuracy 0.6666666666666666
None (29, 6) -0.848329973439 0.614061678714
W (6, 8) 0.265506531710 0.043569328514
b (8,) 0.912882232809 0.605948472179
W (8, 8) 1.221968862142 0.142320774968
b (8,) 0.298274006751 0.355634406486
W (8, 3) -0.583481069897 0.165864637543
""",
    "language_model.py 6": """
[(22, 5), (20, 16), (16,), (16, 22), (22,), (20, 22)]
epoch 0 perplexity 19.733047594082 grads -0.06875376611568 0.06003978014312 1.7027265230
epoch 1 perplexity 15.014436790641 grads -0.12621833809941 0.04886420097808 2.3464600573
epoch 2 perplexity 12.780139092011 grads -0.12493242251102 0.07796428956355 2.9587427520
epoch 3 perplexity 10.822216492516 grads -0.22260493511321 0.06046157257288 2.2649765130
epoch 4 perplexity 9.221851595738 grads -0.26447538851332 0.06454414592849 2.0667340307
epoch 5 perplexity 7.793272567142 grads -0.18536836870990 0.09393540686360 4.4765491340
steps 48 operations 25
'it whmyn\\nm\\nerntad naeeenat eheduh '
""",
}
NAMES = {  # of edugrad 0.1.0, module by module
    "edugrad": "Tensor data nn ops optim tensor",
    "edugrad.tensor": "Callable Iterable List Operation Tensor np tensor_op",
    "edugrad.ops": "Operation Tensor add copy_rows matmul minus mse_loss np power reduce_mean reduce_sum relu tensor_op",
    "edugrad.nn": "Linear List Module Tensor np ops uniform_initializer",
    "edugrad.optim": "Iterable Optimizer SGD Tensor np",
    "edugrad.data": "Batch BatchIterator DataIterator Iterator NamedTuple Tensor np",
}


def assert_prints_the_same(ours, theirs):
    ours, theirs = ours.split(), theirs.split()
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs):
        try:
            assert math.isclose(float(a), float(b), rel_tol=1e-10, abs_tol=1e-13), f"{a} is not {b}"
        except ValueError:
            assert a == b


@pytest.mark.parametrize("program", PRINTED)
def test_a_program_prints_what_was_recorded_from_edugrad(program):
    done = run(*program.split())
    assert done.returncode == 0, done.stderr
    assert_prints_the_same(done.stdout, PRINTED[program])


@pytest.mark.parametrize("program", PRINTED)
def test_a_program_prints_what_it_prints_on_edugrad_itself(program, real_python):
    theirs = run(*program.split(), python=real_python, module=())
    assert theirs.returncode == 0, theirs.stderr
    assert_prints_the_same(run(*program.split()).stdout, theirs.stdout)


def test_there_is_every_module_and_every_name_of_edugrad():
    for module, names in NAMES.items():
        ours = __main__.MODULES[module]
        assert set(names.split()) <= set(ours.__all__)
        assert all(hasattr(ours, name) for name in ours.__all__)


def test_the_list_of_names_is_edugrads_own(real_python):
    ask = ("import importlib, sys; m = importlib.import_module(sys.argv[1]); "
           "print(*(n for n in vars(m) if n[0] != '_' and n != 'annotations'))")
    for module, names in NAMES.items():
        theirs = set(run("-c", ask, module, python=real_python, module=()).stdout.split())
        assert theirs - {"ops"} == set(names.split()) - {"ops"}  # every module of edugrad has ops, by one import or another


def test_signatures_are_edugrads():
    assert list(inspect.signature(nn.Linear).parameters) == ["input_size", "output_size", "bias"]
    assert list(inspect.signature(optim.SGD).parameters) == ["params", "lr"]
    assert list(inspect.signature(data.BatchIterator).parameters) == ["batch_size", "shuffle"]
    assert list(inspect.signature(tensor.Tensor).parameters) == ["value", "parents", "name"]
    assert list(inspect.signature(nn.uniform_initializer).parameters) == ["shape", "scale"]
    assert data.Batch._fields == ("inputs", "targets")
