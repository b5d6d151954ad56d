"""no_grad, enable_grad and default_dtype: restored after everything, and never seen by another thread."""

import threading

import numpy as np
import pytest

from nnkit import Tensor, default_dtype, enable_grad, no_grad, ops
from nnkit.autograd import get_default_dtype


def recording():
    return (Tensor([1.0]) * 2).requires_grad


def test_inside_no_grad_nothing_is_recorded():
    x = Tensor([1.0])
    with no_grad():
        y = ops.tanh(x) * x
    assert y.parents == () and y.ctx is None and not y.requires_grad and recording()


@pytest.mark.case("autograd", 39)
def test_an_exception_switches_recording_on_again():
    with pytest.raises(KeyError), no_grad():
        assert not recording()
        raise KeyError
    assert recording()


@pytest.mark.case("autograd", 39)
def test_settings_nest():
    with no_grad():
        with no_grad():
            assert not recording()
        assert not recording()
        with enable_grad():
            assert recording()
        assert not recording()
    assert recording()


@pytest.mark.case("autograd", 39)
def test_one_setting_may_be_entered_again():
    setting = no_grad()
    with setting, enable_grad(), setting:
        assert not recording()
    assert recording()


@pytest.mark.case("autograd", 39)
def test_works_as_a_decorator_even_of_a_function_that_calls_itself():
    @no_grad()
    def depth(n):
        assert not recording()
        return n and depth(n - 1)

    depth(3)
    assert recording()


@pytest.mark.case("autograd", 39)
def test_a_decorated_function_that_fails_restores_recording():
    @no_grad()
    def fail():
        raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert recording()


@pytest.mark.case("autograd", 39)
def test_a_decorated_generator_is_without_gradient_inside_and_its_user_is_not():
    @no_grad()
    def predictions():
        for _ in range(3):
            yield recording()

    for inside in predictions():
        assert not inside and recording()
    unfinished = predictions()
    next(unfinished)
    del unfinished
    assert recording()


@pytest.mark.case("autograd", 39)
def test_threads_do_not_disturb_each_other():
    seen = {}
    inside, done = threading.Event(), threading.Event()

    def quiet():
        with no_grad():
            inside.set()
            done.wait(10)
            seen["quiet"] = recording()

    def loud():
        inside.wait(10)
        seen["loud"] = recording()
        done.set()

    threads = [threading.Thread(target=f) for f in (quiet, loud)]
    for t in threads:
        t.start()
    inside.wait(10)
    seen["main"] = recording()
    for t in threads:
        t.join()
    assert seen == {"quiet": False, "loud": True, "main": True}


@pytest.mark.case("autograd", 39)
def test_one_decorated_function_runs_in_many_threads_at_once():
    barrier, seen = threading.Barrier(4), []

    @no_grad()
    def work():
        barrier.wait(10)
        seen.append(recording())
        barrier.wait(10)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert seen == [False] * 4 and recording()


def test_threads_differentiate_at_the_same_time():
    results = {}

    def work(k):
        x = Tensor(np.full(50, float(k)))
        y = x
        for _ in range(200):
            y = y * 1 + 0
        (y * y).sum().backward()
        results[k] = x.grad

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for k in range(4):
        np.testing.assert_array_equal(results[k], np.full(50, 2.0 * k))


def test_default_dtype_is_float32_and_is_restored():
    assert get_default_dtype() == np.float32
    with pytest.raises(KeyError), default_dtype(np.float64):
        assert get_default_dtype() == Tensor(1.0).dtype == np.float64
        raise KeyError
    assert get_default_dtype() == Tensor(1.0).dtype == np.float32


@pytest.mark.parametrize("dtype", [np.int64, bool, complex, "U1"])
def test_default_dtype_must_be_floating(dtype):
    with pytest.raises(TypeError, match="floating"):
        default_dtype(dtype)
