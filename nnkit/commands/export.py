"""nnkit export: hand a run over to other tools: its word vectors, its weights, its curves."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nnkit.commands.common import load_vectors, parser, run
from nnkit.errors import ConfigError, UserError
from nnkit.training.exporting import write_safetensors, write_tensorboard
from nnkit.training.metrics import read_metrics, write_table
from nnkit.training.run_directory import RunDirectory
from nnkit.training.using import CHECKPOINTS, Weights
from nnkit.vectors.projector import write_projector

VECTORS = ("word2vec", "word2vec-binary", "glove", "npz")  # files of word vectors
FOLDERS = ("tensorboard", "tsv")                           # these write into a folder
FORMS = """\
word2vec, word2vec-binary, glove, npz: word vectors, of a run or a file; npz is nnkit's own, which loads at once.
safetensors: the weights of a run by the names of its parameters (needs nnkit[export]).
tensorboard: the curves of a run, as train/loss, dev/acc ... over steps, in an event file; the wall time is the run's start and
  the seconds of training (needs nnkit[export]). `tensorboard --logdir runs` shows all runs that were exported.
tsv: of word vectors vectors.tsv and metadata.tsv, as projector.tensorflow.org loads them (white space in a word as \\t, \\n ...);
  of a run also metrics.tsv, all lines of metrics.jsonl as one table.
A file of that name is replaced, in one piece."""


def main(argv: Sequence[str] | None = None) -> int:
    made = parser("export", "Write word vectors, weights or curves for other tools, and print each file's path.",
                  "@last --to word2vec-binary -o vectors.bin")
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    made.epilog = f"{FORMS}\n\n{made.epilog}"
    made.add_argument("--to", required=True, choices=[*VECTORS, "safetensors", *FOLDERS], help="the form, see below")
    made.add_argument("-o", "--out", type=Path, metavar="PATH",
                      help="the file, .gz at its end packs text and binary vectors; for tensorboard and tsv a folder, which is "
                      "made. Of a run, safetensors, tensorboard and tsv go into its own folder where this is left out")
    made.add_argument("--checkpoint", choices=CHECKPOINTS,
                      help="safetensors: the weights to take (best where the config has an eval.monitor, else last)")
    return run(made, export, argv)


def export(options: argparse.Namespace) -> None:
    form, out, is_file = options.to, options.out, Path(options.source).is_file()
    if options.checkpoint is not None and form != "safetensors":
        raise ConfigError(f"--checkpoint chooses weights for --to safetensors; --to {form} has no choice, leave it out")
    if out is None and (form in VECTORS or is_file):
        raise ConfigError(f"--to {form} needs a {'folder' if form in FOLDERS else 'file'} to write; give it with -o")
    if form in VECTORS:
        load_vectors(options).save(out, form)
        paths = [out]
    elif form == "tsv":
        paths = export_tables(options, None if is_file else RunDirectory.open(options.source))
    elif is_file:
        raise UserError(f"{options.source}: is a file; --to {form} is for runs")
    else:
        directory = RunDirectory.open(options.source)
        if form == "safetensors":
            paths = [export_weights(directory, options.checkpoint, out or directory.path("model.safetensors"))]
        else:
            paths = [write_tensorboard(directory, made_folder(out or directory.folder, form))]
    print(*paths, sep="\n")


def export_weights(directory: RunDirectory, checkpoint: str | None, path: Path) -> Path:
    """Which of the run's checkpoints it is goes to stderr."""
    weights = Weights.read(directory, checkpoint)
    if weights.notice:
        print(f"note: {weights.notice}", file=sys.stderr)
    print(f"{directory}: {weights}", file=sys.stderr)
    write_safetensors(directory, weights, path)
    return path


def export_tables(options: argparse.Namespace, directory: RunDirectory | None) -> list[Path]:
    """The tables that there are of a run, or of a file of vectors."""
    paths = []
    has_vectors = directory is None or directory.path("vectors.vec").is_file()
    vectors = load_vectors(options) if has_vectors else None  # first: what cannot be read leaves no folder behind
    rows = read_metrics(directory.path("metrics.jsonl")) if directory is not None else None
    folder = made_folder(options.out or Path(options.source if directory is None else directory.folder), "tsv")
    if rows is not None:
        write_table(rows, folder / "metrics.tsv")
        paths.append(folder / "metrics.tsv")
    if vectors is not None:
        paths += write_projector(folder, vectors.words, vectors.matrix)
    return paths


def made_folder(folder: Path, form: str) -> Path:
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; --to {form} writes into a folder")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
