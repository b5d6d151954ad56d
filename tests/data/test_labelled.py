"""Labelled texts in every form that people have them in, and what is wrong with them."""

import bz2
import csv
import gzip
import io
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.data.labelled import Layout, read_labelled, read_more
from nnkit.errors import DataError


def write(tmp_path, name, content, encoding="utf-8"):
    data = content if isinstance(content, bytes) else content.encode(encoding)
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes({".gz": gzip.compress, ".bz2": bz2.compress}.get(path.suffix, bytes)(data))
    return path


def pairs(path, **layout):
    return [(e.label, e.text) for e in read_labelled(path, Layout(**layout)).examples]


TWO = [("pos", "a good film"), ("neg", "not a good one"), ("pos", "fine !")]
TSV = "".join(f"{label}\t{text}\n" for label, text in TWO)
JSONL = "".join(json.dumps({"label": label, "id": 7, "text": text}) + "\n" for label, text in TWO)


@pytest.mark.parametrize("name, content", [
    ("a.tsv", TSV), ("a.txt", TSV), ("a.tsv.gz", TSV), ("a.tsv.bz2", TSV), ("train", TSV),
    ("a.tsv", "label\ttext\n" + TSV), ("a.tsv", "\ufeff" + TSV.replace("\n", "\r\n")), ("a.tsv", "\n" + TSV + "\n\n"),
    ("a.tsv", "".join(f"{text}\t{label}\n" for label, text in TWO)),
    ("a.tsv", "id\tsentence\tlabel\n" + "".join(f"{i}\t{text}\t{label}\n" for i, (label, text) in enumerate(TWO))),
    ("a.csv", TSV.replace("\t", ",")), ("a.csv", TSV.replace("\t", ";")), ("a.csv.gz", "Label,Review\n" + TSV.replace("\t", ",")),
    ("a.csv", "".join(f'"{label}","{text}"\n' for label, text in TWO)),
    ("a.txt", TSV.replace("\t", " ")), ("stsa.train", TSV.replace("\t", " ")), ("a.lines.gz", TSV.replace("\t", " ")),
    ("a.jsonl", JSONL), ("a.ndjson.gz", JSONL), ("a.json", JSONL), ("a.txt", JSONL),
])
def test_what_people_have_is_read_without_a_word(tmp_path, name, content):
    assert pairs(write(tmp_path, name, content)) == TWO


def test_one_file_a_class_and_one_folder_a_class(tmp_path):
    write(tmp_path, "files/pos.txt", "a good film\n\nfine !\n")
    write(tmp_path, "files/neg.txt.gz", "not a good one\n")
    write(tmp_path, "files/.DS_Store", b"\0")
    found = read_labelled(tmp_path / "files")
    assert sorted((e.label, e.text) for e in found.examples) == sorted(TWO) and found.blank == 1
    assert found.layout.format == "files"
    assert [e.place for e in found.examples if e.text == "fine !"] == [f"{tmp_path / 'files' / 'pos.txt'}:3"]
    for i, (label, text) in enumerate(TWO):
        write(tmp_path, f"folders/{label}/{i}.txt", text.replace(" ", "\n"))
    write(tmp_path, "folders/urls.txt", "http://somewhere\n")
    found = read_labelled(tmp_path / "folders")
    assert sorted((e.label, e.text.replace("\n", " ")) for e in found.examples) == sorted(TWO)
    assert found.layout.format == "folders"


signs = st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\x85\u2028\u2029") | st.sampled_from('",; \n')
cells = st.text(signs, max_size=12).filter(lambda text: text == text.strip())


@given(st.lists(st.tuples(cells, st.sampled_from(["yes", "no"])), min_size=1, max_size=8), st.sampled_from(",;\t"))
def test_what_a_spreadsheet_writes_comes_back(tmp_path_factory, rows, delimiter):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("body", "kind"), *rows])
    path = write(tmp_path_factory.mktemp("csv"), "a.csv", text.getvalue().replace("\r\n", "\n"))
    assert pairs(path, text="body", label="kind", format="csv") == [(kind, cell) for cell, kind in rows]


