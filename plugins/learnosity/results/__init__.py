"""What a reply of the retrieval call (GET reports/datasets) contains. Pure functions; no I/O."""
