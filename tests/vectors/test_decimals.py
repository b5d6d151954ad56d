"""Decimals read and written in blocks give what Python's float gives for one."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nnkit.vectors import decimals
from tests.vectors.conftest import FINITE


def parsed(fields):
    """The numbers of a line of fields, and which of them the block parser knew."""
    block = b"word " + b" ".join(fields) + b"\n"
    marks, ends = decimals.split(block)
    values, known = decimals.parse(block, marks, ends.reshape(1, len(fields) + 1))
    return values[0], known[0]


PLAIN = st.from_regex(rb"-?[0-9]{0,9}\.[0-9]{0,18}", fullmatch=True).filter(lambda field: field.strip(b"-."))


@given(st.lists(PLAIN, min_size=1, max_size=8))
@example([b"9007199254740993.0", b"0.000000000000000000", b"-0.0", b".5", b"5.", b"16777217.0", b"0.1234567890123456"])
@example([b"1.0000000596046449"])  # 17 digits: rounded once to an integer float64, it would be the float32 below
def test_a_known_number_is_the_one_float_gives(fields):
    values, known = parsed(fields)
    for field, value, is_known in zip(fields, values, known):
        if is_known:
            assert value.tobytes() == np.float32(float(field)).tobytes()


@given(st.lists(st.from_regex(rb"[-+.e0-9xn_]{1,12}", fullmatch=True), min_size=1, max_size=8))
@example([b"1.2.3", b"1-2", b"--1.5", b"-", b".", b"-.", b"1.-2", b"1-.2"])
def test_what_is_no_plain_number_is_not_known(fields):
    for field, is_known in zip(fields, parsed(fields)[1]):
        if is_known:
            assert decimals.parse_one(field) is not None


def test_the_numbers_that_files_hold_are_known():
    assert parsed([b"0.5", b"-0.012345678", b"12.25", b"-1.00000001", b"0.0"])[1].all()  # else reading takes five times as long


@pytest.mark.parametrize("field", [b"", b"1_0", b"\t1", b"1\x0b", b"one", b"0x10"])
def test_what_float_would_forgive_is_no_number(field):
    assert decimals.parse_one(field) is None


@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 4)), elements=FINITE))
def test_what_is_written_reads_back_to_the_same_bits(matrix):
    rows = [[float(field) for field in row.split(b" ")] for row in decimals.format_rows(matrix)]
    assert np.array(rows, np.float32).tobytes() == matrix.tobytes()


@pytest.mark.parametrize("power", range(-7, 3))
def test_no_float32_beside_a_power_of_ten_loses_a_bit(power):
    middle = np.array([10.0 ** power], np.float32).view(np.int32)[0]
    matrix = np.arange(middle - 2000, middle + 2000, dtype=np.int32).view(np.float32).reshape(-1, 8)
    rows = [[float(field) for field in row.split(b" ")] for row in decimals.format_rows(matrix)]
    assert np.array(rows, np.float32).tobytes() == matrix.tobytes()


def test_common_numbers_are_written_with_a_point_alone():
    assert decimals.format_rows(np.array([[0.1, -2, 0]], np.float32)) == [b"0.100000001 -2.00000000 0.0"]
