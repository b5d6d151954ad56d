"""Programs written for other libraries, run on nnkit's engine. Nothing of nnkit itself imports from here."""
