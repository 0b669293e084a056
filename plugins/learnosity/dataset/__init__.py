"""A landed dataset: where its files lie, its manifest, its rows."""
