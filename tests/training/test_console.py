"""What the bar shows."""

import nnkit
from nnkit.training.console import Console


def test_the_bar_shows_no_loss_before_one_was_measured(tiny, monkeypatch):
    shown = []
    monkeypatch.setattr(Console, "move_bar", lambda self, done, text: shown.append(text))
    nnkit.fit(tiny, ["training.epochs=1"], quiet=True)
    assert shown[0].startswith("lr ") and not [text for text in shown if "nan" in text]
    assert shown[-1].startswith("loss ")
