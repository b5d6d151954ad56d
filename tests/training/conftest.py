"""A small training that takes a fraction of a second: the SGNS recipe on a text of its own; and configs that are only read."""

import numpy as np
import pytest
from demo_config import Demo

from nnkit.errors import ConfigError
from nnkit.training import drawing
from nnkit.training.config import read_tree, validate

CONFIG = """\
recipe: sgns
name: tiny
data: {{train: {corpus}, min_count: 1, subsample: 0}}
model: {{dim: 8, window: 2}}
training: {{epochs: 3, blocks: 2, block_length: 8, shared_negatives: 4}}
schedule: {{type: linear, end: 1e-4}}
log: {{every: 7 steps}}
"""


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """The path of a config, in a folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    lines = [" ".join(f"w{i}" for i in rng.integers(0, 40, 12)) for _ in range(80)]
    (tmp_path / "corpus.txt").write_text("\n".join(lines), encoding="utf-8")
    path = tmp_path / "tiny.yaml"
    path.write_text(CONFIG.format(corpus="corpus.txt"), encoding="utf-8")
    return path


@pytest.fixture
def load(tmp_path, monkeypatch):
    """load(text, *overrides) validates c.yaml from the folder it is in."""
    monkeypatch.chdir(tmp_path)

    def loading(text, *overrides):
        (tmp_path / "c.yaml").write_text("recipe: x\n" + text, encoding="utf-8")
        return validate(read_tree("c.yaml", overrides), Demo)
    return loading


@pytest.fixture
def mistakes(load):
    """mistakes(text, *overrides) is the text of the error; line 1 of c.yaml is `recipe: x`."""
    def failing(text, *overrides):
        with pytest.raises(ConfigError) as caught:
            load(text, *overrides)
        assert caught.value.exit_code == 2
        return str(caught.value)
    return failing


@pytest.fixture
def figures(monkeypatch):
    """The figures as they are when they are written."""
    kept = []
    write = drawing.write

    def keep_and_write(figure, paths):
        kept.append(figure)
        return write(figure, paths)

    monkeypatch.setattr(drawing, "write", keep_and_write)
    return kept
