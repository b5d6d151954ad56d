"""metrics.jsonl survives a kill, a resume and a new metric; history.csv says the same."""

import csv
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnkit.errors import DataError
from nnkit.training.metrics import MetricsLog, read_metrics, write_history, write_table

values = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)
rows_of_any_kind = st.lists(st.dictionaries(st.text(), values, max_size=5), max_size=6)


def write(path, rows):
    with MetricsLog(path) as log:
        for row in rows:
            log.append(row)
        return log.length


def history(rows, path):
    write_history(rows, path)
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def train(step, epoch=1, **more):
    return {"event": "train", "epoch": epoch, "step": step, "seconds": 0.5, "lr": 0.1, "train_loss": 1 / step, **more}


def evaluation(step, epoch=1, **more):
    return {**train(step, epoch), "event": "eval", **more}


@settings(deadline=None)
@given(rows=rows_of_any_kind)
def test_what_is_read_is_what_was_appended(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "metrics.jsonl"
    length = write(path, rows)
    assert read_metrics(path) == rows
    assert length == path.stat().st_size


@pytest.mark.case("trainer", 13)
@settings(deadline=None)
@given(rows=rows_of_any_kind, data=st.data())
def test_a_file_cut_anywhere_reads_as_its_whole_lines(rows, data, tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "metrics.jsonl"
    whole = path.read_bytes() if write(path, rows) else b""
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    expected = rows[:whole[:cut].count(b"\n")]
    assert read_metrics(path) == expected
    write(path, [{"step": 1}])  # a run that goes on there
    assert read_metrics(path) == expected + [{"step": 1}]


@pytest.mark.case("trainer", 13)
def test_a_resumed_run_cuts_off_what_came_after_its_checkpoint(tmp_path):
    path = tmp_path / "metrics.jsonl"
    keep = write(path, [train(1), train(2)])
    write(path, [train(3), train(4)])
    with MetricsLog(path, keep) as log:
        assert log.length == keep
        log.append(train(3, dev_acc=0.5))
    assert [row["step"] for row in read_metrics(path)] == [1, 2, 3]


def test_a_file_shorter_than_its_checkpoint_says_keeps_its_whole_lines(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write(path, [train(1), train(2)])
    with MetricsLog(path, keep=10**6) as log:
        log.append(train(3))
    assert [row["step"] for row in read_metrics(path)] == [1, 2, 3]


def test_a_line_is_on_disk_when_append_returns(tmp_path):
    with MetricsLog(tmp_path / "metrics.jsonl") as log:
        log.append(train(1))
        assert read_metrics(tmp_path / "metrics.jsonl") == [train(1)]
        assert log.length == (tmp_path / "metrics.jsonl").stat().st_size


def test_nan_and_infinity_are_null_and_numpy_numbers_are_numbers(tmp_path):
    row = {"a": math.nan, "b": np.float32(np.inf), "c": np.float32(0.1), "d": np.int64(7), "e": np.True_}
    write(tmp_path / "m", [row])
    text = (tmp_path / "m").read_text(encoding="utf-8")
    row = json.loads(text, parse_constant=pytest.fail)
    assert row == {"a": None, "b": None, "c": float(np.float32(0.1)), "d": 7, "e": True}


@pytest.mark.parametrize("line", ["{", "[1]", "nonsense", ""])
def test_a_damaged_line_that_is_not_the_last_is_an_error_with_its_number(tmp_path, line):
    (tmp_path / "m").write_text(f'{{"step": 1}}\n{line}\n{{"step": 2}}\n', encoding="utf-8")
    with pytest.raises(DataError, match="m:2: "):
        read_metrics(tmp_path / "m")


def test_a_missing_file_is_a_clear_error(tmp_path):
    with pytest.raises(DataError, match="logged anything yet"):
        read_metrics(tmp_path / "metrics.jsonl")


def test_history_has_a_line_for_each_evaluation_and_each_end_of_an_epoch(tmp_path):
    rows = [train(1), train(2), evaluation(3), train(4), train(5, epoch=2), train(6, epoch=2)]
    assert [row["step"] for row in history(rows, tmp_path / "h.csv")] == ["3", "4", "6"]


def test_a_log_line_and_an_evaluation_of_one_step_share_a_line_of_history(tmp_path):
    rows = [train(2, words_per_second=8.5), evaluation(2, dev_loss=0.25, train_loss=None)]
    (row,) = history(rows, tmp_path / "h.csv")
    assert row == {"epoch": "1", "step": "2", "seconds": "0.5", "lr": "0.1", "train_loss": "0.5",
                   "words_per_second": "8.5", "dev_loss": "0.25"}


@pytest.mark.case("trainer", 13)
def test_a_metric_that_begins_later_gets_a_column_under_the_one_header(tmp_path):
    rows = [evaluation(1, dev_loss=2.0), evaluation(2, dev_loss=1.0, dev_acc=0.5)]
    first, second = history(rows, tmp_path / "h.csv")
    lines = (tmp_path / "h.csv").read_bytes().split(b"\n")
    assert lines[0] == b"epoch,step,seconds,lr,train_loss,dev_loss,dev_acc" and len(lines) == 4
    assert (first["dev_acc"], second["dev_acc"]) == ("", "0.5")


@settings(deadline=None)
@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_in_history_is_read_as_the_same_number(number, tmp_path_factory):
    (row,) = history([evaluation(1, dev_loss=number)], tmp_path_factory.mktemp("h") / "h.csv")
    assert float(row["dev_loss"]) == number


def test_null_and_nan_are_empty_in_history(tmp_path):
    (row,) = history([evaluation(1, dev_loss=None, dev_acc=math.nan)], tmp_path / "h.csv")
    assert row["dev_loss"] == row["dev_acc"] == ""


def test_history_of_nothing_is_a_header(tmp_path):
    write_history([], tmp_path / "h.csv")
    assert (tmp_path / "h.csv").read_bytes() == b"epoch,step,seconds,lr,train_loss\n"


def test_a_table_has_every_row_and_every_key_with_tabs_between(tmp_path):
    rows = [train(1), evaluation(1, dev_loss=0.1, best=True), train(2, note="a\tb\n", train_loss=math.nan)]
    write_table([json.loads(json.dumps(row).replace("NaN", "null")) for row in rows], tmp_path / "m.tsv")
    with open(tmp_path / "m.tsv", encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file, delimiter="\t"))
    assert list(read[0]) == ["event", "epoch", "step", "seconds", "lr", "train_loss", "dev_loss", "best", "note"]
    assert [row["event"] for row in read] == ["train", "eval", "train"]
    assert (read[1]["dev_loss"], read[1]["best"], read[2]["note"], read[2]["train_loss"]) == ("0.1", "true", "a\tb\n", "")
    write_table([], tmp_path / "empty.tsv")
    assert (tmp_path / "empty.tsv").read_bytes() == b"event\tepoch\tstep\tseconds\tlr\ttrain_loss\n"


def test_of_one_step_history_has_the_loss_of_the_evaluation(tmp_path):
    rows = [train(5, train_loss=3.0), evaluation(5, train_loss=2.0, dev_loss=1.0), train(5, train_loss=4.0, grad_norm=0.5)]
    (row,) = history(rows, tmp_path / "h.csv")
    assert (row["train_loss"], row["dev_loss"], row["grad_norm"]) == ("2.0", "1.0", "0.5")
    (row,) = history([evaluation(5, train_loss=None), train(5, train_loss=4.0)], tmp_path / "h.csv")
    assert row["train_loss"] == "4.0"
