"""A landed dataset: the paths of its files, its manifest, its rows."""
