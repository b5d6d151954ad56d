import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.data import read_csv, split
from nnkit.errors import DataError


def table(tmp_path, content, name="table.csv"):
    path = tmp_path / name
    path.write_bytes(gzip.compress(content.encode()) if name.endswith(".gz") else content.encode())
    return path


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz"])
def test_last_column_is_the_class(tmp_path, name):
    features, labels = read_csv(table(tmp_path, "1,2.5,cat\n-3,4e1,dog\n", name))
    assert features.dtype == np.float32 and features.tolist() == [[1, 2.5], [-3, 40]] and labels == ["cat", "dog"]


@pytest.mark.parametrize("label", [0, -3, "kind"])
def test_class_column_can_be_named(tmp_path, label):
    features, labels = read_csv(table(tmp_path, "kind,x,y\ncat,1,2\n"), label)
    assert features.tolist() == [[1, 2]] and labels == ["cat"]


@pytest.mark.parametrize("content", ["x,y,kind\n1,2,0\n", "1,2,0\n", "\ufeff1,2,0\r\n\r\n", '"1", 2 ,"0"\n'])
def test_header_mark_blank_lines_and_quotes_are_recognised(tmp_path, content):
    features, labels = read_csv(table(tmp_path, content))
    assert features.tolist() == [[1, 2]] and labels == ["0"]


def test_header_can_be_numbers_when_it_is_said_to_be_one(tmp_path):
    features, _ = read_csv(table(tmp_path, "2000,2001,kind\n1,2,a\n"), header=True)
    assert features.tolist() == [[1, 2]]


@pytest.mark.parametrize(
    "content, message",
    [
        ("1,2,a\n1,a\n", r"table\.csv:2: 2 cells where the rows before have 3"),
        ("1,2,a\n\n1,x,b\n", r"table\.csv:3: 'x' is not a number"),
        ("1,x,a\n1,2,b\n", r"table\.csv:1: 'x' is not a number"),
        ("1,,a\n", r"table\.csv:1: '' is not a number"),
        ("1,2,a\n1,nan,b\n", r"table\.csv:2: nan is not a finite"),
        ("1,2,a\n1,inf,b\n", r"table\.csv:2: inf is not a finite"),
        ("1,2,a\n1,1e39,b\n", r"table\.csv:2: 1e\+39 is not a finite"),
        ("1,2,\n", r"table\.csv:1: column 3, the label, is empty"),
        ("1\n2\n", r"table\.csv:1: one column only"),
        ("x,y,kind\n", "a header and no rows"),
        ("", "no rows"),
        ('1,"2,a\n', r"table\.csv:1: "),
    ],
)
def test_mistake_in_a_table_is_named_with_its_line(tmp_path, content, message):
    with pytest.raises(DataError, match=message) as error:
        read_csv(table(tmp_path, content))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("label, message", [("kin", "no column 'kin'; the header has x, kind"), (5, "no column 5")])
def test_missing_class_column_is_named(tmp_path, label, message):
    with pytest.raises(DataError, match=message):
        read_csv(table(tmp_path, "x,kind\n1,a\n"), label)


def test_digits_are_read(shared_data):
    features, labels = read_csv(shared_data / "classification" / "digits" / "digits.csv.gz")
    assert features.shape == (1797, 64) and features.max() == 16 and sorted(set(labels)) == list("0123456789")


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=80), st.floats(0.05, 0.95), st.integers(0, 3))
def test_split_is_a_sorted_partition_with_every_class_in_train(labels, fraction, seed):
    try:
        train, dev = split(labels, fraction, np.random.default_rng(seed))
    except ValueError:
        assert len(set(labels)) == len(labels)
        return
    assert sorted([*train, *dev]) == list(range(len(labels)))
    assert (np.diff(train) > 0).all() and (np.diff(dev) > 0).all() and len(dev)
    assert {labels[i] for i in train} == set(labels)


@given(st.lists(st.integers(10, 60), min_size=1, max_size=5), st.floats(0.1, 0.9), st.integers(0, 3))
def test_every_class_gives_its_share(sizes, fraction, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    _, dev = split(labels, fraction, np.random.default_rng(seed))
    given_up = np.bincount(labels[dev], minlength=len(sizes))
    np.testing.assert_array_less(abs(given_up - fraction * np.array(sizes)), 1 + 1e-9)
    assert abs(len(dev) - fraction * len(labels)) <= 0.5 + 1e-9


def test_split_is_drawn_from_the_generator():
    def dev(seed):
        return split(["a", "b"] * 50, 0.2, np.random.default_rng(seed))[1].tolist()

    assert dev(0) == dev(0) != dev(1)


@pytest.mark.parametrize("stratify", [True, False])
def test_number_of_examples_will_do_without_labels(stratify):
    train, dev = split(10, 0.3, np.random.default_rng(0), stratify)
    assert len(train) == 7 and len(dev) == 3


def test_labels_alone_in_their_class_can_be_split_when_not_stratified():
    assert len(split(["a", "b", "c", "d"], 0.5, np.random.default_rng(0), stratify=False)[1]) == 2


@pytest.mark.parametrize("n, fraction", [(1, 0.5), (10, 0.0), (10, 1.0)])
def test_impossible_split_is_refused(n, fraction):
    with pytest.raises(ValueError):
        split(n, fraction, np.random.default_rng(0))


def test_a_bad_byte_in_a_table_is_not_answered_with_a_key_that_tables_have_not(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"1,caf\xe9\n2,x\n")
    with pytest.raises(DataError, match=r"t\.csv:1: byte 5 \(0xe9\) is not UTF-8; convert the file$"):
        read_csv(tmp_path / "t.csv")
