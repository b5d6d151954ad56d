"""The commands of `nnkit` that ask, score, draw and hand over word vectors: one file each, with a `main(argv)`."""
