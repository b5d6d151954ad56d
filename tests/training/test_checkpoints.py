"""A checkpoint is whole or refused: exact, atomic, never unpickled, never believed before it is checked."""

import io
import os
import pickle
import signal
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nnkit.errors import UserError
from nnkit.training import checkpoints
from nnkit.training.checkpoints import load_checkpoint, load_latest, save_checkpoint

ARRAYS = {"model/w": np.arange(6, dtype=np.float32).reshape(2, 3), "optim/step": np.array(3)}
META = {"epoch": 2, "metrics_length": 10}

dtypes = (hnp.floating_dtypes() | hnp.integer_dtypes() | hnp.unsigned_integer_dtypes() | hnp.boolean_dtypes()
          | hnp.complex_number_dtypes())
names = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1).filter("meta".__ne__)
shapes = hnp.array_shapes(min_dims=0, min_side=0, max_side=4)
any_arrays = st.dictionaries(names, hnp.arrays(dtypes, shapes), max_size=4)


@pytest.fixture
def saved(tmp_path):
    save_checkpoint(tmp_path / "last.npz", ARRAYS, META)
    return tmp_path / "last.npz"


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def rewrite(path, contents, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)


def npy(array, **kwargs):
    file = io.BytesIO()
    np.save(file, array, **kwargs)
    return file.getvalue()


@settings(deadline=None)
@given(arrays=any_arrays)
def test_arrays_come_back_to_the_bit(arrays, tmp_path_factory):
    path = tmp_path_factory.mktemp("c") / "last.npz"
    save_checkpoint(path, arrays, {})
    loaded, _ = load_checkpoint(path)
    assert list(loaded) == list(arrays)
    for name, array in arrays.items():
        assert (loaded[name].dtype, loaded[name].shape) == (array.dtype, array.shape)
        assert loaded[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("array", [np.arange(12.0).reshape(3, 4).T, np.arange(10)[::2], np.float64(2.5),
                                   np.zeros((0, 3)), np.array(["日本", ""]), np.array(2**64 - 1, dtype=np.uint64)])
def test_arrays_of_unusual_layout_come_back(array, tmp_path):
    save_checkpoint(tmp_path / "last.npz", {"file": array}, {})
    loaded = load_checkpoint(tmp_path / "last.npz")[0]["file"]
    np.testing.assert_array_equal(loaded, array, strict=True)


@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.SFC64, np.random.Philox, np.random.MT19937])
def test_a_generator_goes_on_where_its_saved_state_was(bits, tmp_path):
    rng = np.random.Generator(bits(5))
    rng.random(7)
    save_checkpoint(tmp_path / "last.npz", {}, {"rng": rng.bit_generator.state})
    other = np.random.Generator(bits(0))
    other.bit_generator.state = load_checkpoint(tmp_path / "last.npz")[1]["rng"]
    np.testing.assert_array_equal(other.random(100), rng.random(100))


def test_meta_keeps_integers_of_any_size_floats_and_infinity(tmp_path):
    meta = {"big": 1 << 200, "x": 0.1 + 0.2, "best": float("inf"), "text": "日本 \udce9", "list": [True, None, {}]}
    save_checkpoint(tmp_path / "last.npz", {}, meta)
    assert load_checkpoint(tmp_path / "last.npz")[1] == meta


def test_numpy_reads_a_checkpoint_without_nnkit(saved):
    with np.load(saved, allow_pickle=False) as file:
        np.testing.assert_array_equal(file["model/w"], ARRAYS["model/w"])


@pytest.mark.parametrize("array", [np.array([None]), np.zeros(1, dtype=[("a", object)])])
def test_object_arrays_are_not_saved(array, tmp_path):
    with pytest.raises(TypeError, match="'bad' has dtype"):
        save_checkpoint(tmp_path / "last.npz", {"bad": array}, {})
    assert os.listdir(tmp_path) == []


def test_meta_that_json_cannot_hold_is_not_saved_and_the_old_checkpoint_stays(saved):
    with pytest.raises(TypeError, match="JSON cannot hold"):
        save_checkpoint(saved, ARRAYS, {"bad": object()})
    assert load_checkpoint(saved)[1] == META


