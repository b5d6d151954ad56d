"""What the bar shows."""

import io

import pytest

import nnkit
from nnkit.data import corpus
from nnkit.training.console import Console


def test_the_bar_shows_no_loss_before_one_was_measured(tiny, monkeypatch):
    shown = []
    monkeypatch.setattr(Console, "wants_bar", lambda self: True)
    monkeypatch.setattr(Console, "move_bar", lambda self, done, text: shown.append(text))
    nnkit.fit(tiny, ["training.epochs=1"], quiet=True)
    assert shown[0].startswith("lr ") and not [text for text in shown if "nan" in text]
    assert shown[-1].startswith("loss ")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_while_a_corpus_is_read_its_bytes_are_shown_up_to_the_last_one(tiny, monkeypatch):
    shown = []
    monkeypatch.setattr(corpus, "PROGRESS", 100)  # files of less than a MB are not worth a bar
    monkeypatch.setattr(corpus, "BLOCK", 100)
    monkeypatch.setattr(Console, "show_reading", lambda self, done, total: shown.append((done, total)))
    nnkit.fit(tiny, ["training.epochs=1"], quiet=True)
    size = (tiny.parent / "corpus.txt").stat().st_size
    assert shown[-1] == (size, size)
    shown.clear()
    nnkit.fit(tiny, ["training.epochs=1"], quiet=True)
    assert not shown  # the numbers of the text were kept


def test_the_bar_of_reading_is_drawn_on_a_terminal_and_gone_at_the_end(monkeypatch):
    monkeypatch.setattr("sys.stderr", Terminal())
    console = Console()
    console.show_reading(2_000_000, 8_000_000)
    drawn = console._bar.format_meter(**console._bar.format_dict)
    assert "reading:  25%" in drawn and "2.00M/8.00M" in drawn and "B/s" in drawn
    console.show_reading(6_000_000, 8_000_000)
    assert console._bar.n == 6_000_000
    console.show_reading(8_000_000, 8_000_000)
    assert console._bar is None
    console.start_bar(10, 0, "words")  # the bar of the training finds its place free
    assert console._bar.n == 0
    console.close()


@pytest.mark.parametrize("stream, quiet", [(io.StringIO, False), (Terminal, True)])
def test_reading_shows_nothing_in_a_file_and_nothing_to_those_who_want_quiet(monkeypatch, stream, quiet):
    monkeypatch.setattr("sys.stderr", said := stream())
    console = Console(quiet)
    for done in (1, 2, 3):
        console.show_reading(done, 3)
    console.close()
    assert said.getvalue() == ""
