"""A run's folder is its own: never shared, never overwritten, replaced only when there is something to put there."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from nnkit.errors import ConfigError, UserError
from nnkit.files import replacing
from nnkit.training import run_directory
from nnkit.training.run_directory import RunDirectory, list_runs, plain


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def contents(folder):
    """Every file below the folder, with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def finished_run(out):
    """A run at `out` with a checkpoint, as a training leaves it."""
    run = RunDirectory.create("sgns", out=out)
    run.path("checkpoints/last.npz").write_bytes(b"weights")
    run.update_run(status="finished", best={"metric": "dev_loss", "value": 2.27331, "step": 7})
    return run


@pytest.mark.case("trainer", 7)
def test_the_same_name_again_gets_the_next_number():
    runs = [RunDirectory.create("sgns") for _ in range(3)]
    assert [str(run) for run in runs] == [os.path.join("runs", f"sgns-00{number}") for number in (1, 2, 3)]


def test_the_number_of_a_deleted_run_below_the_highest_is_not_used_again():
    first, _, _ = (RunDirectory.create("sgns") for _ in range(3))
    os.unlink(first.path("run.json"))
    os.rmdir(first.path("checkpoints"))
    os.rmdir(first)
    assert RunDirectory.create("sgns").id == "sgns-004"


def test_numbers_go_on_past_three_digits_and_ignore_other_names():
    for name in ("sgns-999", "sgns-old", "sgns-2000x", "sgns-b-5000", "xsgns-6000", "sgns-001.replaced"):
        os.makedirs(f"runs/{name}")
    assert RunDirectory.create("sgns").id == "sgns-1000"


def test_a_name_with_the_signs_of_a_pattern_is_taken_as_it_is():
    name = "a+(b).$x_1$ 日本"
    os.makedirs("runs/axc-007")
    assert RunDirectory.create("a.c").id == "a.c-001"
    assert [RunDirectory.create(name).id for _ in range(2)] == [f"{name}-001", f"{name}-002"]


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a\\b", ".hidden", "@last", "-o", "two\nlines", "nul\0"])
def test_a_name_that_cannot_be_a_folder_is_refused(name, tmp_path):
    with pytest.raises(ConfigError, match="name"):
        RunDirectory.create(name)
    assert list(tmp_path.iterdir()) == []


def test_eight_processes_at_once_get_eight_folders(tmp_path):
    program = ("import sys\nfrom nnkit.training.run_directory import RunDirectory\n"
               "print('ready', flush=True)\nsys.stdin.readline()\n"
               "print(*[RunDirectory.create('race').id for _ in range(10)])")
    processes = [subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True, encoding="utf-8", cwd=tmp_path) for _ in range(8)]
    for process in processes:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in processes:  # all have imported: now they start together
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    ids = [name for process in processes for name in process.communicate(timeout=60)[0].split()]
    assert sorted(ids) == [f"race-{number:03d}" for number in range(1, 81)]


@pytest.mark.case("trainer", 7)
def test_a_chosen_folder_that_holds_a_run_is_refused_with_its_status_and_three_ways_out(tmp_path):
    run = finished_run("mine")
    before = contents(tmp_path)
    with pytest.raises(ConfigError) as refusal:
        RunDirectory.create("sgns", out="mine")
    text = str(refusal.value)
    assert f"{run} already holds a finished run" in text and "dev_loss 2.2733" in text
    assert "--resume mine" in text and "leave out --out" in text and "--force" in text
    assert refusal.value.exit_code == 2
    assert contents(tmp_path) == before


@pytest.mark.parametrize("status", ["running", "interrupted"])
def test_a_refusal_names_the_status_of_the_run(status):
    RunDirectory.create("sgns", out="mine").update_run(status=status)
    with pytest.raises(ConfigError, match=f"holds an? {status} run"):
        RunDirectory.create("sgns", out="mine")


def test_a_chosen_folder_that_is_missing_or_empty_is_used():
    os.mkdir("empty")
    for out in ("empty", "new/below"):
        assert os.path.isfile(RunDirectory.create("sgns", out=out).path("run.json"))


def test_of_two_processes_that_ask_for_the_same_empty_folder_one_is_refused(monkeypatch):
    def other_was_faster(path, exist_ok):
        os.mkdir(path)
        os.mkdir(os.path.join(path, "checkpoints"))

    monkeypatch.setattr(run_directory.os, "makedirs", other_was_faster)
    with pytest.raises(ConfigError, match="already holds"):
        RunDirectory.create("sgns", out="mine")


