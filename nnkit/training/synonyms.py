"""What other programs call the keys of a config: who comes from gensim, word2vec.c, fastText, PyTorch or Keras is answered.

The config in hand decides: a name is explained only where it has the key that the answer is about.
"""

from __future__ import annotations

from collections.abc import Iterable

CALLED_HERE = {  # the key, or the end of its path, by what others call it: lower case, with _ for -
    # gensim, word2vec.c and fastText
    "vector_size": "dim", "size": "dim", "embedding_dim": "dim", "embedding_size": "dim", "dimension": "dim",
    "window_size": "window", "ws": "window",
    "negative": "negatives", "neg": "negatives", "num_sampled": "negatives", "ns_exponent": "power",
    "sample": "subsample", "mincount": "min_count", "max_vocab_size": "max_size", "max_final_vocab": "max_size",
    "read_vocab": "vocabulary", "vocab": "vocabulary", "vocab_file": "vocabulary",
    "corpus": "data.train", "corpus_file": "data.train", "sentences": "data.train", "input": "data.train",
    "iter": "epochs", "epoch": "epochs", "threads": "workers", "thread": "workers",
    "alpha": "lr", "min_alpha": "schedule.end",
    # PyTorch, Keras and scikit-learn
    "learning_rate": "lr", "learningrate": "lr", "eta": "lr", "step_size": "lr", "learning_rate_init": "lr",
    "eta_min": "schedule.end", "end_factor": "schedule.end",
    "optim": "optimizer", "solver": "optimizer", "scheduler": "schedule", "lr_scheduler": "schedule",
    "batchsize": "batch_size", "minibatch_size": "batch_size", "batch": "batch_size",
    "num_epochs": "epochs", "n_epochs": "epochs", "max_epochs": "epochs", "max_iter": "epochs",
    "l2": "weight_decay", "max_grad_norm": "clip_norm", "grad_clip": "clip_norm", "gradient_clip_val": "clip_norm",
    "gradient_accumulation_steps": "accumulate", "accumulate_grad_batches": "accumulate", "grad_accum": "accumulate",
    "early_stopping": "patience", "early_stopping_patience": "patience", "metric_for_best_model": "eval.monitor",
    "hidden_dim": "hidden", "hidden_size": "hidden", "hidden_layer_sizes": "layers",
    "random_seed": "seed", "random_state": "seed", "num_threads": "blas_threads", "validation_split": "data.dev",
    "evaluation": "eval", "logging": "log", "checkpoint": "save",
    "log_interval": "log.every", "eval_interval": "eval.every", "save_interval": "save.every",
}

WORD_VECTORS = "negatives"  # the key that shows that a config is about word vectors

NOT_HERE = {  # a key without which the answer has no sense, and the answer
    "sg": (WORD_VECTORS, "the recipe says it: recipe: sgns is skip-gram (sg=1), recipe: cbow is CBOW (sg=0); leave it out"),
    "cbow": (WORD_VECTORS, "the recipe says it: recipe: sgns is skip-gram (-cbow 0), recipe: cbow is CBOW; leave it out"),
    "cbow_mean": (WORD_VECTORS, "recipe: cbow always takes the mean (cbow_mean=1); leave it out"),
    "hs": (WORD_VECTORS, "there is no hierarchical softmax, only negative sampling; leave it out"),
    "loss": (WORD_VECTORS, "the loss is always that of negative sampling; leave it out"),
    "bucket": (WORD_VECTORS, "words have no vectors of their character n-grams; leave it out"),
    "minn": (WORD_VECTORS, "words have no vectors of their character n-grams; leave it out"),
    "maxn": (WORD_VECTORS, "words have no vectors of their character n-grams; leave it out"),
    "wordngrams": (WORD_VECTORS, "there are no n-grams of words; leave it out"),
    "shrink_windows": ("window", "a window is always drawn from 1 to the largest for every word; leave it out"),
    "batch_words": ("blocks", "the size of a step is training.blocks times training.block_length words"),
    "compute_loss": ("loss_every", "the loss is always computed, at every step that log.loss_every says; leave it out"),
    "binary": (WORD_VECTORS, "a run writes text; `nnkit export RUN --to word2vec-binary` makes the binary file of it"),
    "save_vocab": (WORD_VECTORS, "a run always writes vocab.txt into its folder; leave it out"),
    "output": ("recipe", "a run writes all its files into one folder; --out DIR names it"),
    "debug": ("recipe", "there is no such key; -q on the command line is for less output"),
    "verbose": ("recipe", "there is no such key; -q on the command line is for less output"),
    "device": ("recipe", "training is on the processor, there are no devices to choose from; leave it out"),
    "gpu": ("recipe", "training is on the processor, there are no devices to choose from; leave it out"),
}


def plain(key: str) -> str:
    """`key` as the tables above write it: -Min-Count is min_count."""
    return key.lstrip("-").lower().replace("-", "_")


def explain(key: str, paths: Iterable[str]) -> str:
    """The answer to a key that other programs have, where the config has these dotted paths; "" where there is none."""
    name, paths = plain(key), [path for path in paths if "[]" not in path]
    if found := _ending(CALLED_HERE.get(name, "?"), paths):
        return f"here it is called {found[0]}"
    needed, answer = NOT_HERE.get(name, ("?", ""))
    return answer if _ending(needed, paths) else ""


def _ending(end: str, paths: list[str]) -> list[str]:
    return [path for path in paths if f".{path}".endswith(f".{end}")]