def test_columns_by_number_and_by_name(tmp_path):
    path = write(tmp_path, "a.tsv", "k\tb\tv\n" + "".join(f"{i}\t{text}\t{label}\n" for i, (label, text) in enumerate(TWO)))
    assert pairs(path, text="b", label="v") == pairs(path, text=1, label=-1, header=True) == TWO
    layout = read_labelled(path, Layout(text="b", label="v")).layout
    assert (layout.format, layout.header, layout.text, layout.label) == ("tsv", True, "b", "v")
    assert str(layout) == "tsv, with a header, text: b, label: v"


def test_quotes_around_a_whole_cell_of_a_tsv_go_and_others_stay(tmp_path):
    path = write(tmp_path, "a.tsv", '1\t"he said ""no"" ."\n0\ta 12" disc\n1\t"so" he said\n0\t`` oh \'\'\n1\t"\n')
    assert [text for _, text in pairs(path)] == ['he said "no" .', 'a 12" disc', '"so" he said', "`` oh ''", '"']


def test_a_first_phrase_that_is_a_common_name_of_a_column_is_no_header(tmp_path):
    assert pairs(write(tmp_path, "a.tsv", "1\treview\n0\tbad\n1\tgood\n"))[0] == ("1", "review")
    assert pairs(write(tmp_path, "b.tsv", "pos\treview\nneg\tbad\npos\tgood\n"))[0] == ("pos", "review")


def test_a_header_of_names_that_nobody_foresaw_is_seen(tmp_path):
    path = write(tmp_path, "a.tsv", "Said\tLiked\nWow ... loved this place\t1\nno\t0\nyes , but\t1\n")
    assert [label for label, _ in pairs(path)] == ["1", "0", "1"]
    assert len(pairs(path, header=False)) == 4


def test_empty_texts_are_kept_and_blank_lines_counted(tmp_path):
    found = read_labelled(write(tmp_path, "a.tsv", "pos\tgood film\nneg\t\n\npos\t \n"))
    assert [e.text.strip() for e in found.examples] == ["good film", "", ""] and found.blank == 1
    assert pairs(write(tmp_path, "a.txt", "1 good film\n0\n1 \n")) == [("1", "good film"), ("0", ""), ("1", "")]


def test_only_the_classes_that_are_wanted(tmp_path):
    for label in ("neg", "pos", "unsup"):
        write(tmp_path, f"{label}/1.txt", label)
    found = read_labelled(tmp_path, Layout(classes=("neg", "pos")))
    assert [e.label for e in found.examples] == ["neg", "pos"] and found.left_out == 1


def test_json_numbers_and_booleans_are_classes(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"label": 1, "text": "a b"}\n{"label": true, "text": "c"}\n{"label": "x y", "text": ""}\n')
    assert pairs(path) == [("1", "a b"), ("true", "c"), ("x y", "")]


def test_a_json_number_is_one_class_with_and_without_a_point(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"label": 1, "text": "a"}\n{"label": 1.0, "text": "b"}\n{"label": 1.5, "text": "c"}\n')
    assert pairs(path) == [("1", "a"), ("1", "b"), ("1.5", "c")]


