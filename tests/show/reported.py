"""Small runs to report on, with markup in all that people write; and a page taken apart again."""

import json
from html.parser import HTMLParser

import nnkit

TEXTS = """\
<b>a</b>\tone <script>document.title='stolen'</script> two three
<b>a</b>\tone &lt;i&gt; three four two
$x^2$\tfive <script>document.title='stolen'</script> six seven
$x^2$\tsix seven &amp; five eight
$x^2$\tone <script>document.title='stolen'</script> two three
""" * 8

CONFIGS = {
    "classifier": """
recipe: classifier
data: {train: texts.tsv, min_count: 1, tokenizer: {type: whitespace}}
model: {layers: [{type: Linear}]}
training: {epochs: 3, batch_size: 4}
log: {every: 2 steps}
eval: {monitor: +dev_acc, metrics: [acc, f1_macro]}
""",
    "words": """
recipe: sgns
data: {train: lines.txt, min_count: 1, subsample: 0}
model: {dim: 4, window: 2}
training: {epochs: 2, block_length: 8}
log: {every: 1 steps}
""",
    "language": """
recipe: language_model
data: {train: lines.txt, dev: lines.txt}
model: {context: 2, dim: 4, hidden: 8}
training: {epochs: 2, batch_size: 8}
""",
    "tagger": """
recipe: sequence_tagger
data: {train: tagged.txt, dev: tagged.txt}
model: {dim: 4, hidden: 4}
training: {epochs: 2, batch_size: 8}
""",
}


def train(folder, name, *overrides):
    """A run of one of the configs, in `folder`, which is the current one; its folder."""
    (folder / "texts.tsv").write_text(TEXTS, encoding="utf-8")
    (folder / "lines.txt").write_text("the cat <i>sat</i> on <script> mats\nthe &amp; dog sat on a cat\n" * 9, encoding="utf-8")
    (folder / "tagged.txt").write_text("the DET\n<b>cat</b> <NOUN>\nsat VERB\n\na DET\ndog <NOUN>\nran VERB\n\n" * 9,
                                       encoding="utf-8")
    (folder / f"{name}.yaml").write_text(CONFIGS[name], encoding="utf-8")
    return folder / nnkit.fit(f"{name}.yaml", list(overrides), quiet=True).path


class Page(HTMLParser):
    """A page's scripts, the tables of its regions by their labels, what its fields offer, its text, its data, its tags."""

    def __init__(self, path):
        super().__init__()
        self.scripts, self.tables, self.words, self.tags, self.options = [], {}, [], set(), []
        self._region, self._in_script, self._in_cell = "", False, False
        self.feed(path.read_text(encoding="utf-8"))
        self.data = json.loads(self.scripts[0])
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        given = dict(attributes)
        if given.get("role") == "region":
            self._region = given["aria-label"]
            self.tables.setdefault(self._region, [])
        self._in_script = tag == "script"
        if tag == "script":
            self.scripts.append("")
            assert "src" not in given
        assert tag != "link" or given["href"] == "data:,"
        if tag == "tr":
            self.tables[self._region].append([])
        if tag == "option":
            self.options.append(given["value"])
        self._in_cell = tag in ("td", "th")
        if self._in_cell:
            self.tables[self._region][-1].append("")

    def handle_endtag(self, tag):
        self._in_script = self._in_cell = False

    def handle_data(self, data):
        if self._in_script:
            self.scripts[-1] += data
        else:
            self.words.append(data)
            if self._in_cell:
                self.tables[self._region][-1][-1] += data