def test_a_file_in_the_place_of_the_chosen_folder_is_refused(tmp_path):
    (tmp_path / "taken").write_bytes(b"mine")
    with pytest.raises(ConfigError, match="is a file"):
        RunDirectory.create("sgns", out="taken", force=True)
    assert (tmp_path / "taken").read_bytes() == b"mine"


def test_force_never_replaces_a_folder_that_is_no_run(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_bytes(b"years")
    with pytest.raises(ConfigError, match="no run of nnkit"):
        RunDirectory.create("sgns", out="home", force=True)
    assert contents(tmp_path) == {os.path.join("home", "thesis.tex"): b"years"}


def test_a_folder_that_was_hardly_begun_when_its_process_was_killed_can_be_replaced(tmp_path):
    """With no run.json yet, only a half of it, the folder passed for somebody's own."""
    (tmp_path / "mine" / "checkpoints").mkdir(parents=True)
    (tmp_path / "mine" / ".run.json.123.tmp").write_bytes(b"{")
    with pytest.raises(ConfigError, match="--force"):
        RunDirectory.create("sgns", out="mine")
    RunDirectory.create("sgns", out="mine", force=True).commit_replacement()
    assert sorted(os.listdir(tmp_path / "mine")) == ["checkpoints", "run.json"]


def test_what_killed_processes_left_half_written_is_cleared_away_and_nothing_else(tmp_path):
    run = finished_run(tmp_path / "mine")
    before = contents(run.folder)
    for name in (".run.json.123.tmp", ".vectors.vec.7.tmp", "checkpoints/.last.npz.123.tmp", "checkpoints/.best.npz.1.prev.tmp"):
        run.path(name).write_bytes(b"half")
    others = {os.path.join("code", ".mine.tmp"): b"1", ".note.tmp": b"2"}
    run.path("code").mkdir(exist_ok=True)
    for name, content in others.items():
        run.path(name).write_bytes(content)
    run.clear_away()
    assert contents(run.folder) == before | others


def test_force_never_replaces_the_folder_one_stands_in(tmp_path, monkeypatch):
    finished_run("mine")
    monkeypatch.chdir("mine")
    with pytest.raises(ConfigError, match="current folder"):
        RunDirectory.create("sgns", out=".", force=True)
    assert (tmp_path / "mine" / "checkpoints" / "last.npz").exists()


@pytest.mark.case("trainer", 7)
def test_a_forced_run_that_fails_before_its_first_checkpoint_gives_the_earlier_run_back(tmp_path):
    before = contents(finished_run(tmp_path / "mine").folder)
    run = RunDirectory.create("sgns", out=tmp_path / "mine", force=True)
    run.path("train.log").write_bytes(b"failed")
    run.abandon()
    assert contents(tmp_path / "mine") == before
    assert os.listdir(tmp_path) == ["mine"]


def test_until_its_first_checkpoint_a_forced_run_leaves_the_earlier_one_whole_beside_it(tmp_path):
    before = contents(finished_run(tmp_path / "mine").folder)
    run = RunDirectory.create("sgns", out=tmp_path / "mine", force=True)
    assert contents(run.replaced) == before
    run.commit_replacement()
    assert os.listdir(tmp_path) == ["mine"]
    assert run.read_run()["status"] == "running"


def test_after_the_first_checkpoint_a_failure_leaves_the_new_run(tmp_path):
    finished_run("mine")
    run = RunDirectory.create("sgns", out="mine", force=True)
    run.commit_replacement()
    run.abandon()
    run.commit_replacement()
    assert run.read_run()["status"] == "running"


def test_abandoning_a_run_that_replaces_nothing_keeps_it():
    run = RunDirectory.create("sgns")
    run.abandon()
    assert run.read_run()["status"] == "running"


def test_a_forced_run_that_cannot_even_begin_gives_the_earlier_run_back(tmp_path, monkeypatch):
    before = contents(finished_run(tmp_path / "mine").folder)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_directory.os, "fsync", full)
    with pytest.raises(UserError, match="No space left"):
        RunDirectory.create("sgns", out=tmp_path / "mine", force=True)
    assert contents(tmp_path / "mine") == before


def test_the_backup_of_a_killed_forced_run_is_mentioned_and_never_overwritten(tmp_path):
    before = contents(finished_run(tmp_path / "mine").folder)
    killed = RunDirectory.create("sgns", out=tmp_path / "mine", force=True).replaced
    with pytest.raises(ConfigError, match="still at"):
        RunDirectory.create("sgns", out=tmp_path / "mine")
    RunDirectory.create("sgns", out=tmp_path / "mine", force=True).commit_replacement()
    assert contents(killed) == before