@pytest.mark.parametrize("name, content, layout, said", [
    ("a.tsv", "pos\ta film\nneg\n", {}, "a.tsv:2: 1 cell where the first row has 2"),
    ("a.tsv", 'pos\ta film\nneg\t"a\nb"\n', {}, "a.tsv:3: 1 cell where the first row has 2; set data.format: csv"),
    ("a.csv", "pos,a film\nneg,well, no\n", {},
     "a.csv:2: 3 cells where the first row has 2; a text with a comma in it needs quotes"),
    ("a.csv", 'pos,a film\nneg,"x\ny\n', {}, "a.csv:2: "),
    ("a.csv", "text\nfilm\n", {}, "a.csv:1: one column only; a class and a text need two, with a comma between"),
    ("a.tsv", "", {}, "a.tsv: no rows in it"),
    ("a.tsv", "label\ttext\n", {"label": "label"}, "a.tsv: a header and no rows below it"),
    ("a.tsv", "label\ttext\n" + TSV, {"label": "class"}, "a.tsv:1: no column 'class' (data.label); there are 'label', 'text'"),
    ("a.tsv", TSV, {"label": 2}, "a.tsv:1: no column 2 (data.label); there are 2, 0 to 1"),
    ("a.tsv", TSV, {"label": "kind", "header": False}, "a.tsv:1: data.label = 'kind' is a name, and this table has no header"),
    ("a.tsv", TSV, {"label": 0, "text": 0}, "a.tsv:1: data.text = 0 and data.label = 0 are one column"),
    ("a.tsv", "a\tb\tc\nd\te\tc\n", {},
     "a.tsv:1: cannot tell which column is the class; set data.label to a number from 0 to 2 (a row: 'a', 'b', 'c')"),
    ("a.tsv", "label\tx\ty\n1\tb b\tc\n0\te\tc\n", {},
     "a.tsv:1: cannot tell which column is the text; set data.text to one of 'label', 'x', 'y'"),
    ("a.tsv", "pos\tx y\n\tz z z\n", {"label": 0}, "a.tsv:2: the class is empty; is data.label = 0 the right column?"),
    ("a.csv", 'pos,x y\n"a\nb",z z z\npos,w w w w w w\n', {}, "a.csv:2: the class is 'a\\nb', with a line break in it"),
    ("a.jsonl", JSONL + "{}\n", {}, "a.jsonl:4: has no field 'text'; it has "),
    ("a.jsonl", JSONL + "[1]\n", {}, "a.jsonl:4: expected an object such as"),
    ("a.jsonl", JSONL + "{1}\n", {}, "a.jsonl:4: is no JSON: "),
    ("a.jsonl", JSONL + '{"text": null, "label": "pos"}\n', {}, "a.jsonl:4: text is null; expected a text"),
    ("a.jsonl", JSONL + '{"text": "", "label": ["pos"]}\n', {}, 'a.jsonl:4: label is ["pos"]; expected a text or a number'),
    ("a.jsonl", JSONL + '{"text": "\\ud83d", "label": "pos"}\n', {}, "a.jsonl:4: has half of a character in it, '\\ud83d'"),
    ("a.jsonl", JSONL, {"text": "body"}, "a.jsonl:1: no column 'body' (data.text); there are 'label', 'id', 'text'"),
    ("a.json", '[{"text": "", "label": "pos"}]', {}, "a.json: is one array of JSON; write an object a line"),
    ("a.tsv", TSV, {"classes": ("a", "b")}, "a.tsv: no examples in it of the classes a, b; there are neg, pos"),
    ("a.txt", "\n\n", {}, "a.txt: no examples in it"),
    ("a.tsv", TSV, {"format": "folders"}, "a.tsv: is a file, which data.format = folders does not read"),
    ("a.tsv", b"pos\tgood\nneg\tcaf\xe9\n", {},
     "a.tsv:2: byte 16 (0xe9) is not UTF-8; convert the file, or set data.encoding: cp1252"),
    ("a.tsv", b"pos\tgood\r\nneg\tx\x81\n", {"encoding": "cp1252"}, "a.tsv:2: byte 15 (0x81) is not cp1252"),
    ("a.tsv", TSV, {"encoding": "utf-16"}, "a.tsv: is not utf-16 (UTF-16 stream does not start with BOM); convert the file"),
    ("a.csv", TSV, {"encoding": "utf-32"}, "a.csv:1: byte 0 (0x70) is not utf-32; convert the file"),
    ("a.csv", b"pos,good\nneg,caf\xe9\n", {}, "a.csv:2: byte 16 (0xe9) is not UTF-8; convert the file, or set data.encoding"),
])
def test_a_mistake_is_one_line_with_its_place(tmp_path, monkeypatch, name, content, layout, said):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, name, content)
    with pytest.raises(DataError) as error:
        read_labelled(name, Layout(**layout))
    assert str(error.value).startswith(said) and "\n" not in str(error.value)


