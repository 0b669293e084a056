"""Measurements: what landing and uploading cost, against what a user would pick instead.

`python -m benchmarks` runs the table of `docs/performance.md`; nothing here is part of the product.
"""
