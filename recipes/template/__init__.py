"""Makes this folder a package: the layers.py of one homework is then never taken for that of another."""