def test_the_checkpoint_before_is_kept(saved):
    save_checkpoint(saved, ARRAYS, {"epoch": 3})
    save_checkpoint(saved, ARRAYS, {"epoch": 4})
    assert load_checkpoint(saved)[1]["epoch"] == 4
    assert load_checkpoint(saved.with_name("last.prev.npz"))[1]["epoch"] == 3
    assert sorted(os.listdir(saved.parent)) == ["last.npz", "last.prev.npz"]


def test_the_checkpoint_before_is_kept_where_there_are_no_hard_links(saved, monkeypatch):
    def none(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(checkpoints.os, "link", none)
    save_checkpoint(saved, ARRAYS, {"epoch": 3})
    assert load_checkpoint(saved.with_name("last.prev.npz"))[1] == META


@pytest.mark.case("trainer", 9)
def test_a_full_disk_is_a_clear_error_and_the_old_checkpoint_stays(saved, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"last\.npz: cannot be saved \(No space left"):
        save_checkpoint(saved, ARRAYS, {"epoch": 3})
    assert os.listdir(saved.parent) == ["last.npz"]
    assert load_checkpoint(saved)[1] == META


@pytest.mark.case("trainer", 9)
@pytest.mark.parametrize("fatal", range(1, 4))
def test_at_every_rename_of_a_save_a_whole_checkpoint_can_be_found(saved, monkeypatch, fatal):
    """A kill between any two of its steps, in the worst case: last.npz is damaged, only the one before it is whole."""
    save_checkpoint(saved, ARRAYS, {"epoch": 3})
    saved.write_bytes(b"damaged")
    steps = []

    def killed(function):
        def step(*arguments):
            steps.append(function)
            if len(steps) == fatal:
                raise KeyboardInterrupt
            return function(*arguments)
        return step

    for name in ("link", "replace"):
        monkeypatch.setattr(os, name, killed(getattr(os, name)))
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(saved, ARRAYS, {"epoch": 4})
    assert load_latest(saved.parent)[1] == (META if fatal < 3 else {"epoch": 4})


@pytest.mark.case("trainer", 9)
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here")
def test_kill_9_while_saving_leaves_a_loadable_checkpoint(tmp_path):
    program = ("import sys, numpy as np\nfrom nnkit.training.checkpoints import save_checkpoint\n"
               "for step in range(10**6):\n"
               "    save_checkpoint(sys.argv[1], {'w': np.full(200_000, step)}, {'step': step})\n"
               "    print(step, flush=True)\n")
    for wait in (1, 2, 3, 5):
        process = subprocess.Popen([sys.executable, "-c", program, tmp_path / "last.npz"], stdout=subprocess.PIPE)
        assert process.stdout
        for _ in range(wait):
            process.stdout.readline()
        process.kill()
        process.communicate()
        arrays, meta, _, _ = load_latest(tmp_path)
        assert (arrays["w"] == meta["step"]).all()


def test_what_killed_processes_left_half_written_is_cleared_away_by_the_next_save(saved):
    for name in (".last.npz.123.tmp", ".last.npz.123.prev.tmp", ".best.npz.123.tmp"):
        saved.with_name(name).write_bytes(b"half")
    save_checkpoint(saved, ARRAYS, META)
    assert sorted(os.listdir(saved.parent)) == [".best.npz.123.tmp", "last.npz", "last.prev.npz"]


@pytest.mark.case("trainer", 9)
@settings(deadline=None)
@given(data=st.data())
def test_a_checkpoint_cut_off_anywhere_is_an_error_that_names_it(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("c") / "last.npz"
    save_checkpoint(path, ARRAYS, META)
    whole = path.read_bytes()
    path.write_bytes(whole[:data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(UserError, match=r"last\.npz"):
        load_checkpoint(path)


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_changed_bytes_are_an_error_or_change_nothing(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("c") / "last.npz"
    save_checkpoint(path, ARRAYS, META)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        arrays, meta = load_checkpoint(path)
    except UserError as error:
        assert str(error).startswith(f"{path}: ")
    else:
        assert meta == META
        assert {name: array.tobytes() for name, array in arrays.items()} == {k: v.tobytes() for k, v in ARRAYS.items()}


@pytest.mark.case("trainer", 10)
def test_a_pickled_object_in_a_checkpoint_is_refused_and_does_not_run(saved):
    class Touch:
        def __reduce__(self):
            return os.mkdir, (str(saved.parent / "executed"),)

    bomb = np.empty((), dtype=object)
    bomb[()] = Touch()
    rewrite(saved, {**members(saved), "model/w.npy": npy(bomb, allow_pickle=True)})
    with pytest.raises(UserError, match="could run code") as refusal:
        load_checkpoint(saved)
    assert refusal.value.exit_code == 1
    rewrite(saved, {**members(saved), "model/w.npy": pickle.dumps(Touch())})
    with pytest.raises(UserError, match=r"last\.npz"):
        load_checkpoint(saved)
    assert os.listdir(saved.parent) == ["last.npz"]


def test_a_compressed_checkpoint_is_refused_before_it_is_unpacked(saved):
    rewrite(saved, {**members(saved), "model/w.npy": npy(np.zeros(10**6))}, zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match="is compressed, which"):
        load_checkpoint(saved)


@pytest.mark.parametrize(("descr", "shape"), [("<f4", (1 << 40,)), ("<f4", (1 << 62, 1 << 62)), ("<U0", (1 << 40,)),
                                              ("<f4", (-1, -6)), ("<f4", (0, 1 << 70)), ("<U1000000000", (1,))])
def test_an_array_that_claims_more_than_it_holds_is_refused_before_memory_is_taken(saved, descr, shape):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": descr, "fortran_order": False, "shape": shape})
    rewrite(saved, {**members(saved), "model/w.npy": header.getvalue() + bytes(0 if descr == "<U0" else 24)})
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=r"last\.npz"):
            load_checkpoint(saved)
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()


def test_a_zip_that_claims_more_bytes_than_the_file_has_is_refused(saved):
    content = saved.read_bytes()
    size = len(members(saved)["model/w.npy"])
    central = content.index(b"PK\x01\x02")
    assert int.from_bytes(content[central + 24:central + 28], "little") == size
    claim = (2**31).to_bytes(4, "little")
    saved.write_bytes(content[:central + 20] + claim + claim + content[central + 28:])
    with pytest.raises(UserError, match=r"it claims [0-9,]+ bytes"):
        load_checkpoint(saved)


@pytest.mark.parametrize("other, words", [(99, r"newer nnkit \(format 99.*update"), (1, r"older nnkit \(format 1.*train anew")])
def test_a_checkpoint_of_another_format_says_so(saved, monkeypatch, other, words):
    monkeypatch.setattr(checkpoints, "FORMAT", other)
    save_checkpoint(saved, ARRAYS, META)
    monkeypatch.undo()
    with pytest.raises(UserError, match=words):
        load_checkpoint(saved)


def test_a_checkpoint_that_lost_an_array_is_refused(saved):
    rewrite(saved, {name: data for name, data in members(saved).items() if name != "optim/step.npy"})
    with pytest.raises(UserError, match="list of arrays"):
        load_checkpoint(saved)


def test_an_npz_of_somebody_else_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(UserError, match=r"other\.npz: is not a checkpoint of nnkit"):
        load_checkpoint(tmp_path / "other.npz")


def test_a_missing_checkpoint_and_a_folder_in_its_place_are_clear_errors(tmp_path):
    with pytest.raises(UserError, match=r"last\.npz: there is no such checkpoint"):
        load_latest(tmp_path)
    with pytest.raises(UserError, match=tmp_path.name):
        load_checkpoint(tmp_path)


def test_the_latest_is_the_last_and_there_is_nothing_to_say(saved):
    assert load_latest(saved.parent)[1:] == (META, saved, "")


@pytest.mark.case("trainer", 9)
@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(path.read_bytes()[:200]), os.unlink])
def test_the_one_before_is_taken_where_the_last_is_damaged_or_missing_and_the_notice_names_both(saved, damage):
    save_checkpoint(saved, ARRAYS, {"epoch": 3})
    damage(saved)
    _, meta, path, notice = load_latest(saved.parent)
    assert (meta, path) == (META, saved.with_name("last.prev.npz"))
    assert str(saved) in notice and str(path) in notice and "\n" not in notice


def test_where_both_are_damaged_the_error_names_both(saved):
    save_checkpoint(saved, ARRAYS, META)
    for name in ("last.npz", "last.prev.npz"):
        saved.with_name(name).write_bytes(b"")
    with pytest.raises(UserError, match=r"(?s)last\.npz: .*last\.prev\.npz: "):
        load_latest(saved.parent)