def test_what_is_not_there_and_folders_without_text_are_said(tmp_path):
    for path, said in [(tmp_path / "none", "no such file"), (tmp_path, "no text in it; looked for names that end in")]:
        with pytest.raises(DataError, match=said):
            read_labelled(path)
    write(tmp_path, "pos.txt", "a")
    write(tmp_path, "pos.txt.gz", "a")
    with pytest.raises(DataError, match="two files are of the class pos"):
        read_labelled(tmp_path)
    with pytest.raises(DataError, match=r"is a folder, which data\.format = csv does not read"):
        read_labelled(tmp_path, Layout("csv"))


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "utf-16"])
def test_another_encoding_can_be_named(tmp_path, encoding):
    path = write(tmp_path, "a.tsv", "pos\tcafé crème\nneg\tnaïve\n", encoding)
    assert pairs(path, encoding=encoding) == [("pos", "café crème"), ("neg", "naïve")]


def test_the_name_of_a_class_that_is_no_utf_8_is_said(tmp_path):
    folder = os.path.join(os.fsencode(tmp_path), b"p\xffs")
    try:
        os.mkdir(folder)
    except OSError:
        pytest.skip("this file system has no such names")
    with open(os.path.join(folder, b"1.txt"), "w", encoding="utf-8") as out:
        out.write("a film")
    with pytest.raises(DataError, match=r"the name of the class 'p.udcffs' is not UTF-8; give the folder another name"):
        read_labelled(tmp_path)


def test_a_first_row_of_a_known_class_is_no_header(tmp_path):
    path = write(tmp_path, "a.tsv", "pos\tgood\nneg\tbad\nneg\tsad\n")  # by its looks "pos" names the column
    assert read_labelled(path).layout.header  # so that the first example would be lost
    assert [e.label for e in read_more(path, Layout(text=1, label=0), ["neg", "pos"]).examples] == ["pos", "neg", "neg"]
    assert len(read_more(path, Layout(text=1, label=0), ["bad", "sad"]).examples) == 2
    assert len(read_more(path, Layout(text=1, label=0, header=True), ["neg", "pos"]).examples) == 2
    assert len(read_more(path, Layout(text="good", label="pos"), ["neg", "pos"]).examples) == 2


def test_a_book_in_a_cell_is_no_more_than_a_cell(tmp_path):
    assert len(pairs(write(tmp_path, "a.csv", f"pos,good film\nneg,{'word ' * 100_000}\n"))[1][1]) == 500_000
    assert csv.field_size_limit() == 131_072


def test_real_files(shared_data):
    def count(name, **layout):
        return len(read_labelled(shared_data / name, Layout(**layout)).examples)

    assert count("classification/sst/SST2-tsv/dev.tsv") == 872
    assert count("classification/sst/sent-conv/stsa.fine.test") == 2210
    names = read_labelled(shared_data / "classification" / "names_by_language").examples
    assert len({e.label for e in names}) == 19  # SOURCE.txt, too
    odd = shared_data / "odd" / "csv_tsv"
    restaurant = read_labelled(odd / "Restaurant_Reviews.tsv")
    assert len(restaurant.examples) == 1006 and {e.label for e in restaurant.examples} == {"0", "1"}
    assert len(pairs(odd / "sms_spam_cp1252_crlf.csv", encoding="cp1252")) == 5572
    assert {label for label, _ in pairs(odd / "sms_spam_utf8_crlf_5cols.csv", text=1)} == {"ham", "spam"}
    assert len(pairs(odd / "emoji_dataset.csv", text="description", label="score")) == 2750
    with pytest.raises(DataError, match=r"sms_spam_cp1252_crlf\.csv:\d+: byte 613 \(0x"):
        read_labelled(odd / "sms_spam_cp1252_crlf.csv")
