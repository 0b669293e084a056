"""What a reply of the retrieval call holds: read in full, or not understood. Pure functions; no I/O."""