def test_a_link_to_a_run_is_followed_when_the_run_is_replaced(tmp_path):
    finished_run(tmp_path / "disk" / "mine")
    os.symlink(tmp_path / "disk" / "mine", "link")
    RunDirectory.create("sgns", out="link", force=True).commit_replacement()
    assert os.path.islink("link") and os.listdir("disk") == ["mine"]


def test_a_folder_that_cannot_be_written_to_is_an_error_before_training(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match=r"cannot make the run's folder.*--out"):
        RunDirectory.create("sgns", root=tmp_path / "file" / "runs")


def test_a_run_to_be_resumed_says_that_its_folder_cannot_be_written_to(monkeypatch):
    run = RunDirectory.create("sgns")
    run.check_writable()
    assert sorted(os.listdir(run)) == ["checkpoints", "run.json"]

    def read_only(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(run_directory.os, "fsync", read_only)
    with pytest.raises(UserError, match="Read-only"):
        run.check_writable()


def test_a_run_is_opened_by_path_by_id_and_as_the_last():
    for started, name in (("2026-11-24T23:01:00Z", "b"), ("2026-11-25T01:01:00+01:00", "c"), ("2026-11-24", "a")):
        RunDirectory.create(name).update_run(started=started)
    elsewhere = RunDirectory.create("x", out="elsewhere")
    assert RunDirectory.open("b-001").id == "b-001"
    assert RunDirectory.open(elsewhere).folder == elsewhere.folder
    assert RunDirectory.open("@last").id == "c-001"
    assert [run.id for run in list_runs()] == ["c-001", "b-001", "a-001"]


def test_the_last_run_is_the_one_made_last_whatever_its_name():
    for name in ("b", "c", "a"):
        RunDirectory.create(name)
    assert RunDirectory.open("@last").id == "a-001"


def test_a_run_that_waits_to_be_replaced_is_not_listed():
    finished_run("runs/mine")
    RunDirectory.create("sgns", out="runs/mine", force=True)
    assert [run.id for run in list_runs()] == ["mine"]


def test_a_run_whose_run_json_is_damaged_is_still_found():
    run = RunDirectory.create("sgns")
    run.path("run.json").write_bytes(b"{")
    assert RunDirectory.open("@last").id == "sgns-001"
    with pytest.raises(UserError, match=r"run\.json: is damaged"):
        run.read_run()


@pytest.mark.parametrize("asked", ["sgns-009", "", "empty"])
def test_an_unknown_run_is_answered_with_those_there_are(asked):
    os.mkdir("empty")
    RunDirectory.create("sgns")
    RunDirectory.create("dan")
    with pytest.raises(UserError, match="dan-001, sgns-001"):
        RunDirectory.open(asked)


def test_the_last_of_no_runs_is_a_clear_error():
    with pytest.raises(UserError, match="has none yet"):
        RunDirectory.open("@last")


def test_an_update_keeps_the_other_fields():
    run = RunDirectory.create("sgns")
    started = run.read_run()["started"]
    run.update_run(status="finished", seed=3)
    assert run.read_run() == {"format": 1, "status": "finished", "started": started, "seed": 3}


def test_numpy_numbers_and_nan_become_strict_json():
    run = RunDirectory.create("sgns")
    run.write_json("run.json", {"a": np.float32(0.5), "b": np.int64(3), "c": [np.nan, np.inf], "d": np.arange(2),
                                "e": np.bool_(True), "f": run.folder, "g": np.longdouble(2)})
    text = run.path("run.json").read_text(encoding="utf-8")
    expected = {"a": 0.5, "b": 3, "c": [None, None], "d": [0, 1], "e": True, "f": str(run), "g": 2.0}
    assert json.loads(text, parse_constant=pytest.fail) == expected


def test_an_argument_that_is_not_utf8_is_kept():
    run = RunDirectory.create("sgns")
    run.update_run(argv=["caf\udce9", "日本"])
    assert "日本" in run.path("run.json").read_text(encoding="utf-8")
    assert run.read_run()["argv"] == ["caf\udce9", "日本"]


def test_a_json_that_cannot_be_written_leaves_the_old_one():
    run = RunDirectory.create("sgns")
    before = contents(run.folder)
    with pytest.raises(TypeError):
        run.update_run(bad=object())
    assert contents(run.folder) == before


def test_a_failure_in_the_middle_of_writing_leaves_the_old_file_and_no_other(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "file") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert contents(tmp_path) == {"file": b"old"}


def test_plain_leaves_plain_values_alone():
    value = {"a": [1, 2.5, "x", None, True, 1 << 200]}
    assert plain(value) == value
