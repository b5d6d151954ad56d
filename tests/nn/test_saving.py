"""save and load_into: what is written comes back; what is damaged, half-written or another model's changes nothing."""

import os

import numpy as np
import pytest

from nnkit import DataError, Tensor, load_into, nn, save


def model(rng):
    made = nn.Sequential(nn.Linear(3, 2, rng=rng), nn.Embedding(4, 2, rng=rng))
    made.steps = Tensor(np.array(5 + rng))
    return made


def state(module):
    return {name: value.copy() for name, value in module.state_dict().items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


def test_what_is_saved_comes_back(tmp_path):
    a, b = model(0), model(1)
    save(a, tmp_path / "m.npz")
    load_into(b, str(tmp_path / "m.npz"))
    assert_same(state(a), state(b))
    assert os.listdir(tmp_path) == ["m.npz"]


def test_the_file_is_read_without_pickle_and_keeps_its_name(tmp_path):
    save(model(0), tmp_path / "weights.bin")
    with np.load(tmp_path / "weights.bin", allow_pickle=False) as file:
        assert set(file.files) == {"layers.0.weight", "layers.0.bias", "layers.1.weight", "steps"}


@pytest.mark.case("autograd", 46)
def test_an_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch):
    save(model(0), tmp_path / "m.npz")
    before = (tmp_path / "m.npz").read_bytes()

    def die(file, arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("nnkit.nn.saving.write_npz", die)
    with pytest.raises(KeyboardInterrupt):
        save(model(1), tmp_path / "m.npz")
    assert (tmp_path / "m.npz").read_bytes() == before


@pytest.mark.case("autograd", 46)
def test_a_save_after_an_interrupted_one_succeeds(tmp_path):
    (tmp_path / "m.npz.tmp").write_bytes(b"half" * 10_000)
    a, b = model(0), model(1)
    save(a, tmp_path / "m.npz")
    load_into(b, tmp_path / "m.npz")
    assert_same(state(a), state(b))


@pytest.mark.case("autograd", 46)
def test_another_models_file_is_refused_and_changes_nothing(tmp_path):
    save(nn.Sequential(nn.Linear(3, 3, rng=0)), tmp_path / "m.npz")
    module = model(0)
    before = state(module)
    with pytest.raises(ValueError) as error:
        load_into(module, tmp_path / "m.npz")
    assert "missing layers.1.weight" in str(error.value) and "layers.0.weight has shape (3, 3)" in str(error.value)
    assert_same(state(module), before)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"hello", b"\x93NUMPY\x01\x00", b"\x80\x04K\x01."])
def test_what_is_no_such_file_is_a_data_error_that_names_it(tmp_path, content):
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.npz"):
        load_into(model(0), tmp_path / "bad.npz")


def test_a_single_array_is_a_data_error(tmp_path):
    np.save(tmp_path / "one.npy", np.ones(3))
    with pytest.raises(DataError, match=r"one\.npy"):
        load_into(model(0), tmp_path / "one.npy")


def test_a_missing_file_and_a_folder_are_data_errors(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        load_into(model(0), tmp_path / "none.npz")
    with pytest.raises(DataError):
        load_into(model(0), tmp_path)


def test_a_damaged_file_is_refused_or_gives_the_right_values_and_never_others(tmp_path):
    """Every byte that carries anything: cut there, or changed there."""
    a = nn.Linear(2, 1, rng=0)
    path, expected = tmp_path / "m.npz", state(a)
    save(a, path)
    whole = path.read_bytes()
    refused = 0
    for i in range(len(whole)):
        for damaged in (whole[:i], whole[:i] + bytes([whole[i] ^ 9]) + whole[i + 1:]):
            path.write_bytes(damaged)
            b = nn.Linear(2, 1, rng=1)
            before = state(b)
            try:
                load_into(b, path)
            except (DataError, ValueError) as error:
                assert isinstance(error, DataError) or "does not fit" in str(error)
                refused += 1
                assert_same(state(b), before)
            else:
                assert_same(state(b), expected)
    assert refused > len(whole)


def test_a_pickle_inside_is_never_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    np.savez(tmp_path / "m.npz", weight=np.array([Bomb()], dtype=object), bias=np.zeros(1))
    with pytest.raises(DataError):
        load_into(nn.Linear(1, 1, rng=0), tmp_path / "m.npz")
    assert not (tmp_path / "exploded").exists()


def test_a_parameter_named_file_is_saved_too(tmp_path):
    class Odd(nn.Module):
        def __init__(self):
            self.file = Tensor(np.ones(2, np.float32))

    save(Odd(), tmp_path / "odd.npz")
    other = Odd()
    other.file.value[...] = 0
    load_into(other, tmp_path / "odd.npz")
    np.testing.assert_array_equal(other.file.value, 1)
